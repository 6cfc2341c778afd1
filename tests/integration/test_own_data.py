"""A player's own data: the export has all of it, wherever it lies, and a deletion leaves nothing of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest
import redis.asyncio

from persistence.durable.community import Community
from persistence.durable.operator_log import OperatorLog, Outcome, Wish
from persistence.durable.sessions import SessionWriter, load_rows
from persistence.durable.token_families import TokenFamilies
from persistence.live.hashes import fields_of
from persistence.live.record import PACKED_RATES, RECORD, Rates
from persistence.writeback.batch import Saver
from server.auth.tidying import tidy_once
from server.auth.tokens import REFRESH_TTL_S
from tests.integration.test_http_accounts import INVALID, said
from tests.integration.test_recovery import Postbox
from tests.support.http_world import World, running
from tests.support.players import user_of
from tests.support.saving_world import player

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from game.session import UserId

NAME = "Anna of the kitchen"
PASSWORD = "pass word"

# What Redis holds of a player for a moment, and the export does not: it says nothing but that there is one.
MOMENTARY = {"load": "the claim of a load, 5 s", "revoked": "the id of an ended family, 15 min"}

REWRITTEN = {
    "password_hash",
    "bought",
    "achieved",
    "offline",
    "clients",
    "session_given",
    "session_found",
}
"""Texts that the export has in another form, or not at all."""

SECTION_OF_TABLE = {
    "accounts": "account",
    "sessions": "saved",
    "families": "log_ins",
    "refresh_tokens": "log_ins",
    "reset_links": "reset_links",
    "leaderboard": "leaderboard",
    "suspensions": "suspensions",
    "operator_subjects": "operator_log",
    "operator_intents": "operator_log",
    "operator_log": "operator_log",
}
NAMED_OTHERWISE = {
    "accounts.id": "user_id",
    "sessions.generation": "rates_hold_under",
    "leaderboard.user_id": "",
    "suspensions.user_id": "",
    "operator_subjects.user_id": "",
    "operator_intents.begun_at": "made_at",
    "operator_intents.operator": "",
    "sessions.user_id": "",
    "families.user_id": "",
    "reset_links.user_id": "",
}
"""Columns that the export has under another name; "": the account's own number, which stands there once."""


@dataclass(slots=True)
class Traces:
    """A player with something everywhere, and what would give the player away."""

    user_id: UserId
    email: str
    tokens: dict[str, str]
    families: list[str]

    @property
    def words(self) -> list[str]:
        """Texts that only this player's data holds."""
        return [self.email, NAME, *self.families]


@pytest.fixture
async def world(postgres_dsn: str, own_redis: str) -> AsyncIterator[World]:
    """A server that can send mail, whose Redis holds nothing of others."""
    async with running(postgres_dsn, own_redis, rate=100, mail=Postbox()) as opened:
        yield opened


@pytest.fixture
def own_redis(own_valkey: Any) -> str:
    """The address of a Redis of the test's own."""
    url: str = own_valkey.url
    return url


async def with_traces(world: World, url: str) -> Traces:
    """Make a player who played, saved, chose a name, has log-ins, and forgot a password."""
    email, first = await world.registered()
    user_id = user_of(first)
    second = (await world.post("/auth", email=email, password=PASSWORD)).json()["tokens"]
    renewed = (await world.post("/refresh", second["refresh_token"])).json()["tokens"]
    third = (await world.post("/auth", email=email, password=PASSWORD)).json()["tokens"]
    await world.post("/logout", third["refresh_token"])
    await world.post("/auth", email=email, password="wrong")
    await world.post("/forgot", email=email)
    await cast("Postbox", world.mail).links()
    await put_session(world, url, user_id, email)
    community = Community(world.pool)
    await community.set_name(user_id, NAME)
    await community.leaderboard(user_id, "money")
    await community.stop()
    # Of a suspension that is over the player can still log in.
    await world.pool.execute(
        "INSERT INTO suspensions (user_id, ends_at, because) VALUES ($1, now(), 'rude words')", user_id
    )
    async with OperatorLog(world.pool).turn(user_id) as turn:
        assert turn is not None
        intent = await turn.begin(Wish("boris", "a letter", "import", session="{}"))
        await turn.finish(intent, Outcome.DONE, None, None, 7, "{}")
    rows = await world.pool.fetch("SELECT id FROM families WHERE user_id = $1", user_id)
    return Traces(user_id, email, renewed, [row["id"] for row in rows])


