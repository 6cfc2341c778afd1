"""The composition root: builds the parts, starts them in order, stops them in reverse."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import structlog

from persistence.errors import StorageUnavailable
from persistence.outages import line_of
from runtime.loop_errors import report_loop_errors
from runtime.settings import StartupError
from runtime.stopping import StoppedWhileStartingError, interruptible_start
from runtime.turns import Turns
from server.app.accounts import AccountParts, build_accounts
from server.app.background import Background
from server.app.collector import collect_daily, spared_collector
from server.app.game import Game, build_game
from server.app.operations import Operations, build_operations
from server.app.storage import Storage, build_storage
from server.app.tracing import open_tracing
from server.auth.housekeeping import keep_log_ins
from server.auth.tidying import tidy
from server.ports import bind_port, port_refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from persistence.writeback.flusher import Flusher
    from runtime.settings import Settings
    from server.ports import BoundPort

    Work = Callable[[], Coroutine[None, None, None]]

_log = structlog.get_logger(__name__)


async def serve(
    settings: Settings, port: BoundPort | None = None, *, ready: Callable[[], None] | None = None
) -> bool:
    """Run one server process until SIGTERM or SIGINT, and return after the drain.

    Returns False where the stop came before players could connect: it ends the start at once. Without a bound
    `port` it binds its own, shared with other processes where settings say so. `ready` is called once when
    players can connect. It serves on for `drain_notice_s` after the signal. Raises StartupError where a
    database cannot be used or the port is taken. Where a background task dies, the process drains and its
    error is raised.
    """
    report_loop_errors(asyncio.get_running_loop())
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        try:
            async with interruptible_start(stopping):
                server = await _build(settings, stack, stopping)
                await server.start(port)
        except StoppedWhileStartingError:
            return False
        except StorageUnavailable as error:
            raise StartupError(line_of(error)) from error
        stack.enter_context(spared_collector())
        if ready is not None:
            ready()
        await stopping.wait()
        if server.background.error is None:
            await asyncio.sleep(settings.drain_notice_s)  # `/readyz` says by now that players go elsewhere
        await server.drain()
        if server.background.error is not None:
            raise server.background.error
    return True


async def _build(settings: Settings, stack: AsyncExitStack, stopping: asyncio.Event) -> _Server:
    """Build every part; what must be closed goes onto `stack`, and is closed in reverse."""
    tracing = open_tracing(settings, stack)
    storage = await build_storage(settings, tracing, stack)
    accounts = build_accounts(settings, storage, stack)
    turns = Turns(asyncio.get_running_loop())
    game = await build_game(settings, storage, accounts.identity, turns, tracing=tracing, stack=stack)
    operations = build_operations(
        settings, storage, accounts, game, turns, tracing=tracing, is_draining=stopping.is_set
    )
    background = Background(stopping.set)
    stack.push_async_callback(background.stop)
    return _Server(settings, storage, accounts, game, operations, background)


@dataclass(frozen=True, slots=True)
class _Server:
    """The running parts, and the order in which they start and end."""

    settings: Settings
    storage: Storage
    accounts: AccountParts
    game: Game
    operations: Operations
    background: Background
    flush_stop: asyncio.Event = field(default_factory=asyncio.Event)

    def tasks(self) -> dict[str, Work]:
        """Name every task that runs as long as the server does."""
        storage, accounts, game = self.storage, self.accounts, self.game
        tasks: dict[str, Work] = {
            "cold loads": storage.loader.run,
            "reconciler": storage.reconciler.run,
            "catalogue": storage.catalogues.run,
            "log-ins": lambda: keep_log_ins(
                accounts.service, accounts.families, game.hub.redis_back, storage.store.back
            ),
            "tidying": lambda: tidy(accounts.guests, accounts.recovery, game.community),
            "ticker": game.ticker.run,
            "unauthenticated connections": game.dispatch.watch_unauthenticated,
            "figures": self.operations.exporter.run,
            "garbage": collect_daily,
        }
        if accounts.outbox is not None:
            tasks["mail"] = accounts.outbox.run
        desk = self.operations.desk
        if desk is not None:
            tasks |= desk.tasks()
        if storage.flusher is not None:
            tasks["flusher"] = partial(_flush, storage.flusher, self.flush_stop)
        return tasks

    async def start(self, port: BoundPort | None) -> None:
        """Begin everything, the port last. Raises StartupError when the port is not available."""
        settings, listener = self.settings, self.operations.listener
        for name, work in self.tasks().items():
            self.background.start(name, work())
        self.game.sweeper.start()
        if self.operations.desk is not None:
            await self.operations.desk.start(settings)
        try:
            bound = port or bind_port(settings.host, settings.port, shared=settings.shares_port)
            await listener.start_on(bound.sockets)
        except OSError as error:
            raise port_refused(settings, error) from error
        _log.info("server_ready", address=bound.url, listens_on=bound.addresses)

    async def drain(self) -> None:
        """Accept no connection, answer requests in flight, close all, save everything; within `drain_s`."""
        settings, dispatch, listener = self.settings, self.game.dispatch, self.operations.listener
        loop = asyncio.get_running_loop()
        end_s = loop.time() + settings.drain_s
        _log.info("drain_began", connections=len(dispatch.exchanges))
        listener.stop_accepting()
        if self.operations.desk is not None:
            self.operations.desk.stop_accepting()
        await dispatch.drain(settings.drain_s / 2)
        await dispatch.emptied(max(0.1, settings.drain_s / 4))
        listeners = [listener, *([] if self.operations.desk is None else [self.operations.desk.listener])]
        closing_s = max(0.1, (end_s - loop.time()) / 2)
        await asyncio.gather(*(each.close(closing_s) for each in listeners))
        self.game.sweeper.stop()
        left = 0
        if self.storage.flusher is not None:
            self.flush_stop.set()
            left = await self.storage.flusher.drain(max(0.5, end_s - loop.time() - 0.5))
        _log.info("drain_ended", unsaved=left)


async def _flush(flusher: Flusher, stop: asyncio.Event) -> None:
    """Flush until `stop` is set; the task itself goes on until it is cancelled, as every other."""
    await flusher.run(stop)
    await asyncio.Event().wait()
