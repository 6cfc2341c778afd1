"""Players who write down every answered request, each playing so that the outcome can be computed exactly.

Cooks only cook, pipelined, from two tabs: every click counts alike, in whatever order. Shops do everything
that has no income by itself, one request after the other, so that the rules can be played through again from
the book. Idlers cook beside passive income, which is a fixed sum a second.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from game.catalogue import BoostType
from game.session import Session, UserId
from scripts.chaos.world import SESSION_TTL_S
from scripts.clicker.accounts import PasswordAccount
from scripts.clicker.client import Client, Habits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from game.catalogue import Catalogue
    from scripts.chaos.recoveries import Recoveries
    from scripts.clicker.book import Book
    from scripts.clicker.totals import Totals
    from scripts.clicker.window import Answer, Pending

PASSWORD: Final = "correct horse"  # noqa: S105 - of players who live for minutes
HABITS: Final = Habits(retry_most_s=1.0, answer_timeout_s=3.0, ping_every_s=5.0)
_SANDWICH: Final = 1
_PRO_OVEN: Final = 70
_FOOD_TRUCK: Final = 45
_PASSIVE: Final = frozenset({BoostType.DISHES_PER_SECOND, BoostType.MONEY_PER_SECOND})
_AWAY_S: Final = SESSION_TTL_S + 3.0


@dataclass(frozen=True, slots=True)
class Player:
    """One player: `kind` is cook, shop or idler; `start` the session that play began with."""

    name: str
    kind: str
    account: PasswordAccount
    start: Session

    @property
    def user_id(self) -> UserId:
        """Who they are to the server."""
        return self.start.user_id


def first_session(kind: str, user_id: UserId) -> Session:
    """Make the session that a player of a kind begins with."""
    session = Session(user_id, version=1, accrued_at_ms=int(time.time() * 1000), bought={_SANDWICH: 1})
    if kind == "shop":
        session.money, session.rank, session.xp, session.accumulated = 50_000.0, 12, 50_000.0, 25_000.0
    elif kind == "idler":
        session.rank = 10
        session.bought |= {_FOOD_TRUCK: 1, _PRO_OVEN: 2}
    return session


async def enroll(url: str, count: int) -> list[Player]:
    """Open accounts for players of all kinds in turn."""
    players = []
    for number in range(count):
        kind = ("cook", "shop", "idler")[number % 3]
        account = PasswordAccount(url, f"{kind}-{number}@example.org", PASSWORD)
        user_id = UserId((await account.log_in()).user_id)
        players.append(Player(f"{kind}-{number}", kind, account, first_session(kind, user_id)))
    return players


@dataclass(frozen=True, slots=True)
class Stage:
    """What all players share while they play, until `stop` is set."""

    url: str
    catalogue: Catalogue
    book: Book
    totals: Totals
    recoveries: Recoveries
    stop: asyncio.Event
    seed: int

    async def play(self, player: Player) -> None:
        """Play until the stop, then wait until everything is answered."""
        chance = random.Random(f"{player.name} {self.seed}")  # noqa: S311 - a test's chance, not a secret
        steps: dict[str, Callable[[Client, random.Random], Awaitable[None]]] = {
            "cook": _cook_a_burst,
            "shop": self._keep_shop,
            "idler": _cook_a_burst,
        }
        tabs = 1 if player.kind == "shop" else 2
        async with asyncio.TaskGroup() as group:
            for tab in range(tabs):
                name, hand = f"{player.name}/{tab}", random.Random(chance.random())  # noqa: S311 - as above
                group.create_task(self._tab(player, name, hand, steps[player.kind]))

    async def _tab(
        self,
        player: Player,
        name: str,
        chance: random.Random,
        step: Callable[[Client, random.Random], Awaitable[None]],
    ) -> None:
        now_s = asyncio.get_running_loop().time

        def settled(pending: Pending, answer: Answer) -> None:
            self.book.write(player.name, client.name, pending, answer)
            self.recoveries.heard(name, pending.sent_s, now_s())

        while not self.stop.is_set():
            client = Client(self.url, player.account, HABITS, on_settled=settled, totals=self.totals)
            async with client:
                await client.request("session")
                self.recoveries.playing.add(name)
                leaves_s = now_s() + chance.uniform(10, 120)
                while not self.stop.is_set() and now_s() < leaves_s:
                    await step(client, chance)
                await client.drained()
                self.recoveries.left(name, now_s())
            if not self.stop.is_set():
                await _sleep_or_stop(self.stop, _AWAY_S if player.kind != "cook" else 0.1)

    async def _keep_shop(self, client: Client, chance: random.Random) -> None:
        """Do one thing and wait for its answer, so that the order of all is that of the book."""
        what = chance.choices(
            ("cook", "sell", "upgrade_buy", "level_up", "session_reset"), (40, 40, 12, 7, 1)
        )[0]
        if what == "upgrade_buy":
            quiet = [one.id for one in self.catalogue.upgrades if one.boost.boost_type not in _PASSIVE]
            future = await client.send(what, id=chance.choice(quiet[:30]))
        elif what in ("cook", "sell"):
            future = await client.send(what, count=chance.randint(1, 60))
        else:
            future = await client.send(what)
        if (await future).code == "no_dish":  # a reset took everything
            await (await client.send("upgrade_buy", id=_SANDWICH))
        await asyncio.sleep(chance.uniform(0.02, 0.12))


async def _cook_a_burst(client: Client, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 6)):
        await client.send("cook", count=chance.choice((1, 1, 1, 2, 5, 20)))
    await asyncio.sleep(chance.uniform(0.05, 0.25))


async def _sleep_or_stop(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