async def put_session(world: World, url: str, user_id: UserId, email: str) -> None:
    """Have a session in both databases, the one in Redis a click ahead of what is saved."""
    session = player(user_id)
    derived = [b"rates", PACKED_RATES.pack(*map(float, range(len(Rates._fields)))) + b"7.run"]
    async with redis.asyncio.Redis.from_url(url) as client:
        key, marks = world.store.keys.session(user_id), world.store.keys.dirty(bucket(user_id))
        await client.hset(key, items=fields_of(session, email, dirty=True, saved=0) + derived)
        await client.zadd(marks, {str(user_id): 1000})
        writer = SessionWriter(world.dsn)
        await Saver(world.store, writer, 1200).save([user_id], 2000)
        writer.close()
        session.version += 1
        session.dishes += 1
        await client.hset(key, items=fields_of(session, email, dirty=True, saved=session.version - 1))
        await client.persist(key)
        await client.zadd(marks, {str(user_id): 1_700_000_000_000})


def bucket(user_id: UserId) -> Any:
    """The bucket of a player's keys."""
    return user_id % 1024


async def export(world: World, tokens: dict[str, str]) -> dict[str, Any]:
    """Ask for everything; the answer is a file that nobody may keep."""
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = await world.client.get("/export", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="click-and-cook-{user_of(tokens)}.json"'
    )
    assert answer.headers["cache-control"] == "no-store"
    kept: dict[str, Any] = orjson.loads(answer.content)
    return kept


async def tables(world: World) -> dict[str, list[str]]:
    """Every table and view of the schema, with its columns."""
    rows = await world.pool.fetch(
        "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm', 'v')"
        " AND attnum > 0 AND NOT attisdropped ORDER BY relname, attnum"
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["relname"], []).append(row["attname"])
    return found


async def rows_of(world: World, table: str, columns: list[str], traces: Traces) -> list[dict[str, Any]]:
    """Read a table's rows that have the player's number, or any of the player's words."""
    rows = [dict(row) for row in await world.pool.fetch(f"SELECT * FROM {table}")]  # noqa: S608 - of this test
    numbers = {name for name in columns if name == "user_id" or (table, name) == ("accounts", "id")}
    link = "SELECT subject FROM operator_subjects WHERE user_id = $1"
    subject = await world.pool.fetchval(link, traces.user_id)
    return [
        row
        for row in rows
        if any(row[name] == traces.user_id for name in numbers)
        or (subject is not None and row.get("subject") == subject)
        or any(word in str(value) for value in row.values() for word in traces.words)
    ]


def names_in(section: Any) -> set[str]:
    """Every name in a part of the export."""
    if isinstance(section, list):
        return set().union(*map(names_in, section))
    if isinstance(section, dict):
        return set(section).union(*map(names_in, section.values()))
    return set()


async def test_every_table_and_column_is_in_the_export(world: World, own_redis: str) -> None:
    """Where PostgreSQL has something of the player, the export has it, or says why not."""
    traces = await with_traces(world, own_redis)
    kept = await export(world, traces.tokens)
    found = {}
    for table, columns in (await tables(world)).items():
        if rows := await rows_of(world, table, columns, traces):
            found[table] = rows
    assert found.keys() == SECTION_OF_TABLE.keys()
    for table, rows in found.items():
        section = kept[SECTION_OF_TABLE[table]]
        names = names_in(section)
        for column in rows[0]:
            full = f"{table}.{column}"
            shown = NAMED_OTHERWISE.get(full, column)
            assert not shown or shown in names or full in kept["left_out"], full
    shown = orjson.dumps(kept).decode()
    for row in [row for rows in found.values() for row in rows]:
        for column, value in row.items():
            if isinstance(value, str) and column not in {*REWRITTEN, "operator"}:
                assert value in shown, column
    [account] = found["accounts"]
    assert account["password_hash"] not in shown
    assert kept["left_out"].keys() == {
        "accounts.password_hash",
        "reset_links.digest",
        "operator_log.operator",
    }
    assert "boris" not in shown


async def test_every_field_of_the_session_is_in_the_export(world: World, own_redis: str) -> None:
    """Both copies, each number by name, with the units; the live one is what Redis has, unsaved and all."""
    traces = await with_traces(world, own_redis)
    kept = await export(world, traces.tokens)
    expected = player(traces.user_id)
    for part, ahead in (("live", 1), ("saved", 0)):
        shown = kept[part]
        assert shown["version"] == expected.version + ahead
        assert shown["dishes"] == expected.dishes + ahead
        assert shown["money"] == expected.money
        assert shown["earned"] == expected.earned
        assert shown["bought"] == {str(number): times for number, times in expected.bought.items()}
        assert shown["achieved"] == [*expected.achieved]
        assert shown["offline"]["seconds"] == 3600
        assert shown["clients"] == {
            "tab-1": {"highest": 70, "applied": "f" * 16, "used_version": 1_700_000_000_000}
        }
        assert shown["rates"] == {name: number for number, name in enumerate(Rates._fields)}
    live_names = {name for names, _ in RECORD.values() for name in names}
    assert live_names <= names_in(kept["live"])
    assert kept["live"]["unsaved_since"] == 1_700_000_000_000
    assert kept["live"]["rates_hold_under"] == "7.run"
    assert kept["live"]["email"] == traces.email
    assert kept["account"]["guest"] is False
    assert len(kept["log_ins"]) == 3
    assert len(kept["reset_links"]) == 1
    assert [place["name"] for place in kept["leaderboard"]] == [NAME]
    assert set(kept["units"]) <= names_in(kept)


