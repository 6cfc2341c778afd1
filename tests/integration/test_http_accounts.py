"""Accounts over HTTP: every row of the contract's table, on real databases."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import bcrypt
import jwt
import pytest

from server.auth.tokens import ACCESS_TTL_S, REFRESH_TTL_S
from tests.support.http_world import World, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.support.servers import PostgresServer, ValkeyServer

UNKNOWN = {"status": 1, "message": "invalid user info"}
NOT_ENOUGH = {"status": 2, "message": "not enough data"}
INVALID = {"status": 1, "message": "token invalid"}
AWAY = {"status": 6, "message": "service unavailable"}


@pytest.fixture
async def world(postgres_dsn: str, valkey_url: str) -> AsyncIterator[World]:
    """A server without a throttle."""
    async with running(postgres_dsn, valkey_url) as opened:
        yield opened


def said(response: httpx.Response) -> tuple[int, object]:
    """The status and the JSON of an answer."""
    assert response.headers["content-type"].startswith("application/json")
    return response.status_code, response.json()


async def let_pass(world: World, seconds: int) -> None:
    """Let time pass for tokens that were used."""
    await world.pool.execute(
        "UPDATE refresh_tokens SET used_at = used_at - make_interval(secs => $1)", seconds
    )


@pytest.mark.parametrize("kind", ["json", "data", "files"])
async def test_register_and_log_in(world: World, kind: str) -> None:
    """An account is made and logged into with each kind of body."""
    fields = {"email": f"{kind}@Example.com", "password": "pässword"}
    parts = {name: (None, text) for name, text in fields.items()}
    for path in ("/reg", "/auth"):
        if kind == "json":
            response = await world.client.post(path, json=fields)
        elif kind == "data":
            response = await world.client.post(path, data=fields)
        else:
            response = await world.client.post(path, files=parts)
        assert response.status_code == 200
        assert response.json()["status"] == 0
        claims = jwt.decode(response.json()["tokens"]["access_token"], options={"verify_signature": False})
        assert claims["id"] == str(await world.pool.fetchval("SELECT id FROM accounts"))
        assert response.headers["cache-control"] == "no-store"


async def test_registering_refusals(world: World) -> None:
    """Each reason for which no account is made has its answer."""
    email, _ = await world.registered()
    for expected, fields in (
        ((400, NOT_ENOUGH), {"email": "a@b.c"}),
        ((400, NOT_ENOUGH), {"email": "", "password": "pass word"}),
        ((400, NOT_ENOUGH), {}),
        (
            (400, {"status": 5, "message": "email is not an e-mail address"}),
            {"email": "a@b", "password": "pass word"},
        ),
        (
            (400, {"status": 5, "message": "password is shorter than 8 characters"}),
            {"email": "a@b.c", "password": "1234567"},
        ),
        (
            (400, {"status": 5, "message": "password is one of the 1,000 most common ones"}),
            {"email": "a@b.c", "password": "Password"},
        ),
        (
            (400, {"status": 5, "message": "password is longer than 72 bytes"}),
            {"email": "a@b.c", "password": "ж" * 37},
        ),
        (
            (409, {"status": 3, "message": "this user already exist"}),
            {"email": email, "password": "pass word"},
        ),
        (
            (409, {"status": 3, "message": "this user already exist"}),
            {"email": email.upper(), "password": "pass word"},
        ),
    ):
        assert expected == said(await world.post("/reg", **fields))
    assert await world.pool.fetchval("SELECT count(*) FROM accounts") == 1


async def test_logging_in_refusals(world: World) -> None:
    """Whatever is wrong with an e-mail or a password, the answer is the same."""
    email, _ = await world.registered()
    assert (await world.post("/auth", email=email.upper(), password="pass word")).status_code == 200
    for fields in (
        {"email": email, "password": "Password"},
        {"email": email, "password": "x" * 100},
        {"email": "nobody@example.com", "password": "pass word"},
        {"email": "no address", "password": "pass word"},
        {"email": "a\0@b.c", "password": "pass word"},
        {"email": "a" * 5000 + "@b.c", "password": "p"},
    ):
        assert said(await world.post("/auth", **fields)) == (401, UNKNOWN)
    assert said(await world.post("/auth", email=email)) == (400, NOT_ENOUGH)


async def test_bodies_that_cannot_be_read(world: World) -> None:
    """A malformed body is a 400, another type a 415, too long a 413, all with status 8."""
    for status, content, kind in (
        (400, b"{", "application/json"),
        (415, b"{}", "text/plain"),
        (413, b"x" * 16_385, "application/json"),
    ):
        response = await world.client.post("/reg", content=content, headers={"Content-Type": kind})
        assert (status, 8) == (response.status_code, response.json()["status"])


async def test_bearer_refusals(world: World) -> None:
    """A token that is missing, malformed or not valid is told apart; another kind is not valid."""
    _, tokens = await world.registered()
    for method, path, wrong_kind in (
        ("POST", "/refresh", "access_token"),
        ("POST", "/logout", "access_token"),
        ("POST", "/password", "refresh_token"),
        ("DELETE", "/account", "refresh_token"),
    ):
        for message, headers in (
            ("missing token", {}),
            ("invalid token format", {"Authorization": "Basic abc"}),
            ("invalid token format", {"Authorization": "Bearer"}),
            ("invalid token format", {"Authorization": tokens["refresh_token"]}),
            ("invalid token format", {"Authorization": "Bearer a, Bearer b"}),
            ("token invalid", {"Authorization": "Bearer nonsense"}),
            ("token invalid", {"Authorization": f"Bearer {tokens[wrong_kind]}"}),
        ):
            fields = {"password": "pass word", "new_password": "new password"}
            response = await world.client.request(method, path, json=fields, headers=headers)
            assert (401, {"status": 1, "message": message}) == said(response)
            assert response.headers["www-authenticate"] == "Bearer"
    assert (await world.post("/refresh", tokens["refresh_token"])).status_code == 200


async def test_refresh_is_single_use(world: World) -> None:
    """A refresh token yields the next pair, the same bytes again for 30 s, and then ends its family."""
    _, tokens = await world.registered()
    first = await world.post("/refresh", tokens["refresh_token"])
    assert first.status_code == 200
    assert first.json()["tokens"] != tokens
    await let_pass(world, 28)
    again = await world.client.post(
        "/refresh", content=b"any body", headers={"Authorization": f"bearer {tokens['refresh_token']}"}
    )
    assert first.content == again.content
    second = await world.post("/refresh", first.json()["tokens"]["refresh_token"])
    assert second.status_code == 200
    await let_pass(world, 3)
    assert said(await world.post("/refresh", tokens["refresh_token"])) == (401, INVALID)
    # The thief's token and the owner's are both dead, their access tokens too.
    newest = second.json()["tokens"]
    assert said(await world.post("/refresh", newest["refresh_token"])) == (401, INVALID)
    change = {"password": "pass word", "new_password": "new password"}
    assert said(await world.post("/password", newest["access_token"], **change)) == (401, INVALID)


async def test_tabs_refresh_at_the_same_moment(world: World) -> None:
    """Many tabs that refresh one token together get one pair."""
    _, tokens = await world.registered()
    answers = await asyncio.gather(*(world.post("/refresh", tokens["refresh_token"]) for _ in range(12)))
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].status_code == 200


async def test_log_out(world: World) -> None:
    """Logging out ends the family of the token, on each kind of token, and no other."""
    email, tokens = await world.registered()
    other = (await world.post("/auth", email=email, password="pass word")).json()["tokens"]
    assert said(await world.post("/logout", tokens["refresh_token"])) == (200, {"status": 0})
    assert said(await world.post("/logout", tokens["refresh_token"])) == (401, INVALID)
    assert said(await world.post("/refresh", tokens["refresh_token"])) == (401, INVALID)
    assert said(await world.delete(tokens["access_token"], "pass word")) == (401, INVALID)
    assert (await world.post("/refresh", other["refresh_token"])).status_code == 200


async def test_change_password(world: World) -> None:
    """A new password ends every family, without grace, begins another, and replaces the old password."""
    email, tokens = await world.registered()
    other = (await world.post("/auth", email=email, password="pass word")).json()["tokens"]
    for expected, fields in (
        ((400, NOT_ENOUGH), {"password": "pass word"}),
        (
            (400, {"status": 5, "message": "new_password is shorter than 8 characters"}),
            {"password": "pass word", "new_password": "short"},
        ),
        ((401, UNKNOWN), {"password": "wrong password", "new_password": "new password"}),
    ):
        assert expected == said(await world.post("/password", tokens["access_token"], **fields))
    successor = (await world.post("/refresh", tokens["refresh_token"])).json()["tokens"]
    changed = await world.post(
        "/password", tokens["access_token"], password="pass word", new_password="new password"
    )
    assert changed.status_code == 200
    for before in (other, tokens, successor):
        assert said(await world.post("/refresh", before["refresh_token"])) == (401, INVALID)
        assert said(await world.delete(before["access_token"], "new password")) == (401, INVALID)
    assert (await world.post("/refresh", changed.json()["tokens"]["refresh_token"])).status_code == 200
    assert said(await world.post("/auth", email=email, password="pass word")) == (401, UNKNOWN)
    assert (await world.post("/auth", email=email, password="new password")).status_code == 200


async def test_delete_account(world: World) -> None:
    """A deleted user is gone, with its tokens; the address is free again."""
    email, tokens = await world.registered()
    user = await world.pool.fetchval("SELECT id FROM accounts")
    assert said(await world.delete(tokens["access_token"], "wrong password")) == (401, UNKNOWN)
    assert said(await world.delete(tokens["access_token"], "pass word")) == (200, {"status": 0})
    assert world.forgotten == [user]
    assert said(await world.delete(tokens["access_token"], "pass word")) == (401, INVALID)
    assert said(await world.post("/refresh", tokens["refresh_token"])) == (401, INVALID)
    assert said(await world.post("/auth", email=email, password="pass word")) == (401, UNKNOWN)
    assert (await world.post("/reg", email=email, password="pass word")).status_code == 200


async def test_expired_tokens(postgres_dsn: str, valkey_url: str) -> None:
    """An access token ends after 15 minutes, a refresh token after 7 days."""
    ahead_s = 0.0
    async with running(postgres_dsn, valkey_url, clock=lambda: time.time() + ahead_s) as world:
        _, tokens = await world.registered()
        change = {"password": "wrong password", "new_password": "new password"}
        ahead_s = ACCESS_TTL_S - 5
        assert said(await world.post("/password", tokens["access_token"], **change)) == (401, UNKNOWN)
        ahead_s = ACCESS_TTL_S
        assert said(await world.post("/password", tokens["access_token"], **change)) == (401, INVALID)
        ahead_s = REFRESH_TTL_S - 5
        assert (await world.post("/refresh", tokens["refresh_token"])).status_code == 200
        ahead_s = REFRESH_TTL_S
        assert said(await world.post("/refresh", tokens["refresh_token"])) == (401, INVALID)


async def test_throttle(postgres_dsn: str, valkey_url: str) -> None:
    """Guessing is slowed down, for each client behind the proxy by itself; the right password waits too."""
    async with running(postgres_dsn, valkey_url, rate=3, trusted_proxies=("127.0.0.1",)) as world:
        world.client.headers["X-Forwarded-For"] = "192.0.2.1"
        email, tokens = await world.registered()
        for _ in range(3):
            assert said(await world.post("/auth", email=email, password="wrong")) == (401, UNKNOWN)
        refused = await world.post("/auth", email=email, password="pass word")
        assert said(refused) == (429, {"status": 4, "message": "too many requests"})
        assert 0 < int(refused.headers["retry-after"]) <= 900
        fields = {"password": "pass word", "new_password": "new password"}
        assert (await world.post("/password", tokens["access_token"], **fields)).status_code == 429
        assert (await world.delete(tokens["access_token"], "pass word")).status_code == 429
        assert (await world.post("/auth", email="other@example.com", password="x")).status_code == 401
        world.client.headers["X-Forwarded-For"] = "192.0.2.1, 192.0.2.2"
        assert (await world.post("/auth", email=email, password="pass word")).status_code == 200


async def test_throttle_counts_registrations(postgres_dsn: str, valkey_url: str) -> None:
    """An address registers only so often, whether it succeeds or not; what was not tried does not count."""
    async with running(postgres_dsn, valkey_url, rate=1) as world:
        email, _ = await world.registered()
        for _ in range(5):
            assert (await world.post("/reg", email=email, password="pass word")).status_code == 409
            assert (await world.post("/reg", email="no address", password="pass word")).status_code == 400
        for number in range(4):
            answer = await world.post("/reg", email=f"{number}@b.c", password="pass word")
            assert answer.status_code == 200
        assert (await world.post("/reg", email="last@b.c", password="pass word")).status_code == 429


async def test_busy(postgres_dsn: str, valkey_url: str) -> None:
    """Past the bound of waiting passwords a log-in is asked to come back; everything else goes on."""
    async with running(postgres_dsn, valkey_url, cost=9, max_waiting=1) as world:
        asked = [world.post("/auth", email="a@b.c", password="pass word") for _ in range(8)]
        answers = await asyncio.gather(*asked, world.client.get("/healthz"))
        statuses = [answer.status_code for answer in answers]
        assert set(statuses[:-1]) == {401, 503}
        assert statuses[-1] == 200
        refused = answers[statuses.index(503)]
        assert refused.json() == AWAY
        assert int(refused.headers["retry-after"]) > 0


async def test_cost_rises(postgres_dsn: str, valkey_url: str) -> None:
    """A log-in replaces a hash that was made when BCRYPT_COST was lower; the password stays the same."""
    async with running(postgres_dsn, valkey_url, cost=4) as world:
        email, _ = await world.registered()
    async with running(postgres_dsn, valkey_url, cost=5) as world:
        for _ in range(2):
            assert (await world.post("/auth", email=email, password="pass word")).status_code == 200
            stored: str = await world.pool.fetchval("SELECT password_hash FROM accounts")
            assert stored.startswith("$2b$05$")
            assert bcrypt.checkpw(b"pass word", stored.encode())


async def test_databases_away(
    postgres_dsn: str, own_postgres: PostgresServer, own_valkey: ValkeyServer, valkey_url: str
) -> None:
    """A database that is away is a 503 that says when to come back; what needs only the other one works."""
    async with running(postgres_dsn, own_valkey.url, rate=5) as world:
        email, tokens = await world.registered()
        await asyncio.to_thread(own_valkey.kill)
        away = await world.post("/auth", email=email, password="pass word")
        assert said(away) == (503, AWAY)
        assert int(away.headers["retry-after"]) > 0
        assert (await world.post("/refresh", tokens["refresh_token"])).status_code == 200
    async with running(own_postgres.dsn(), valkey_url, rate=5) as world:
        email, tokens = await world.registered()
        await asyncio.to_thread(own_postgres.kill)
        assert said(await world.post("/auth", email=email, password="pass word")) == (503, AWAY)
        assert said(await world.post("/refresh", tokens["refresh_token"])) == (503, AWAY)
        assert said(await world.post("/reg", email="a@b.c", password="pass word")) == (503, AWAY)


async def test_revocations_come_back(postgres_dsn: str, own_valkey: ValkeyServer) -> None:
    """What was revoked stays revoked after Redis lost everything, deleted accounts included."""
    async with running(postgres_dsn, own_valkey.url) as world:
        _, logged_out = await world.registered()
        _, deleted = await world.registered()
        _, playing = await world.registered()
        await world.post("/logout", logged_out["refresh_token"])
        await world.delete(deleted["access_token"], "pass word")
        own_valkey.ask("FLUSHALL")
        assert await world.accounts.restore_revocations() == 2
        change = {"password": "pass word", "new_password": "new password"}
        assert said(await world.post("/password", logged_out["access_token"], **change)) == (401, INVALID)
        assert said(await world.post("/password", deleted["access_token"], **change)) == (401, INVALID)
        assert (await world.post("/password", playing["access_token"], **change)).status_code == 200


DECOMPOSED, COMPOSED = "pa\u0308sswo\u0308rd-one", "p\u00e4ssw\u00f6rd-one"
NUL_FIELDS = (
    ("/reg", {"email": "nul@example.com", "password": "abcdefgh\0one"}, "password"),
    ("/auth", {"email": "nul@example.com", "password": "abcdefgh\0one"}, "password"),
    ("/password", {"password": "abcdefgh\0one", "new_password": "correct horse"}, "password"),
    ("/password", {"password": "correct horse", "new_password": "abcdefgh\0one"}, "new_password"),
)


async def test_a_password_is_one_whatever_keyboard_wrote_it(world: World) -> None:
    """Composed and decomposed letters are the same password, to register, log in and change it."""
    await world.post("/reg", email="nfc@example.com", password=DECOMPOSED)
    assert (await world.post("/auth", email="nfc@example.com", password=COMPOSED)).status_code == 200
    token = (await world.post("/auth", email="nfc@example.com", password=DECOMPOSED)).json()["tokens"]
    changed = await world.post(
        "/password", token["access_token"], password=COMPOSED, new_password="e\u0301" * 8
    )
    assert changed.status_code == 200
    assert (await world.post("/auth", email="nfc@example.com", password="\u00e9" * 8)).status_code == 200


async def test_a_password_stored_in_another_form_is_accepted_once_and_stored_anew(world: World) -> None:
    """A user who registered before NFC was taken logs in as before; from then on in either form."""
    await world.post("/reg", email="old@example.com", password="correct horse")
    old = bcrypt.hashpw(DECOMPOSED.encode(), bcrypt.gensalt(4)).decode()
    await world.pool.execute(
        "UPDATE accounts SET password_hash = $1 WHERE email = $2", old, "old@example.com"
    )
    assert said(await world.post("/auth", email="old@example.com", password=COMPOSED)) == (401, UNKNOWN)
    assert (await world.post("/auth", email="old@example.com", password=DECOMPOSED)).status_code == 200
    stored = await world.pool.fetchval(
        "SELECT password_hash FROM accounts WHERE email = $1", "old@example.com"
    )
    assert bcrypt.checkpw(COMPOSED.encode(), stored.encode())
    assert (await world.post("/auth", email="old@example.com", password=COMPOSED)).status_code == 200


@pytest.mark.parametrize(("path", "fields", "named"), NUL_FIELDS)
async def test_a_nul_in_a_password_is_refused_by_name(
    world: World, path: str, fields: dict[str, str], named: str
) -> None:
    """U+0000 is 400 status 5 wherever a password is sent, in a body that can hold it."""
    made = await world.post("/reg", email="whole@example.com", password="correct horse")
    headers = {"Authorization": f"Bearer {made.json()['tokens']['access_token']}"}
    answer = await world.client.post(path, json=fields, headers=headers)
    assert said(answer) == (400, {"status": 5, "message": f"{named} contains U+0000"})


async def test_a_nul_deletes_no_account(world: World) -> None:
    """The same for the password that a deletion needs."""
    made = await world.post("/reg", email="kept@example.com", password="correct horse")
    headers = {"Authorization": f"Bearer {made.json()['tokens']['access_token']}"}
    answer = await world.client.request(
        "DELETE", "/account", json={"password": "correct horse\0"}, headers=headers
    )
    assert said(answer) == (400, {"status": 5, "message": "password contains U+0000"})
