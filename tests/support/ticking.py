"""Processes with tickers and tabs over one Redis, which is the model; it counts what it is asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from game import rules
from game.accrual import accrue, amounts_of, flow_of
from game.achievements import ACHIEVEMENTS, Counter, achieve
from game.course import Course
from game.live_session import LiveSession
from game.session import Session, UserId
from server.ws.exchange import Exchange
from server.ws.gathering import Gathering
from server.ws.hub import Hub
from server.ws.ticker import Ticker
from tests.support.game_catalogue import CATALOGUE, SANDWICH
from tests.support.tabs import Tab

if TYPE_CHECKING:
    from collections.abc import Callable

    from persistence.durable.current_catalogue import Catalogues
    from persistence.live.sessions import Sessions
    from server.ws.connection import Connection

USER: Final = UserId(7)
CHANNEL: Final = b"user:{7}:7"
START_US: Final = 1_764_000_000_123_456
CAP_S: Final = 28_800
NOBODY_AWAY_S: Final = 10**9


def session(**fields: Any) -> Session:
    """Make a player who cooks and sells without a click."""
    values: dict[str, Any] = {
        "version": 5,
        "accrued_at_ms": START_US // 1000,
        "bought": {SANDWICH: 1, 5: 1, 6: 2, 11: 1, 13: 1},
        "dishes": 40.0,
        "rank": 3,
        "achieved": tuple(one.id for one in ACHIEVEMENTS),
    } | fields
    return Session(USER, **values)


class Redis:
    """One player's session in the model, and the processes that hear of it. Counts what it is asked."""

    def __init__(self, state: Session, cap_s: int = CAP_S) -> None:
        self.live = LiveSession.of(state, CATALOGUE)
        self.now_us = START_US
        self.cap_s = cap_s
        self.asked = 0
        self.processes: list[Process] = []

    def publish(self, sender: Process, *words: object) -> None:
        """Send a change to the other processes."""
        for process in self.processes:
            if process is not sender:
                process.hub.published(CHANNEL, [str(word).encode() for word in words])

    def watch(self, seconds: int) -> None:
        """Live through seconds, at each of which every process serves everybody."""
        for _ in range(seconds):
            self.now_us += 1_000_000
            for process in self.processes:
                process.tick()

    def income(self) -> tuple[object, ...]:
        """Say what income left, as a publication does."""
        state = self.live.session
        amounts = (state.money, state.dishes, state.rank, state.xp, state.accumulated)
        return "passive", state.version, *(f"{amount:.17g}" for amount in amounts)

    def present(self) -> tuple[float, ...]:
        """Say what the player has now, by the rules."""
        live = self.live
        now_ms = self.now_us // 1000
        return accrue(live.session, live.rates, now_ms, NOBODY_AWAY_S).amounts.shown


class Lane:
    """Says whether the player's channel is heard."""

    heard = True
    branch = "run"
    lapses = 0

    def fall_silent(self) -> None:
        """Hear nothing from now on."""
        self.heard = False
        self.lapses += 1

    def hears(self, _channel: bytes) -> bool:
        """Say so."""
        return self.heard


