"""Players who click, leave in the middle of a burst, and go on with what was not answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from clients.python.clickcook import (
    Account,
    ClickCookError,
    Connect,
    End,
    Heard,
    Joined,
    Lost,
    MemoryStore,
    Options,
    Refresh,
    Refuse,
    Settle,
    Unreachable,
    connect,
)
from scripts.soak.ledger import Ledger

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from clients.python.clickcook import Client, Event, Kept
    from scripts.soak.stage import Stage

PASSWORD: Final = "correct horse"  # noqa: S105 - of accounts that live as long as the soak
SANDWICH: Final = 1
MOST_UNANSWERED: Final = 32
"""Half of what the server remembers of a client."""

_ANSWER_WITHIN_S: Final = 15.0
LAST_WORDS_WITHIN_S: Final = 60.0
_MEAN_STAY_S: Final = 20.0
_MEAN_CLICK_S: Final = 0.4
_LAST_CLICKS: Final = 5
_PAUSE_S: Final = 0.5
_DOZES: Final = 0.02
_PASSING: Final = frozenset({"token_invalid", "unavailable", "rate_limited"})
"""The errors after which a client sends the same request again."""


@dataclass(slots=True)
class Tally:
    """What the players saw, over all of them."""

    answered: int = 0
    duplicates: int = 0
    copies: int = 0
    connections: int = 0
    refreshes: int = 0
    lost: int = 0
    doubled: int = 0
    unsent: int = 0
    given_up: int = 0
    """Answered clicks that are gone where Redis may lose them."""

    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """What must never be: a change lost or counted twice, a version that goes backwards, an odd answer."""


class Player:
    """One account, played by one client after another, each of which goes on with what the last one left.

    It never sells what it does not own, so each click is applied, and what it must own is known. Each client
    goes to any of the servers. `may_lose`: Redis may lose what it answered, so clicks may be refused.
    """

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        tally: Tally,
        chance: random.Random,
        *,
        patience: float = 1,
        stay_s: float = _MEAN_STAY_S,
        may_lose: bool = False,
    ) -> None:
        self.store = MemoryStore()
        self._options = Options(answer_timeout_ms=1000 * patience * _ANSWER_WITHIN_S)
        self._last_words_within_s = patience * LAST_WORDS_WITHIN_S
        self._name = name
        self._urls = urls
        self._tally = tally
        self._chance = chance
        self._stay_s = stay_s
        self._may_lose = may_lose
        self._kept: Kept | None = None
        self._ledger = Ledger()
        self._sells_unanswered = 0
        self._unsent = 0
        self._version = 0

    async def play(self, over: asyncio.Event) -> None:
        """Play until it is over, settle what is unanswered, and compare with what the server has."""
        try:
            await self._play(over)
        finally:
            self._tally.unsent += self._unsent

    async def _play(self, over: asyncio.Event) -> None:
        await self.register()
        while not over.is_set():
            async with self._client() as client:
                await self._click_until(client, over)
                await self._leave(client)
            await asyncio.sleep(self._chance.uniform(0, _PAUSE_S))
        async with self._client() as client:
            try:
                async with asyncio.timeout(self._last_words_within_s):
                    await client.drained()
                    await self._own_sandwich(client)
                    await self._cook_once(client)
            except (TimeoutError, ClickCookError) as error:
                self._fault(f"could not settle {client.unanswered} requests: {error!r}")
            else:
                self._compare(client)

    async def register(self) -> None:
        """Open the account, once."""
        account = Account(self._urls[0], self.store)
        while self.store.load() is None:
            try:
                await account.register(f"{self._name}@example.com", PASSWORD)
            except Unreachable as busy:
                await asyncio.sleep(max(_PAUSE_S, busy.retry_after_s))

    def _client(self) -> Client:
        url = self._chance.choice(self._urls)
        client = connect(url, store=self.store, kept=self._kept, options=self._options)
        client.subscribe(self._hear)
        return client

    async def _click_until(self, client: Client, over: asyncio.Event) -> None:
        """Click for a while, or until all is over, and end in the middle of a burst."""
        async with asyncio.timeout(self._last_words_within_s):
            await self._own_sandwich(client)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._chance.expovariate(1 / self._stay_s)
        while loop.time() < end_s and not over.is_set():
            await self._click(client)
            await asyncio.sleep(self._chance.expovariate(1 / _MEAN_CLICK_S))
        for _ in range(_LAST_CLICKS):
            await self._click(client)  # whose answers nobody waits for

    async def _click(self, client: Client) -> None:
        if client.state is None or client.unanswered >= MOST_UNANSWERED:
            return
        # The state of the answers: what is unanswered may be applied in another order.
        may_sell = client.state.dishes > self._sells_unanswered and self._chance.random() < 0.5  # noqa: PLR2004 - a coin
        self._sells_unanswered += may_sell
        kind = "sell" if may_sell else "cook"
        await client.send(kind)
        self._ledger.sent[kind] += 1

    async def _own_sandwich(self, client: Client) -> None:
        await client.session()
        if client.state is not None and SANDWICH not in client.state.owned:
            await client.upgrade_buy(SANDWICH)

    async def _cook_once(self, client: Client) -> None:
        """Show that play goes on."""
        self._ledger.sent["cook"] += 1
        await client.cook()

    async def _leave(self, client: Client) -> None:
        if self._chance.random() < 0.5:  # noqa: PLR2004 - half of them leave like a lost network
            client.drop()
        await client.close(within_s=0)
        self._kept = client.kept()

    def _hear(self, event: Event) -> None:
        tally = self._tally
        match event:
            case Connect():
                self._version = 0
            case Joined():
                tally.connections += 1
            case Refresh():
                tally.refreshes += 1
            case Heard():
                self._see(event.message)
            case Settle(request_type="cook" | "sell" as kind, data=data):
                self._ledger.applied[kind] += 1
                self._sells_unanswered -= kind == "sell"
                tally.answered += 1
                tally.duplicates += data.get("duplicate", False)
            case Refuse(request_type=kind):
                self._sells_unanswered -= kind == "sell"
                self._deny(f"was answered {event.code}: {event.data.get('message')}")
            case Lost():
                self._deny(f"was answered {event.count} requests that are not known any more")
            case End():
                self._unsent = len(event.unsent)
                if event.reason != "stopped":
                    self._fault(f"could not play on: {event.reason}")

    def _see(self, message: dict[str, Any]) -> None:
        data = message["data"]
        if message["request_type"] == "error" and data["code"] in _PASSING:
            self._tally.refused[data["code"]] += 1
        version = data.get("version", self._version)
        if version < self._version:
            self._fault(f"saw version {version} after {self._version}")
        self._version = version

    def _compare(self, client: Client) -> None:
        state, tally, applied = client.state, self._tally, self._ledger.applied
        if state is None:
            self._fault("has no state")
            return
        found = self._ledger.against(state.dishes, state.money, may_lose=self._may_lose)
        tally.doubled += found.doubled
        if self._may_lose:
            tally.given_up += found.lost
        else:
            tally.lost += found.lost
        if found.doubled or (found.lost and not self._may_lose):
            clicks = f"{applied['cook']} cooks and {applied['sell']} sells"
            has = f"{state.dishes} dishes and {state.money} money after {clicks}"
            self._fault(f"lost {found.lost} and doubled {found.doubled}: it has {has}")

    def _deny(self, what: str) -> None:
        """Call it a fault where Redis may not lose what it answered."""
        if not self._may_lose:
            self._fault(what)

    def _fault(self, what: str) -> None:
        self._tally.faults.append(f"{self._name} {what}")


class SecondTab:
    """A player's other tab. It speaks by itself, without the library, which always reads: this one dozes."""

    def __init__(self, player: Player, stage: Stage, tally: Tally, chance: random.Random) -> None:
        self._store = player.store
        self._url = stage.websocket_url
        self._tally = tally
        self._chance = chance

    async def look_on(self) -> None:
        """Hear what the first tab does, at times without reading, until cancelled."""
        message = {"message_type": "request", "request_id": "ask", "request_type": "session"}
        while True:
            await asyncio.sleep(self._chance.uniform(0, _PAUSE_S))
            tokens = self._store.load()
            if tokens is None:
                continue
            stay_s = self._chance.expovariate(1 / _MEAN_STAY_S)
            with contextlib.suppress(ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
                async with open_socket(self._url, compression=None, close_timeout=1) as socket:
                    await socket.send(json.dumps({**message, "data": {"token": tokens.access}}))
                    await self._hear(socket, stay_s)

    async def _hear(self, socket: ClientConnection, stay_s: float) -> None:
        version = 0
        async with asyncio.timeout(stay_s):
            while True:
                data = json.loads(await socket.recv())["data"]
                if data.get("version", version) < version:
                    self._tally.faults.append(f"a second tab saw version {data['version']} after {version}")
                version = data.get("version", version)
                self._tally.copies += 1
                if self._chance.random() < _DOZES:
                    await asyncio.sleep(_PAUSE_S * 4)
