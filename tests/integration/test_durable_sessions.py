"""Sessions in PostgreSQL: fenced by version, never those of the deleted, one bad row alone."""

from __future__ import annotations

import asyncio
import contextlib
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from game.session import ClientWindow, Session, UserId
from persistence.durable.rows import hash_of_record, row_of_hash, row_of_session
from persistence.durable.sessions import count_sessions, iterate_hashes, load_records, load_rows
from persistence.errors import DurableUnavailable
from persistence.live.hashes import fields_of
from persistence.live.record import PACKED_RATES, Rates
from tests.support.limits import LIMIT_S
from tests.support.saving_world import SavingWorld, changed, player, saving_world, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


@pytest.fixture
async def world(valkey_url: str, postgres_dsn: str) -> AsyncIterator[SavingWorld]:
    """A migrated database; Redis is not looked at."""
    async with saving_world(valkey_url, postgres_dsn) as world:
        yield world


async def test_a_session_comes_back_as_it_was_written(world: SavingWorld) -> None:
    """Every field, large doubles and a client's odd name included."""
    [user] = await world.accounts(1)
    session = player(user, money=1e300)
    session.clients['\x00"\\\t\n☃'] = ClientWindow(2**53 - 1, 3, 9 * 10**11)
    result = await world.writer().write([row_of_session(session)])
    assert {user} == result.saved
    assert session == await world.saved(user)


async def test_the_fence_lets_only_newer_versions_through(world: SavingWorld) -> None:
    """Older ones are refused with PostgreSQL's version, the same one counts as saved, newer ones replace."""
    [user] = await world.accounts(1)
    writer, first = world.writer(), player(user, version=1000, money=1)
    await writer.write([row_of_session(first)])
    older = await writer.write([row_of_session(changed(first, 999, 2))])
    assert ({user: 1000}, set()) == (older.ahead, older.saved)
    same = await writer.write([row_of_session(changed(first, 1000, 3))])
    assert {user} == same.saved
    assert first == await world.saved(user)
    newer = await writer.write([row_of_session(changed(first, 1001, 4))])
    assert {user} == newer.saved
    assert changed(first, 1001, 4) == await world.saved(user)


async def test_a_deleted_accounts_session_is_not_written_again(world: SavingWorld) -> None:
    """It is reported as gone, the others of its batch are saved."""
    kept, deleted = await world.accounts(2)
    writer = world.writer()
    await writer.write([row_of_session(player(deleted, 1))])
    await world.delete_account(deleted)
    result = await writer.write([row_of_session(player(kept, 2)), row_of_session(player(deleted, 2))])
    assert ({kept}, {deleted}) == (result.saved, result.gone)
    assert await count_sessions(world.pool) == 1


async def test_rows_of_every_kind_go_in_one_write(world: SavingWorld) -> None:
    """Known ones, a new one, one that is as new, one that is newer and one of no account: each as itself."""
    known, new, same, newer, deleted = await world.accounts(5)
    writer = world.writer()
    versions = {known: 1, same: 2, newer: 3, deleted: 1}
    await writer.write([row_of_session(player(user, version)) for user, version in versions.items()])
    await world.delete_account(deleted)
    result = await writer.write(
        [row_of_session(player(user, 2)) for user in (newer, deleted, same, new, known)]
    )
    assert ({known, new, same}, {newer: 3}, {deleted}, {}) == (
        result.saved,
        result.ahead,
        result.gone,
        result.bad,
    )
    saved = await world.pool.fetch("SELECT user_id, version FROM sessions")
    assert {known: 2, new: 2, same: 2, newer: 3} == {row["user_id"]: row["version"] for row in saved}


