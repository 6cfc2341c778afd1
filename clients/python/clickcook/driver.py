"""Carries out what the core decides: sockets, timers and renewals of tokens, in supervised tasks."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from .closing import BROKEN
from .errors import AccountRefused, ClickCookError, LoggedOut, Unreachable
from .events import Disconnected, Heard, Notice
from .link import Link
from .outputs import Close, Connect, Drop, End, Output, Refresh, Send

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .accounts import Account
    from .core import Core
    from .tokens import Tokens

_SLEPT_S: Final = 5.0
"""A wall clock this far ahead of the monotonic one: the machine has slept."""

_CLOSE_WITHIN_S: Final = 3.0


class Driver:
    """Runs one core over the network until it ends.

    `on_output` hears of every output, `on_notice` of what the I/O alone sees, `on_input` that something
    happened and everything was done about it.
    """

    def __init__(
        self,
        url: str,
        core: Core,
        account: Account,
        *,
        on_output: Callable[[Output], None],
        on_notice: Callable[[Notice], None],
        on_input: Callable[[], None],
    ) -> None:
        self.core = core
        self.failure: ClickCookError | None = None
        """What ended the log-in, where something did."""
        self._url = url
        self._account = account
        self._on_output = on_output
        self._on_notice = on_notice
        self._on_input = on_input
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._linking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._outputs: deque[Output] = deque()
        self._doing = False
        self._clocks_apart_s = time.time() - self._loop.time()

    @property
    def now_ms(self) -> float:
        """The time that the core goes by."""
        return self._loop.time() * 1000

    def start(self, tokens: Tokens | None) -> None:
        """Begin, with these tokens or with whatever the account gets."""
        if tokens is not None:
            self.use(tokens)
        self.do(self.core.start(self.now_ms))

    def use(self, tokens: Tokens) -> None:
        """Go on with other tokens of the same player."""
        self.do(self.core.tokens(self.now_ms, tokens.access, tokens.life_ms, tokens.age_ms))

    def call(self, call: object, request_type: str, data: dict[str, Any]) -> None:
        """Ask for something."""
        self.do(self.core.call(self.now_ms, call, request_type, data))

    def network(self, state: str) -> None:
        """Take note of `offline`, `online` or `resumed`."""
        self.do(self.core.network(self.now_ms, state))

    def drop(self) -> None:
        """Break the connection, as a bad network does."""
        if self._link is not None:
            self._link.abort()

    async def stop(self) -> None:
        """End the conversation in order and wait for everything that runs."""
        self.do(self.core.stop(self.now_ms))
        if self._timer is not None:
            self._timer.cancel()
        if self._linking is not None:
            await asyncio.wait([self._linking], timeout=_CLOSE_WITHIN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def do(self, outputs: list[Output]) -> None:
        """Carry out what the core wants."""
        self._outputs.extend(outputs)
        if self._doing:
            return  # called by a subscriber: in its turn
        self._doing = True
        try:
            while self._outputs:
                output = self._outputs.popleft()
                self._carry_out(output)
                self._on_output(output)
            self._on_input()
        finally:
            self._doing = False
        self._set_timer()

    def _carry_out(self, output: Output) -> None:
        match output:
            case Send() if self._link is not None:
                self._link.send(output.message)
            case Connect():
                self._connect()
            case Drop():
                self._drop()
            case Close() if self._link is not None:
                self._link.close()
            case Refresh():
                self._spawn(self._renew(output.refused))
            case End() if self._linking is not None and self._link is None:
                self._linking.cancel()

    def _set_timer(self) -> None:
        wake_at_ms = self.core.wake_at_ms
        if wake_at_ms is None:
            return
        wake_at_s = max(wake_at_ms / 1000, self._loop.time())
        if self._timer is not None and not self._timer.cancelled():
            if self._timer.when() <= wake_at_s:
                return  # it fires in time, and is set again then
            self._timer.cancel()
        self._timer = self._loop.call_at(wake_at_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        apart_s = time.time() - self._loop.time()
        slept, self._clocks_apart_s = apart_s - self._clocks_apart_s > _SLEPT_S, apart_s
        if slept:
            self.do(self.core.network(self.now_ms, "resumed"))
        else:
            self.do(self.core.time(self.now_ms))

    def _connect(self) -> None:
        link: Link

        def opened() -> None:
            if self._linking is asyncio.current_task():
                self._link = link
                self.do(self.core.opened(self.now_ms))

        def heard(message: dict[str, Any]) -> None:
            if self._link is link:
                self._on_notice(Heard(message))
                self.do(self.core.message(self.now_ms, message))

        async def live() -> None:
            code = await link.run()
            if self._linking is asyncio.current_task():
                self._link = self._linking = None
                if not self.core.ended:
                    self._on_notice(Disconnected(code))
                self.do(self.core.closed(self.now_ms, code))

        link = Link(self._url, on_opened=opened, on_message=heard)
        self._linking = self._spawn(live())

    def _drop(self) -> None:
        if self._link is not None:
            self._link.abort()
        elif self._linking is not None:
            self._linking.cancel()
        self._link = self._linking = None
        self._on_notice(Disconnected(BROKEN, is_silent=True))

    async def _renew(self, refused: str | None) -> None:
        try:
            tokens = await self._account.renewed(refused)
        except Unreachable as error:
            self.do(self.core.no_tokens(self.now_ms, final=False, retry_after_ms=error.retry_after_s * 1000))
        except (LoggedOut, AccountRefused) as error:
            self.failure = error
            self.do(self.core.no_tokens(self.now_ms, final=True))
        else:
            self.use(tokens)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name="clickcook")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        # A fault of this library, or an answer against the contract: those who wait hear of it.
        self._loop.call_exception_handler(
            {"message": "a task of clickcook failed", "exception": task.exception(), "task": task}
        )
        self.do(self.core.stop(self.now_ms))