class Process:
    """A hub, a ticker and one tab, which keeps what it was sent."""

    def __init__(self, redis: Redis, interval_ms: int = 1000) -> None:
        self.redis = redis
        redis.processes.append(self)
        self.lane = Lane()
        self.tab = Tab()
        self._pushes: list[dict[str, Any]] = []
        catalogues = SimpleNamespace(watch=lambda _: None, current=CATALOGUE)
        gathering = Gathering(asyncio.get_running_loop(), 0.0)
        self.hub = Hub(cast("Sessions", self), cast("Catalogues", catalogues), 20, 60, gathering)
        self.ticker = Ticker(
            self.hub,
            cast("Sessions", self),
            interval_ms=interval_ms,
            session_ttl_s=60,
            offline_cap_s=redis.cap_s,
        )
        self.exchange = Exchange(cast("Connection", self.tab), 1, 0.0, lambda: None)
        player = self.hub.attach(self.exchange, USER)
        assert player is not None
        self.player = player
        self.join()

    def join(self) -> None:
        """Ask for the session."""
        shown = rules.session(self.redis.live, self.redis.now_us, self.redis.cap_s)
        self.offline = shown.offline
        self.player.stir()
        self.player.sent = amounts_of(self.redis.live.session).shown
        self.exchange.joined = self.exchange.knows_more = True
        self.exchange.version = max(self.exchange.version, shown.version)
        if shown.paid:
            self.redis.publish(self, *self.redis.income())

    def cook(self) -> None:
        """Cook once."""
        cooked = rules.cook(self.redis.live, 1, self.redis.now_us, cap_s=self.redis.cap_s)
        self.player.stir()
        assert cooked.version > self.exchange.version
        self.exchange.version = cooked.version
        self.redis.publish(self, "cook", cooked.version, f"{cooked.dishes:.17g}", f"{cooked.xp:.17g}", 1)

    def tick(self) -> None:
        """Serve everybody once."""
        self.ticker.write()
        for portion in self.ticker.portions():
            self.ticker.serve(portion)

    @property
    def pushes(self) -> list[dict[str, Any]]:
        """What the tab was sent: a version is never below the one before."""
        for message in self.tab.read():
            if self._pushes:
                assert message["data"]["version"] >= self._pushes[-1]["data"]["version"]
            self._pushes.append(message)
        return self._pushes

    def shown(self) -> tuple[float, ...]:
        """Return the amounts of the newest `passive`, in the units of the session."""
        data = [push["data"] for push in self.pushes if push["request_type"] == "passive"][-1]
        scales = {"money": 1, "dishes": 1, "level_xp": 100, "prestige_accumulated": 10_000}
        return tuple(round(data[name] * scale) for name, scale in scales.items())

    # What the hub and the ticker ask of Sessions.

    def ref(self, user_id: UserId) -> SimpleNamespace:
        """Address the player."""
        return SimpleNamespace(user_id=user_id, channel=CHANNEL, lane=self.lane)

    def lane_of(self, _ref: object) -> Lane:
        """Return the one lane."""
        return self.lane

    @property
    def lapses(self) -> int:
        """How often the player may have ceased to be heard."""
        return self.lane.lapses

    def epoch_ended(self) -> None:
        """Address the session again."""

    def subscribe(self, _ref: object) -> None:
        """Hear from now on."""

    def release(self, _ref: object, _ttl_s: int) -> None:
        """Hear no more."""

    def course(self, _ref: object, on_course: Callable[[Course | None], None]) -> None:
        """Read the model's session."""
        live = self.redis.live
        state = live.session
        self.redis.asked += 1
        on_course(
            Course(
                version=state.version,
                accrued_at_ms=state.accrued_at_ms,
                joined_until_ms=live.joined_until_ms,
                amounts=amounts_of(state),
                flow=flow_of(live.rates, state.boost) if live.rates.passive else None,
                counters={counter: getattr(state, counter) for counter in Counter},
            )
        )

    def time(self, _ref: object, on_time: Callable[[int], None]) -> None:
        """Read the clock."""
        on_time(self.redis.now_us // 1000)

    def accrue(self, _ref: object, on_reply: Callable[[object], None]) -> None:
        """Pay by the model."""
        self.redis.asked += 1
        paid = rules.passive(self.redis.live, self.redis.now_us, self.redis.cap_s)
        if paid.changed:
            self.redis.publish(self, *self.redis.income())
        amounts = map(int, (paid.money, paid.dishes, paid.rank, paid.xp, paid.accumulated))
        on_reply([b"ok", paid.version, *amounts, int(paid.changed)])

    def achieve(self, _ref: object, on_reply: Callable[[object], None]) -> None:
        """Record achievements by the model."""
        achieved = achieve(self.redis.live, ACHIEVEMENTS, self.redis.now_us, self.redis.cap_s)
        newly = ",".join(map(str, achieved.newly))
        if newly:
            self.redis.publish(self, "achieved", achieved.version, newly)
        on_reply([b"ok", achieved.version, newly.encode()])
