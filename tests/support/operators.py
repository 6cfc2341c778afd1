"""Operators of the game in tests: their command, and what it works with in this process."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from game.replacing import NUMBERS, Progress
from persistence.durable.current_catalogue import open_catalogues
from persistence.durable.operator_log import OperatorLog
from persistence.durable.sessions import load_rows
from runtime.settings import read_settings
from scripts.databases import open_databases
from server.desk.sessions import OperatorSessions, open_sessions
from tests.support.commands import run_command
from tests.support.players import Player, joined, register, user_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from game.session import UserId
    from scripts.databases import Databases
    from tests.support.game_server import GameServer

EXPORTED: Final = Progress(
    **dict.fromkeys(NUMBERS, 7.0) | {"money": 700.0, "rank": 3.0}, bought={1: 1}, achieved=(1,)
)
"""Progress that an operator imports."""


async def command(settings: Mapping[str, str], *words: object, code: int = 0) -> str:
    """Run `scripts.player` as an operator does; returns what it printed."""
    environment = {**os.environ, **settings}
    done = await asyncio.to_thread(run_command, "scripts.player", *map(str, words), environment=environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@asynccontextmanager
async def desk(settings: Mapping[str, str]) -> AsyncIterator[tuple[Databases, OperatorSessions, OperatorLog]]:
    """Open what a command works with, in this process."""
    async with open_databases(read_settings(dict(settings))) as databases:
        catalogues = await open_catalogues(databases.pool, "ru")
        read_rows = partial(load_rows, databases.pool)
        async with open_sessions(databases.store, catalogues, read_rows, databases.settings) as sessions:
            yield databases, sessions, OperatorLog(databases.pool)


async def money_of(each: Player) -> int:
    """Ask for the session's money."""
    shown = await each.ask("session")
    money: int = shown["session"]["money"]
    return money


async def cooking(stack: AsyncExitStack, server: GameServer) -> tuple[Player, UserId, dict[str, str]]:
    """Open an account that owns the sandwich."""
    tokens = await asyncio.to_thread(register, server)
    each = await joined(stack, server, tokens["access_token"])
    await each.ask("upgrade_buy", id=1)
    return each, user_of(tokens), tokens
