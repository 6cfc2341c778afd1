"""Recorded players: two or three tabs over several servers, in every manner that a client may have.

Shops do everything that has no income by itself; idlers cook while an oven cooks for them; readers look more
often than they cook. Requests are plain, tagged, tagged and raced by a copy on another tab, with gaps in
their numbers, in shuffled order, or ask for more than there is. Now and then a tab leaves and comes back
elsewhere, a log-in is ended by a log-out at another server, and all tabs leave for longer than a session
stays in Redis.

Their tabs do not stand on `clients/python`: a right client never leaves a gap in its numbers, never sends one
number on two tabs, never shuffles them, and hides from its owner what the judges want to see: each frame of
each connection. Those of `scripts.chaos.library_players` play by the library under the same faults.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from game.catalogue import BoostType
from game.session import Session, UserId
from scripts.chaos.history.log_ins import Family, log_in, log_out
from scripts.chaos.history.tab import REVOKED, Tab, Wish
from scripts.chaos.history.timeline import CHANGING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from game.catalogue import Catalogue
    from scripts.chaos.history.recorder import Recorder

KINDS: Final = ("shop", "shop", "idler")
SANDWICH: Final = 1
_PRO_OVEN: Final = 70
_PASSIVE: Final = frozenset({BoostType.DISHES_PER_SECOND, BoostType.MONEY_PER_SECOND})
_SHOP: Final = {"cook": 40, "sell": 40, "upgrade_buy": 12, "level_up": 7, "session_reset": 1}
_READER: Final = {"session": 9, "cook": 1}
_STYLES: Final = {"plain": 3, "tagged": 3, "raced": 2, "gap": 1, "shuffled": 1}


@dataclass(frozen=True, slots=True)
class Stage:
    """What all players share. `urls` are the servers by name; `away_s` is longer than a session's life."""

    urls: Mapping[str, str]
    catalogue: Catalogue
    recorder: Recorder
    seed: int
    away_s: float
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: tabs stay connected and listen, and send nothing new but what they owe."""


def first_session(kind: str, user_id: UserId) -> Session:
    """Make the session that a player of a kind begins with."""
    session = Session(user_id, version=1, accrued_at_ms=int(time.time() * 1000), bought={SANDWICH: 1})
    session.money, session.rank, session.xp, session.accumulated = 50_000.0, 12, 50_000.0, 25_000.0
    if kind == "idler":
        session.bought[_PRO_OVEN] = 2
    return session


@dataclass(slots=True)
class Player:
    """One player with all tabs. `start` is the session that play begins with."""

    name: str
    kind: str
    start: Session
    stage: Stage
    tabs: list[Tab] = field(default_factory=list)
    _chance: random.Random = field(default_factory=random.Random)
    _seqs: dict[str, int] = field(default_factory=dict)
    _home: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._home.set()
        self._chance.seed(f"{self.name} {self.stage.seed}")

    async def play(self, tabs: int) -> None:
        """Play with so many tabs until the stop."""
        recorder = self.stage.recorder
        self.tabs = [Tab(f"{self.name}/{number}", self.name, recorder) for number in range(tabs)]
        async with asyncio.TaskGroup() as group:
            going = [
                group.create_task(self._keep(tab, at), name=tab.name) for at, tab in enumerate(self.tabs)
            ]
            going.append(group.create_task(self._leave_together()))
            await self.stage.stop.wait()
            for task in going:
                task.cancel()

    async def cook_once(self) -> None:
        """Connect, cook and leave, after everything else."""
        server = min(self.stage.urls)
        tab = Tab(f"{self.name}/last", self.name, self.stage.recorder)
        family = await log_in(self.stage.recorder, self.name, server, self.stage.urls[server])
        if family is not None:
            await tab.live(server, self.stage.urls[server], family, partial(_cook, tab))

    async def _leave_together(self) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(10, 30))
            if self.stage.hold.is_set():
                return
            self._home.clear()
            await asyncio.sleep(self.stage.away_s)
            self._home.set()

    async def _keep(self, tab: Tab, at: int) -> None:
        """Keep one tab connected, to a server of its own first, then to any."""
        names = sorted(self.stage.urls)
        server, family = names[at % len(names)], None
        while True:
            await self._home.wait()
            family = family or await log_in(self.stage.recorder, self.name, server, self.stage.urls[server])
            if family is not None:
                code = await tab.live(
                    server, self.stage.urls[server], family, partial(self._sit, tab, family, server)
                )
                if tab.is_refused or code == REVOKED:
                    family = None
            server = self._chance.choice(names)

    async def _sit(self, tab: Tab, family: Family, server: str) -> None:
        """Do this and that until it is time to leave."""
        recorder, hold = self.stage.recorder, self.stage.hold
        leaves_s = recorder.now_s + self._chance.uniform(5, 25)
        while hold.is_set() or (recorder.now_s < leaves_s and self._home.is_set()):
            if tab.is_refused:
                return
            if not hold.is_set():
                await self._act(tab)
            await asyncio.sleep(self._chance.uniform(0.05, 0.3))
        if self._chance.random() < 0.3:  # noqa: PLR2004 - now and then
            elsewhere = self._chance.choice([name for name in self.stage.urls if name != server] or [server])
            await log_out(recorder, self.name, family, self.stage.urls[elsewhere])
            # The server closes the connection; without that the tab would play on.
            while not tab.is_refused:
                tab.send(Wish("session", {"client": tab.name}))
                await asyncio.sleep(0.5)
                await tab.room()

    async def _act(self, tab: Tab) -> None:
        (style,) = self._chance.choices(list(_STYLES), list(_STYLES.values()))
        wishes = [self._wish() for _ in range(3 if style == "shuffled" else 1)]
        if style != "plain":
            wishes = [self._tagged(wish, tab, style) for wish in wishes]
        self._chance.shuffle(wishes)
        for wish in wishes:
            await tab.room()
            if not tab.is_open or self.stage.hold.is_set():
                return
            tab.send(wish)
            if style == "raced" and (others := [one for one in self.tabs if one is not tab and one.is_open]):
                self._chance.choice(others).send(wish)

    def _wish(self) -> Wish:
        if self.kind == "idler":
            return Wish("cook", {"count": self._chance.choice((1, 1, 2, 5))})
        if self.kind == "reader":
            (kind,) = self._chance.choices(list(_READER), list(_READER.values()))
            return Wish(kind, {})
        (kind,) = self._chance.choices(list(_SHOP), list(_SHOP.values()))
        if kind == "upgrade_buy":
            count = self._chance.choice((1, 1, 2, 10, 1000))
            return Wish(kind, {"id": self._chance.choice((SANDWICH, *self._on_sale())), "count": count})
        if kind == "sell":
            return Wish(kind, {"count": self._chance.choice((1, 3, 20, 1000))})
        return Wish(kind, {"count": self._chance.choice((1, 2, 5, 20))} if kind == "cook" else {})

    def _on_sale(self) -> Sequence[int]:
        quiet = [one.id for one in self.stage.catalogue.upgrades if one.boost.boost_type not in _PASSIVE]
        return quiet[:20]

    def _tagged(self, wish: Wish, tab: Tab, style: str) -> Wish:
        """Give a change the tab's next number; some are left out."""
        if wish.request_type not in CHANGING:
            return wish
        step = self._chance.randint(2, 5) if style == "gap" else 1
        seq = self._seqs[tab.name] = self._seqs.get(tab.name, 0) + step
        return Wish(wish.request_type, wish.asked | {"client": tab.name, "seq": seq})


async def _cook(tab: Tab) -> None:
    await tab.room(1)
    tab.send(Wish("cook", {}))
    await tab.room(1)