@pytest.mark.parametrize("others", [0, 1])
async def test_an_account_deleted_during_the_write_is_gone_too(world: SavingWorld, others: int) -> None:
    """The write waits for the deletion that came first, and does not bring the session back."""
    [user, *rest] = await world.accounts(1 + others)
    writer = world.writer()
    await writer.write([row_of_session(player(user, 1))])
    async with world.pool.acquire() as deleting:
        transaction = deleting.transaction()
        await transaction.start()
        await deleting.execute("DELETE FROM accounts WHERE id = $1", user)
        writing = asyncio.create_task(writer.write([row_of_session(player(one, 2)) for one in (user, *rest)]))
        await until(lambda: world.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        await transaction.commit()
    result = await writing
    assert (result.saved, result.gone, result.bad) == (set(rest), {user}, {})


@pytest.mark.parametrize("money", [float("nan"), float("inf"), -1.0, math.nextafter(1e300, math.inf), 1e301])
async def test_one_bad_row_does_not_stop_the_rest(world: SavingWorld, money: float) -> None:
    """It is named with PostgreSQL's reason; the other 99 are saved."""
    users = await world.accounts(100)
    rows = [row_of_session(player(user, money=42)) for user in users]
    bad = rows[37] = row_of_session(player(users[37], money=money))
    result = await world.writer().write(rows)
    assert set(users) - {bad.user_id} == result.saved
    assert [bad.user_id] == list(result.bad)
    assert await world.saved(bad.user_id) is None


async def test_two_writers_of_the_same_sessions_do_not_block_each_other(world: SavingWorld) -> None:
    """Whatever the order of their rows, known or new, both end, and the newest version stays."""
    users = await world.accounts(200)
    await world.writer().write([row_of_session(player(user, version=1)) for user in users[::2]])
    one = [row_of_session(player(user, version=2000)) for user in users]
    two = [row_of_session(player(user, version=2001)) for user in reversed(users)]
    results = await asyncio.gather(world.writer().write(one), world.writer().write(two))
    assert set(users) == results[1].saved
    assert all(row["version"] == 2001 for row in await world.pool.fetch("SELECT version FROM sessions"))


async def test_a_writer_that_is_locked_out_by_another_writes_again(world: SavingWorld) -> None:
    """Each of two holds a row that the other waits for: PostgreSQL ends the writer's try, not the write."""
    first, last = await world.accounts(2)
    writer = world.writer()
    await writer.write([row_of_session(player(user, 1)) for user in (first, last)])
    # The only plan that is left locks the rows one after the other.
    for setting in ("enable_hashjoin", "enable_mergejoin", "enable_seqscan"):
        await (await writer._connected()).execute(f"SET {setting} = off")
    async with world.pool.acquire() as other, other.transaction():
        await other.execute("SET LOCAL deadlock_timeout = '1h'")  # the writer is the one that finds it
        await other.execute("SELECT FROM sessions WHERE user_id = $1 FOR UPDATE", last)
        writing = asyncio.create_task(
            writer.write([row_of_session(player(user, 2)) for user in (first, last)])
        )
        await until(lambda: world.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        await other.execute("SELECT FROM sessions WHERE user_id = $1 FOR UPDATE", first)
    assert {first, last} == (await writing).saved


async def test_a_write_that_takes_too_long_is_given_up(world: SavingWorld) -> None:
    """It may have happened; the next write goes over a new connection."""
    [user] = await world.accounts(1)
    writer = world.writer(write_timeout_s=0.3)
    async with world.pool.acquire() as blocking, blocking.transaction():
        await blocking.execute("LOCK TABLE sessions IN EXCLUSIVE MODE")
        with pytest.raises(DurableUnavailable):
            await writer.write([row_of_session(player(user))])
    async with asyncio.timeout(LIMIT_S):
        while True:
            with contextlib.suppress(DurableUnavailable):  # a busy machine takes longer than the limit
                assert {user} == (await writer.write([row_of_session(player(user))])).saved
                break


async def test_a_write_commits_to_disk(world: SavingWorld) -> None:
    """Whatever the server's own setting, the flusher's commits are synchronous."""
    await world.pool.execute(
        "ALTER DATABASE "
        + await world.pool.fetchval("SELECT current_database()")
        + " SET synchronous_commit = off"
    )
    writer = world.writer()
    await writer.read([])
    assert writer._connection is not None
    assert await writer._connection.fetchval("SHOW synchronous_commit") == "on"


async def test_loading_tells_no_session_from_no_account(world: SavingWorld) -> None:
    """A new player has an address and None, an unknown user is missing, an unreadable row is missing too."""
    saved, new, unreadable = await world.accounts(3)
    await world.writer().write([row_of_session(player(saved)), row_of_session(player(unreadable))])
    await world.pool.execute("UPDATE sessions SET bought = 'apples' WHERE user_id = $1", unreadable)
    rows = await load_rows(world.pool, [saved, new, unreadable, UserId(10**9)])
    assert {saved, new} == rows.keys()
    assert player(saved) == rows[saved].session
    assert rows[new].session is None
    assert rows[new].email.endswith("@example.org")


def as_hash(fields: Sequence[bytes]) -> dict[bytes, bytes]:
    """Pair names with values."""
    return dict(zip(fields[::2], fields[1::2], strict=True))


async def test_a_copied_session_is_the_hash_of_its_record(world: SavingWorld) -> None:
    """Byte by byte: with everything that a session may have, with nothing of it, and a guest's."""
    full, bare, guest = await world.accounts(3)
    await world.pool.execute("UPDATE accounts SET email = NULL, password_hash = NULL WHERE id = $1", guest)
    words = iter(fields_of(player(full, money=1e300)))
    rates = PACKED_RATES.pack(*range(len(Rates._fields))) + b"12.run"
    await world.writer().write(
        [
            row_of_hash(full, dict(zip(words, words, strict=True)) | {b"rates": rates}),
            row_of_session(Session(bare, 1, 1)),
            row_of_session(player(guest)),
        ]
    )
    [copied] = [batch async for batch in iterate_hashes(world.pool)]
    records = {record["id"]: record for record in await load_records(world.pool, [full, bare, guest])}
    for user, packed in zip((full, bare, guest), copied, strict=True):
        expected, found = hash_of_record(records[user]), packed.unpacked()
        assert (found.user_id, found.version) == (user, expected.version)
        assert as_hash(found.fields) == as_hash(expected.fields)


async def test_sessions_are_read_in_batches_by_id(world: SavingWorld) -> None:
    """Each once, in order, and with a moment only those written since."""
    users = await world.accounts(25)
    await world.writer().write([row_of_session(player(user)) for user in users])
    await world.pool.execute(
        "UPDATE sessions SET updated_at = now() - interval '2 days' WHERE user_id = $1", users[3]
    )
    batches = [batch async for batch in iterate_hashes(world.pool, batch=10)]
    assert [len(batch) for batch in batches] == [10, 10, 5]
    assert users == [saved.user_id for batch in batches for saved in batch]
    since = datetime.now(UTC) - timedelta(days=1)
    recent = [
        saved.user_id async for batch in iterate_hashes(world.pool, active_since=since) for saved in batch
    ]
    assert [user for user in users if user != users[3]] == recent
    assert (
        await count_sessions(world.pool),
        await count_sessions(world.pool, active_since=since),
    ) == (25, 24)
