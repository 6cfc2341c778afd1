"""What DB_CONNECTION and REDIS_CONNECTION may say, and that a refusal shows nothing of what they said."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from asyncpg import connect_utils
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.connection_urls import PostgresUrl, RedisKind, RedisUrl, parse_postgres_url, parse_redis_url
from runtime.url_parts import UrlError

PIECES = ("Winter2026", "kitchen", "pepper")
"""The parts of the passwords below, between the characters that end a part of a URL."""

POSTGRES = {
    "a # in the password": ("postgresql://cook:Winter2026#kitchen@db.example:5432/cook", "%23"),
    "a / in the password": ("postgresql://cook:Winter2026/kitchen@db.example:5432/cook", "%2F"),
    "a / after digits": ("postgresql://cook:2026/kitchen@db.example:5432/cook", "%2F"),
    "a ? in the password": ("postgresql://cook:Winter2026?kitchen@db.example:5432/cook", "%3F"),
    "a % in the password": ("postgresql://cook:Winter2026%kitchen@db.example:5432/cook", "%25"),
    "a % and one digit": ("postgresql://cook:Winter2026%2@db.example/cook", "%25"),
    "bytes that are not UTF-8": ("postgresql://cook:Winter2026%FFkitchen@db.example/cook", "UTF-8"),
    "a zero byte": ("postgresql://cook:Winter2026%00kitchen@db.example/cook", "%00"),
    "a line break": ("postgresql://cook:Winter2026\nkitchen@db.example/cook", "one line"),
    "a port that is no number": ("postgresql://cook:pepper@db.example:five/cook", "port"),
    "a port above all": ("postgresql://cook:pepper@db.example:65536/cook", "65535"),
    "port 0": ("postgresql://cook:pepper@db.example:0/cook", "from 1"),
    "an empty port": ("postgresql://cook:pepper@db.example:/cook", "port"),
    "a port in other digits": ("postgresql://cook:pepper@db.example:٥٤٣٢/cook", "port"),
    "no host before a port": ("postgresql://cook:pepper@:5432/cook", "no host"),
    "no host behind a comma": ("postgresql://cook:pepper@one,/cook", "no host"),
    "an IPv6 address without brackets": ("postgresql://cook:pepper@::1/cook", "host"),
    "a bracket that stays open": ("postgresql://cook:pepper@[::1/cook", "["),
    "a host with two dots": ("postgresql://cook:pepper@db..example/cook", "host"),
    "a host with a space": ("postgresql://cook:pepper@db example/cook", "host"),
    "another scheme": ("mysql://cook:pepper@db.example/cook", "postgresql"),
    "no scheme": ("cook:pepper@db.example/cook", "postgresql"),
    "an unknown option": ("postgresql://cook@db.example/cook?pepper=1", "unknown option"),
    "an option without a value": ("postgresql://cook:pepper@db.example/cook?sslmode", "sslmode"),
    "an unknown sslmode": ("postgresql://cook@db.example/cook?sslmode=pepper", "sslmode"),
    "an unknown TLS version": ("postgresql://cook@db/cook?ssl_min_protocol_version=pepper", "TLSv1.2"),
    "an option twice": ("postgresql://cook:pepper@db/cook?sslmode=require&sslmode=disable", "sslmode twice"),
    "the host twice": ("postgresql://cook:pepper@db/cook?host=other", "the host twice"),
    "the port twice": ("postgresql://cook:pepper@db/cook?port=5433", "the port twice"),
    "the user twice": ("postgresql://cook:pepper@db/cook?user=other", "the user twice"),
    "the password twice": ("postgresql://cook:pepper@db/cook?password=kitchen", "the password twice"),
    "the database twice": ("postgresql://cook:pepper@db/cook?dbname=other", "the database twice"),
    "a port after host=": ("postgresql://cook:pepper@/cook?host=[::1]:5432", "port="),
    "ports for other hosts": ("postgresql://cook:pepper@/cook?host=a,b,c&port=1,2", "number of ports"),
}
REDIS = {
    "a # in the password": ("redis://cook:Winter2026#kitchen@cache:6379/0", "%23"),
    "a / in the password": ("redis://:Winter2026/kitchen@cache:6379/0", "%2F"),
    "a ? in the password": ("redis://:Winter2026?kitchen@cache:6379/0", "%3F"),
    "a % in the password": ("redis://:Winter2026%kitchen@cache:6379/0", "%25"),
    "a port that is no number": ("redis://:pepper@cache:port", "port"),
    "a port that is no number, in a cluster": ("redis+cluster://:pepper@a:1,b:x", "port"),
    "port 0": ("redis://:pepper@cache:0", "from 1"),
    "no host": ("redis://:pepper@", "no host"),
    "no host behind a comma": ("redis+cluster://:pepper@a:1,", "no host"),
    "an IPv6 address without brackets": ("redis://:pepper@::1", "host"),
    "several hosts of one Redis": ("redis://:pepper@a:1,b:2", "redis+cluster"),
    "a database by name": ("redis://:pepper@cache/game", "no number"),
    "a database by name, as an option": ("redis://:pepper@cache?db=game", "no number"),
    "a database below 0": ("redis://:pepper@cache/-1", "no number"),
    "a path of several parts": ("redis://:pepper@cache/0/game", "no number"),
    "a database of a cluster by name": ("redis+cluster://:pepper@a:1/game", "no number"),
    "the database twice": ("redis://:pepper@cache/1?db=2", "the database twice"),
    "another scheme": ("http://:pepper@cache", "redis+sentinel"),
    "a scheme in capitals": ("REDIS://:pepper@cache", "begin with one of redis,"),
    "a time-out that is no number": ("redis://:pepper@cache?socket_timeout=abc", "socket_timeout"),
    "a time-out of 0": ("redis://:pepper@cache?socket_connect_timeout=0", "above 0"),
    "a time-out that is infinite": ("redis://:pepper@cache?socket_timeout=inf", "above 0"),
    "an unknown option": ("redis://cache?kitchen=1", "unknown option"),
    "an option without a value": ("rediss://:pepper@cache?ssl_ca_certs", "ssl_ca_certs"),
    "a truth that is none": ("rediss://:pepper@cache?ssl_check_hostname=kitchen", "true, false"),
    "TLS' options without TLS": ("redis://:pepper@cache?ssl_ca_certs=/kitchen.pem", "rediss://"),
    "Sentinels' password without them": ("redis://cache?sentinel_password=pepper", "redis+sentinel"),
    "Sentinels without a service": ("redis+sentinel://:pepper@a:26379", "service"),
    "a socket without a path": ("unix://:pepper@", "socket"),
    "a socket of a relative path": ("unix://pepper.sock", "socket"),
    "a socket with a host": ("unix://:kitchen@pepper/run/redis.sock", "socket"),
}


@pytest.mark.parametrize(("url", "word"), POSTGRES.values(), ids=POSTGRES)
def test_a_wrong_address_of_postgresql_is_refused_without_its_parts(url: str, word: str) -> None:
    """One printable line says what is wrong and what to do, and holds nothing of the password."""
    with pytest.raises(UrlError) as refused:
        parse_postgres_url(url)
    check_line(str(refused.value), word)


@pytest.mark.parametrize(("url", "word"), REDIS.values(), ids=REDIS)
def test_a_wrong_address_of_redis_is_refused_without_its_parts(url: str, word: str) -> None:
    """One printable line says what is wrong and what to do, and holds nothing of the password."""
    with pytest.raises(UrlError) as refused:
        parse_redis_url(url)
    check_line(str(refused.value), word)


def check_line(line: str, word: str) -> None:
    """Check what every refusal owes."""
    assert word in line
    assert ": " in line  # what is wrong: what to do
    assert line.isprintable()
    for piece in PIECES:
        assert piece not in line


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql:///cook", PostgresUrl(database="cook")),
        ("postgres://cook@db", PostgresUrl(("db",), (5432,), "cook")),
        (
            "postgresql://cook:p%40s%23%2F%3F%25@db.example:5433/game?sslmode=verify-full&sslrootcert=/a%20b",
            PostgresUrl(
                ("db.example",),
                (5433,),
                "cook",
                "p@s#/?%",
                "game",
                {"sslmode": "verify-full", "sslrootcert": "/a b"},
            ),
        ),
        ("postgresql://cook:p@ss:w@db/game", PostgresUrl(("db",), (5432,), "cook", "p@ss:w", "game")),
        ("postgresql://[::1]:5433,db/game", PostgresUrl(("::1", "db"), (5433, 5432), database="game")),
        (
            "postgresql://postgres@/postgres?host=/var/a%23b",
            PostgresUrl(("/var/a#b",), user="postgres", database="postgres"),
        ),
        ("postgresql://%2Frun%2Fpostgres/game", PostgresUrl(("/run/postgres",), (5432,), database="game")),
        ("postgresql:///?host=a,::1&port=7&dbname=x", PostgresUrl(("a", "::1"), (7, 7), database="x")),
        ("postgresql://db?user=u&password=a+b", PostgresUrl(("db",), (5432,), "u", "a+b")),
    ],
)
def test_an_address_of_postgresql_is_read(url: str, expected: PostgresUrl) -> None:
    """Each form that libpq knows is read into its parts, decoded."""
    assert expected == parse_postgres_url(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache", RedisUrl(RedisKind.SINGLE, nodes=(("cache", 6379),))),
        (
            "redis://user:p%40s%23%2F@cache:6380/3?socket_timeout=1.5&client_name=a",
            RedisUrl(
                RedisKind.SINGLE,
                nodes=(("cache", 6380),),
                username="user",
                password="p@s#/",
                database=3,
                options={"socket_timeout": 1.5, "client_name": "a"},
            ),
        ),
        (
            "rediss://:pass@[::1]?ssl_ca_certs=/a%23b&ssl_check_hostname=False",
            RedisUrl(
                RedisKind.SINGLE,
                tls=True,
                nodes=(("::1", 6379),),
                password="pass",
                options={"ssl_ca_certs": "/a#b", "ssl_check_hostname": False},
            ),
        ),
        (
            "unix://user:pass@/run/my%20redis.sock?db=1",
            RedisUrl(
                RedisKind.SOCKET, path="/run/my redis.sock", username="user", password="pass", database=1
            ),
        ),
        (
            "redis+cluster://user:pass@a:7000,b,[::1]:7002",
            RedisUrl(
                RedisKind.CLUSTER,
                nodes=(("a", 7000), ("b", 6379), ("::1", 7002)),
                username="user",
                password="pass",
            ),
        ),
        (
            "rediss+sentinel://a,b:1/kitchen?db=2&sentinel_username=s&sentinel_password=p%40s",
            RedisUrl(
                RedisKind.SENTINEL,
                tls=True,
                nodes=(("a", 26379), ("b", 1)),
                service="kitchen",
                database=2,
                sentinel_username="s",
                sentinel_password="p@s",
            ),
        ),
    ],
)
def test_an_address_of_redis_is_read(url: str, expected: RedisUrl) -> None:
    """Each form is read into its parts, decoded, with the default port of its kind."""
    assert expected == parse_redis_url(url)


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(user=TEXTS, password=TEXTS, database=TEXTS)
def test_whatever_is_encoded_reaches_postgresql_as_it_was(user: str, password: str, database: str) -> None:
    """Any user, password and name in percent-encoding are read as they were, by us and by asyncpg from us."""
    words = [quote(text, safe="") for text in (user, password, database)]
    parsed = parse_postgres_url("postgresql://{}:{}@[::1]:7,db/{}".format(*words))
    names = "host port user password passfile database ssl service servicefile direct_tls server_settings"
    unset = dict.fromkeys(f"{names} target_session_attrs krbsrvname gsslib".split())

    read = connect_utils._parse_connect_dsn_and_args  # type: ignore[attr-defined]  # not in the stubs
    addresses, found = read(dsn=parsed.dsn, **unset)

    assert (user, password, database) == (parsed.user, parsed.password, parsed.database)
    assert (user, password, database) == (found.user, found.password, found.database)
    assert addresses == [("::1", 7), ("db", 5432)]


@settings(max_examples=600, deadline=None, derandomize=True)
@given(
    st.sampled_from(
        ["postgresql://", "redis://", "rediss://", "unix://", "redis+cluster://", "redis+sentinel://"]
    ),
    st.text(st.sampled_from("ab1:@/?#%[],=&. é\t" + "2F"), max_size=20),
)
def test_every_text_is_read_or_refused_in_one_line(scheme: str, rest: str) -> None:
    """Nothing but UrlError is raised, whatever follows the scheme."""
    parse = parse_postgres_url if scheme == "postgresql://" else parse_redis_url
    line = ""
    try:
        parse(scheme + rest)
    except UrlError as error:
        line = str(error)
    assert line.isprintable()


def test_no_way_of_printing_an_address_shows_its_password() -> None:
    """Neither kind shows a password where it is printed."""
    redis = parse_redis_url("redis+sentinel://:pepper@a/x?sentinel_password=pepper")
    for shown in (repr(parse_postgres_url("postgresql://cook:pepper@db")), repr(redis)):
        assert "pepper" not in shown
