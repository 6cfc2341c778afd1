"""A player's client: it keeps its connection, its log-in, its state and its unanswered requests by itself."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from .accounts import Account
from .core import Core, Status
from .driver import Driver
from .errors import ClickCookError, Ended, LoggedOut, NotSent, refusal
from .events import Changed, Event, StatusChanged
from .outputs import End, Output, Refuse, Settle, Unsent
from .results import (
    Achievement,
    Bought,
    Cooked,
    GoldenGuestMet,
    Income,
    Leaderboard,
    Level,
    LeveledUp,
    SessionInfo,
    Sold,
    UpgradeList,
    WasReset,
    read,
    read_golden_guest,
    read_leaderboard,
    read_reset,
    read_session,
    read_upgrade_list,
)
from .tokens import MemoryStore, Tokens, TokenStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .closing import Options
    from .state import Game
    from .waiting import Kept


@dataclass(frozen=True, slots=True)
class Answer:
    """The one answer of a request: its `data`, or with `code` what was refused."""

    request_type: str
    data: dict[str, Any]
    code: str = ""


def connect(
    url: str,
    *,
    store: TokenStore | None = None,
    email: str = "",
    password: str = "",
    kept: Kept | None = None,
    options: Options | None = None,
) -> Client:
    """Make the client of one player, to be entered by `async with`.

    It plays on with the pair in `store`. Without one call `guest`, `register` or `log_in`; with `email` and
    `password` it logs in by itself, and opens the account where there is none. `kept` is what
    `Client.kept` gave in an earlier process.
    """
    account = Account(url, store if store is not None else MemoryStore())
    if email:
        account.remember(email, password)
    return Client(account, kept=kept, options=options, logs_in=bool(email))


class Client:
    """One tab of a player. Each request's method waits for its answer, however long that takes.

    Whatever happens to the network or the server, a request is answered in the end and counts once. Methods
    raise a subclass of `Refused` where the game refuses, `NotSent` where the conversation ended before the
    answer, `LoggedOut` where there is no log-in.
    """

    def __init__(
        self,
        account: Account,
        *,
        kept: Kept | None = None,
        options: Options | None = None,
        logs_in: bool = False,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.account = account
        self._options = options
        self._logs_in = logs_in
        self._chance = chance
        self._core = Core(options, kept=kept, chance=chance)
        self._driver: Driver | None = None
        self._subscribers: list[Callable[[Event], None]] = []
        self._turn = asyncio.Lock()
        self._moved = asyncio.Event()
        self._unsent: tuple[Unsent, ...] = ()
        self._seen: tuple[object, ...] = ()
        self._status = self._core.status

    async def __aenter__(self) -> Self:
        tokens = self.account.store.load()
        if tokens is not None or self._logs_in:
            self._start(tokens)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close(within_s=5 if error is None else 0)

    async def close(self, within_s: float = 5) -> tuple[Unsent, ...]:
        """Wait for what is unanswered, `within_s` at most, and end; return what could not be sent."""
        if self._driver is not None:
            with contextlib.suppress(TimeoutError, ClickCookError):
                async with asyncio.timeout(within_s):
                    await self.drained()
            await self._driver.stop()
            self._driver = None
        return self._unsent

    # The account.

    async def guest(self) -> None:
        """Begin as a new player without an e-mail."""
        await self._enter(await self.account.guest())

    async def register(self, email: str, password: str) -> None:
        """Open an account and play. Raises AccountRefused with `http_status` 409 where there is one."""
        await self._enter(await self.account.register(email, password))

    async def log_in(self, email: str, password: str) -> None:
        """Log in and play."""
        await self._enter(await self.account.log_in(email, password))

    async def claim(self, email: str, password: str) -> None:
        """Give a guest's account an e-mail and a password; the play goes on."""
        await self._enter(await self.account.claim(email, password))

    async def change_password(self, password: str, new_password: str) -> None:
        """Change the password; the player's other log-ins end."""
        await self._enter(await self.account.change_password(password, new_password))

    async def log_out(self, *, everywhere: bool = False) -> None:
        """End the play and the log-in, `everywhere` each of the player's."""
        await self.close()
        await self.account.log_out(everywhere=everywhere)

    # What is known.

    @property
    def name(self) -> str:
        """The `client` of this tab's requests."""
        return self._core.waiting.client

    @property
    def state(self) -> Game | None:
        """The newest state that the server told; None before the first."""
        return self._core.game

    @property
    def optimistic(self) -> Game | None:
        """The state as it will be when everything unanswered is answered, by the game's rules."""
        return self._core.optimistic

    @property
    def unanswered(self) -> int:
        """How many requests have no answer yet."""
        return self._core.waiting.unanswered

    @property
    def has_room(self) -> bool:
        """Whether a request would be sent without waiting for others' answers."""
        return self._core.waiting.has_room

    @property
    def status(self) -> Status:
        """Where the conversation stands."""
        return self._core.status

    @property
    def tokens(self) -> Tokens | None:
        """The present log-in."""
        return self.account.store.load()

    def kept(self) -> Kept:
        """Return what the next process needs to send again what is unanswered, each to be counted once."""
        return self._core.waiting.kept()

    def subscribe(self, hear: Callable[[Event], None]) -> Callable[[], None]:
        """Have each event heard at once, in order; the function that is returned ends it."""
        self._subscribers.append(hear)
        return partial(self._subscribers.remove, hear)

    def network(self, state: str) -> None:
        """Say what the system knows: `offline`, `online`, or `resumed` after a sleep or another network."""
        if self._driver is not None:
            self._driver.network(state)

    def drop(self) -> None:
        """Break the connection, as a bad network does; the client connects again by itself."""
        if self._driver is not None:
            self._driver.drop()

    # Requests.

    async def session(self) -> SessionInfo:
        """Ask for the whole state."""
        return read_session(await self.request("session"))

    async def cook(self, count: int = 1) -> Cooked:
        """Cook; `count` up to 1000 as so many cooks in one request."""
        return read(Cooked, await self.request("cook", **_counted(count)))

    async def sell(self, count: int = 1) -> Sold:
        """Sell; `count` up to 1000 as so many sales in one request."""
        return read(Sold, await self.request("sell", **_counted(count)))

    async def upgrade_buy(self, upgrade_id: int, count: int = 1) -> Bought:
        """Buy an upgrade."""
        return read(Bought, await self.request("upgrade_buy", id=upgrade_id, **_counted(count)))

    async def upgrade_list(self) -> UpgradeList:
        """Ask for what is on sale and what is owned."""
        return read_upgrade_list(await self.request("upgrade_list"))

    async def level_check(self) -> Level:
        """Ask for the rank and the xp of the next one."""
        return read(Level, await self.request("level_check"))

    async def level_up(self) -> LeveledUp:
        """Rise by a rank where there is xp enough."""
        return read(LeveledUp, await self.request("level_up"))

    async def session_reset(self) -> WasReset:
        """Trade everything for stars."""
        return read_reset(await self.request("session_reset"))

    async def passive(self) -> Income:
        """Ask for the passive income up to now."""
        return read(Income, await self.request("passive"))

    async def achievements(self) -> tuple[Achievement, ...]:
        """Ask for all achievements."""
        data = await self.request("achievements")
        return tuple(read(Achievement, one) for one in data["achievements"])

    async def leaderboard(self, by: str = "money") -> Leaderboard:
        """Ask for the best players by `money` or `stars`."""
        return read_leaderboard(await self.request("leaderboard", by=by))

    async def name_set(self, name: str) -> str:
        """Take a name for the leaderboard; return it as the server wrote it down."""
        return str((await self.request("name_set", name=name))["name"])

    async def golden_guest(self, serve: int | None = None) -> GoldenGuestMet:
        """Ask who waits or comes next; first `serve` the guest of this id, once, who is here."""
        serving = {} if serve is None else {"serve": serve}
        return read_golden_guest(await self.request("golden_guest", **serving))

    async def request(self, request_type: str, **data: Any) -> dict[str, Any]:
        """Send any request and return the `data` of its answer. Raises what the methods raise."""
        answer = await (await self.send(request_type, **data))
        if answer.code:
            raise refusal(answer.code, answer.data)
        return answer.data

    async def send(self, request_type: str, **data: Any) -> asyncio.Future[Answer]:
        """Send a request as soon as there is room; the future that is returned brings its answer.

        So requests can be pipelined. They are applied in the order of sending, unless one was refused for the
        moment and had to be sent again: where the order matters, wait for the answer.
        """
        async with self._turn:
            while not (self._running().core.waiting.has_room):
                self._moved.clear()
                await self._moved.wait()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._running().call(future, request_type, data)
        return future

    async def drained(self) -> None:
        """Wait until everything that was sent is answered. Raises Ended where that cannot be any more."""
        while self._running().core.waiting.of_owner():
            self._moved.clear()
            await self._moved.wait()

    # Within.

    def _start(self, tokens: Tokens | None) -> None:
        url = "ws" + self.account.url.removeprefix("http") + "/ws"
        self._driver = Driver(
            url,
            self._core,
            self.account,
            on_output=self._hear,
            on_notice=self._show,
            on_input=self._show_changes,
        )
        self._driver.start(tokens)

    async def _enter(self, tokens: Tokens) -> None:
        if self._driver is not None and not self._core.ended:
            game = self._core.game
            if game is None or game.user_id == tokens.user_id:
                self._driver.use(tokens)
                return
        if self._driver is not None:
            await self._driver.stop()
            self._core = Core(self._options, chance=self._chance)
        self._start(tokens)

    def _running(self) -> Driver:
        if self._core.ended:
            raise self._ended_with(self._core.ended)
        if self._driver is None:
            raise LoggedOut("log in first")
        return self._driver

    def _ended_with(self, reason: str) -> ClickCookError:
        return self._failure or Ended(reason)

    @property
    def _failure(self) -> ClickCookError | None:
        return self._driver.failure if self._driver is not None else None

    def _hear(self, output: Output) -> None:
        match output:
            case Settle(call=asyncio.Future() as future):
                if not future.done():
                    future.set_result(Answer(output.request_type, output.data))
            case Refuse(call=asyncio.Future() as future):
                if not future.done():
                    future.set_result(Answer(output.request_type, output.data, output.code))
            case End():
                self._unsent = output.unsent
                self._give_up(output)
        self._show(output)

    def _show(self, event: Event) -> None:
        for hear in tuple(self._subscribers):
            try:
                hear(event)
            except Exception as error:  # noqa: BLE001 - a subscriber's fault is not hidden, and ends nothing
                asyncio.get_running_loop().call_exception_handler(
                    {"message": f"a subscriber of clickcook failed at {event}", "exception": error}
                )

    def _give_up(self, end: End) -> None:
        for unsent in end.unsent:
            if isinstance(unsent.call, asyncio.Future) and not unsent.call.done():
                why = f"{end.reason}: {self._failure}" if self._failure else end.reason
                unsent.call.set_exception(NotSent(why, maybe_applied=unsent.maybe_applied))
                unsent.call.exception()  # nobody may be waiting for it

    def _show_changes(self) -> None:
        self._moved.set()
        if not self._subscribers:
            return
        waiting, status = self._core.waiting, self._core.status
        seen = (self._core.game, waiting.seq, waiting.unanswered)
        if seen != self._seen:
            self._seen = seen
            self._show(Changed(self._core.game))
        if status != self._status:
            self._status = status
            self._show(StatusChanged(status))


def _counted(count: int) -> dict[str, int]:
    return {} if count == 1 else {"count": count}