async def keys_of(url: str, traces: Traces) -> set[str]:
    """Name the kinds of keys in Redis that hold the player's number or words, in their names or values."""
    found = set()
    async with redis.asyncio.Redis.from_url(url, decode_responses=True, encoding_errors="replace") as client:
        async for key in client.scan_iter():
            kind = await client.type(key)
            held: list[str] = [key]
            if kind == "zset":
                held += map(str, await client.zrange(key, 0, -1))
            elif kind == "string":
                held.append(str(await client.get(key)))
            elif kind == "hash":
                held += (str(word) for word in (await client.hgetall(key)).values())
            of_player = key.endswith(f":{traces.user_id}") or str(traces.user_id) in held[1:]
            if of_player or any(word in text for text in held for word in traces.words):
                found.add(key.partition(":")[0])
    return found


async def test_every_key_is_in_the_export(world: World, own_redis: str) -> None:
    """Redis has the session and its mark; what else bears the player's number is there for a moment."""
    traces = await with_traces(world, own_redis)
    async with redis.asyncio.Redis.from_url(own_redis) as client:
        await client.set(world.store.keys.load(traces.user_id), "claim", px=5000)
    kept = await export(world, traces.tokens)
    found = await keys_of(own_redis, traces)
    assert found - MOMENTARY.keys() == {"session", "dirty"}
    assert kept["live"]["unsaved_since"]


async def test_a_deletion_leaves_nothing(world: World, own_redis: str) -> None:
    """At once only ids of ended families stay, so that no token is good again; soon they are gone too."""
    other = await world.registered()
    traces = await with_traces(world, own_redis)
    assert said(await world.delete(traces.tokens["access_token"], PASSWORD)) == (200, {"status": 0})
    community = Community(world.pool)
    await tidy_once(world.guests, world.recovery, community)
    await community.stop()
    left = await left_of(world, traces)
    assert left.keys() == {"families"}
    assert await keys_of(own_redis, traces) <= {"revoked"}
    for row in left["families"]:
        assert row["revoked_at"] is not None
    await world.pool.execute("UPDATE families SET expires_at = expires_at - interval '15 minutes'")
    await TokenFamilies(world.pool, REFRESH_TTL_S).prune()
    assert await left_of(world, traces) == {}
    assert said(await world.post("/refresh", traces.tokens["refresh_token"])) == (401, INVALID)
    _, tokens = other
    assert (await world.post("/refresh", tokens["refresh_token"])).status_code == 200
    assert user_of(tokens) in await load_rows(world.pool, [user_of(tokens)])


async def left_of(world: World, traces: Traces) -> dict[str, list[dict[str, Any]]]:
    """Find every row that has something of the player."""
    found = {}
    for table, columns in (await tables(world)).items():
        if rows := await rows_of(world, table, columns, traces):
            found[table] = rows
    return found


async def test_a_guest_who_never_played(world: World) -> None:
    """There is an account, a log-in, and nothing else."""
    tokens = (await world.post("/guest")).json()["tokens"]
    kept = await export(world, tokens)
    assert kept["account"]["guest"] is True
    assert kept["account"]["email"] is None
    assert (kept["live"], kept["saved"], kept["reset_links"], kept["leaderboard"]) == (None, None, [], [])
    assert len(kept["log_ins"]) == 1


async def test_a_session_that_cannot_be_read_is_shown_as_it_is(world: World, own_redis: str) -> None:
    """The export has it in hexadecimal, with the reason, and all the rest."""
    traces = await with_traces(world, own_redis)
    async with redis.asyncio.Redis.from_url(own_redis) as client:
        await client.hset(world.store.keys.session(traces.user_id), "now", b"odd")
        kept = await export(world, traces.tokens)
        assert "field 'now'" in kept["live"]["unreadable"]
        assert kept["live"]["fields"]["now"] == b"odd".hex()
        assert kept["saved"]["money"] == player(traces.user_id).money
        await client.delete(world.store.keys.session(traces.user_id))
        await client.set(world.store.keys.session(traces.user_id), "no hash")
        assert "WRONGTYPE" in (await export(world, traces.tokens))["live"]["unreadable"]
