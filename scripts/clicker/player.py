"""A sensible game: cook what can be sold, buy what pays back soonest, rise, and reset when it is worth it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from clients.python.clickcook import Refused
from game.rules import ONE_STAR
from scripts.clicker.view import View
from scripts.simulate.advice import advise, cooks_among

if TYPE_CHECKING:
    from clients.python.clickcook import Client

SANDWICH: Final = 1
SEQ_WINDOW: Final = 64
_TICK_S: Final = 0.1
_MOST_OWED_S: Final = 1.0
"""Clicks that could not be sent for longer are not caught up with."""


class Player:
    """Plays one game over a client.

    `clicks_per_second` 0 is as many as go. A request carries up to `most_count` clicks. Without `buys`
    nothing is bought but the first dish, and nothing is traded in.
    """

    def __init__(
        self, client: Client, *, clicks_per_second: float, most_count: int = 1, buys: bool = True
    ) -> None:
        self._client = client
        self._known = View()
        self._clicks_per_second = clicks_per_second
        self._most_count = most_count
        self._buys = buys

    async def play(self, stop: asyncio.Event) -> None:
        """Play until the stop, then wait until everything is answered."""
        loop = asyncio.get_running_loop()
        await self._look_round()
        owed, seen_s = 0.0, loop.time()
        while not stop.is_set():
            await self._do_what_is_due()
            if self._clicks_per_second:
                now_s = loop.time()
                owed += self._clicks_per_second * min(now_s - seen_s, _MOST_OWED_S)
                seen_s = now_s
            else:
                owed = SEQ_WINDOW * self._most_count
            clicks = int(owed)
            owed -= clicks
            await self._click(clicks)
            if self._clicks_per_second:
                await _sleep_or_stop(stop, _TICK_S)
        await self._client.drained()

    @property
    def _view(self) -> View:
        """What is known now."""
        self._known.take(self._client.state)
        return self._known

    @property
    def _pace(self) -> float:
        """Clicks a second to assume where there is no limit."""
        return self._clicks_per_second or 1000.0

    async def _click(self, clicks: int) -> None:
        known = self._view
        session, rates = known.session, known.rates
        cooks = cooks_among(clicks, session, rates, max(_TICK_S, clicks / self._pace))
        for kind, number in (("cook", cooks), ("sell", clicks - cooks)):
            left = number
            while left > 0:
                count = min(left, self._most_count)
                await (self._client.send(kind, count=count) if count > 1 else self._client.send(kind))
                left -= count

    async def _do_what_is_due(self) -> None:
        view = self._view
        session, rates = view.session, view.rates
        if rates.cook_gain == 0:
            await self._try("upgrade_buy", id=SANDWICH)
        elif self._buys and session.accumulated >= max(ONE_STAR, session.stars):
            await self._try("session_reset")
        elif rates.need > 0 and session.xp >= 100 * rates.need:
            await self._try("level_up")
        elif self._buys:
            wish = advise(session, rates, view.catalogue, self._pace)
            if wish is not None and wish.price <= session.money:
                await self._try("upgrade_buy", id=wish.upgrade.id)
        if not self._view.need_is_known:
            await self._client.request("level_check")

    async def _try(self, request_type: str, **data: Any) -> None:
        try:
            await self._client.request(request_type, **data)
        except Refused:
            await self._look_round()  # another tab of the same player was quicker

    async def _look_round(self) -> None:
        await self._client.request("session")
        await self._client.request("level_check")


async def _sleep_or_stop(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
