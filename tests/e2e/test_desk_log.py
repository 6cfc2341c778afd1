"""What operators do is logged once, whatever ends half-way, and nobody rewrites the log."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest

from persistence.durable.operator_log import Outcome, Turn, Wish
from persistence.errors import DurableUnavailable
from server.desk.changing import Changes
from server.desk.importing import progress_json
from server.desk.sessions import OperatorSessions
from tests.support.limits import LIMIT_S
from tests.support.operators import EXPORTED, cooking, desk, money_of
from tests.support.players import PASSWORD

if TYPE_CHECKING:
    from game.adjusting import Adjustment
    from game.replacing import Progress
    from game.session import UserId
    from persistence.live.replies.play_shapes import PlayReply
    from tests.support.game_server import GameServer


class _Interrupted(OperatorSessions):
    """Sessions of an operator whose command ends before (`at` 0) or after (1) the change is made."""

    def __init__(self, sessions: OperatorSessions, at: int) -> None:
        self._inner = sessions
        self._at = at

    async def replace(self, user_id: UserId, progress: Progress, number: int) -> PlayReply:
        """End as a killed command does."""
        if self._at:
            await self._inner.replace(user_id, progress, number)
        raise _KilledError

    async def adjust(self, user_id: UserId, change: Adjustment, number: int) -> PlayReply:
        """End as a killed command does."""
        if self._at:
            await self._inner.adjust(user_id, change, number)
        raise _KilledError


class _KilledError(Exception):
    """The command was killed here."""


async def test_an_operator_and_a_deletion_under_way(game: GameServer) -> None:
    """Nobody writes the outcome of a deletion for it, and who waits for it finds no account in the end."""
    async with AsyncExitStack() as stack:
        _, user_id, _ = await cooking(stack, game)
        databases, sessions, log = await stack.enter_async_context(desk(game.settings))
        async with log.turn(user_id) as turn:
            assert turn is not None
            intent = await turn.begin(Wish("anna", "letter 1", "delete"))
        made, settled = await Changes(log, sessions, user_id).make(Wish("boris", "letter 2", "money", 7.0))
        assert (made is not None and made.outcome, settled) == (Outcome.DONE, [])
        await log.finish(intent, Outcome.DONE)
        by_number = {entry["number"]: entry["outcome"] for entry in await log.latest(user_id, 9)}
        assert by_number[intent.number] == "done"
        connection = await asyncpg.connect(game.settings["DB_CONNECTION"])
        stack.push_async_callback(connection.close)
        deletion = connection.transaction()
        await deletion.start()
        await connection.execute("DELETE FROM accounts WHERE id = $1", user_id)
        waiting = asyncio.create_task(
            Changes(log, sessions, user_id).make(Wish("boris", "letter 3", "money", 1))
        )
        waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%operator_subjects%'"
        waits += " AND wait_event_type = 'Lock' AND datname = current_database())"
        async with asyncio.timeout(LIMIT_S):
            while True:
                if await databases.pool.fetchval(waits):
                    break
                await asyncio.sleep(0.02)
        await deletion.commit()
        assert await waiting == (None, [])


@pytest.mark.parametrize("at", [0, 1])
async def test_a_killed_command_is_made_once(game: GameServer, at: int) -> None:
    """Whether it ended before or after the change: repeated, it counts once; so it does before another's."""
    async with AsyncExitStack() as stack:
        anna, user_id, _ = await cooking(stack, game)
        _, sessions, log = await stack.enter_async_context(desk(game.settings))
        killed = Changes(log, _Interrupted(sessions, at), user_id)
        same, others = Wish("boris", "letter 1", "money", 5.0), Wish("anna", "letter 2", "money", 9.0)
        for wish in (same, others):
            with pytest.raises(_KilledError):
                await killed.make(wish)
            assert await money_of(anna) == (5 if wish is others else 0) + at * int(wish.amount)
            changes = Changes(log, sessions, user_id)
            made, settled = await changes.make(same)
            assert made is not None
            assert [each.wish for each in settled] == [wish]
        assert await money_of(anna) == 14
        rich = Wish("anna", "letter 3", "import", session=progress_json(EXPORTED))
        with pytest.raises(_KilledError):
            await killed.make(rich)
        await Changes(log, sessions, user_id).make(same)
        assert await money_of(anna) == 700
        entries = await log.latest(user_id, 9)
        assert [(entry["amount"], entry["outcome"]) for entry in entries] == [
            (0, "done"),
            (9, "done"),
            (5, "done"),
        ]
        assert (entries[0]["session_found"] is None) == bool(at)


async def test_without_postgresql_nothing_is_done_by_halves(
    game: GameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away before: refused. Away after the change: the same command again logs it, and changes nothing."""
    async with AsyncExitStack() as stack:
        anna, user_id, _ = await cooking(stack, game)
        wish = Wish("boris", "letter 1", "money", 5.0)
        databases, sessions, log = await stack.enter_async_context(desk(game.settings))
        finish = Turn.finish

        async def cut(self: Turn, *words: Any) -> None:
            pid = await self._connection.fetchval("SELECT pg_backend_pid()")
            await databases.pool.execute("SELECT pg_terminate_backend($1)", pid)
            await finish(self, *words)

        with monkeypatch.context() as patched:
            patched.setattr(Turn, "finish", cut)
            with pytest.raises(DurableUnavailable):
                await Changes(log, sessions, user_id).make(wish)
        assert await money_of(anna) == 5
        made, _ = await Changes(log, sessions, user_id).make(wish)
        assert made is not None
        assert (made.outcome, made.before, made.earlier) == (Outcome.DONE, None, False)
        assert await money_of(anna) == 5
        databases.pool.terminate()
        with pytest.raises(DurableUnavailable):
            await Changes(log, sessions, user_id).make(Wish("boris", "letter 2", "money", 5.0))
        assert await money_of(anna) == 5


async def test_the_log_stays_and_forgets_who(game: GameServer) -> None:
    """The server's own role can't change or delete it; a deletion takes the link to the player alone."""
    async with AsyncExitStack() as stack:
        _, user_id, tokens = await cooking(stack, game)
        databases, sessions, log = await stack.enter_async_context(desk(game.settings))
        made, _ = await Changes(log, sessions, user_id).make(Wish("boris", "letter 1", "money", 5.0))
        assert made is not None
        for table in ("operator_log", "operator_intents"):
            for statement in ("UPDATE {} SET reason = 'x'", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
                with pytest.raises(asyncpg.RaiseError, match="cannot be changed"):
                    await databases.pool.execute(statement.format(table))
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        async with httpx.AsyncClient(timeout=LIMIT_S) as client:
            body = {"password": PASSWORD}
            gone = await client.request("DELETE", f"{game.url}/account", headers=headers, json=body)
            assert gone.status_code == 200
        row = await databases.pool.fetchrow("SELECT * FROM operator_log WHERE number = $1", made.number)
        assert row is not None
        assert (row["operator"], row["after"]) == ("boris", 5)
        links = "SELECT count(*) FROM operator_subjects WHERE subject = $1 OR user_id = $2"
        assert await databases.pool.fetchval(links, row["subject"], user_id) == 0
