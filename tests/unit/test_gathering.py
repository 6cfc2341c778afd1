"""Copies of fast clicks: which go at once, which together, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from game.session import UserId
from persistence.live.replies.play import Bought, Income
from server.ws.exchange import Exchange
from server.ws.gathering import Gathering
from server.ws.hub import Hub

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from persistence.durable.current_catalogue import Catalogues
    from persistence.live.sessions import Sessions
    from server.ws.connection import Connection
    from server.ws.exchange import Player

WINDOW_S = 0.05


@dataclass
class Clock:
    """A loop whose time a test moves."""

    now_s: float = 100.0
    due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def time(self) -> float:
        """Say what the loop's clock shows."""
        return self.now_s

    def call_at(self, when_s: float, work: Callable[..., None], *arguments: object) -> None:
        """Keep work until its time has come."""
        self.due.append((when_s, lambda: work(*arguments)))

    def move(self, seconds: float) -> None:
        """Let time pass, and do what is due on the way."""
        end_s = self.now_s + seconds
        while self.due and min(when_s for when_s, _ in self.due) <= end_s:
            self.due.sort(key=lambda one: one[0])
            self.now_s, work = self.due.pop(0)
            work()
        self.now_s = end_s


class Tab:
    """A connection of the player: keeps what was written to it, write by write, as versions."""

    def __init__(self, hub: Hub, *, joined: bool = True) -> None:
        self.writes: list[list[bytes]] = []
        self.waiting: list[bytes] = []
        self.exchange = Exchange(cast("Connection", self), 1, 0.0, lambda: None)
        self.exchange.joined = joined
        player = hub.attach(self.exchange, UserId(7))
        assert player is not None
        self.player: Player = player

    def send(self, payload: bytes, _frame: bytes = b"") -> None:
        """Write a message behind what is held."""
        self.writes.append([*self.waiting, payload])
        self.waiting.clear()

    send_latest = send
    direct_fd = -1

    def hold(self, payload: bytes, _frame: bytes) -> None:
        """Keep a message for the next write."""
        self.waiting.append(payload)

    def send_held(self) -> None:
        """Write what is held."""
        if self.waiting:
            self.writes.append(list(self.waiting))
            self.waiting.clear()

    @property
    def versions(self) -> list[list[int]]:
        """Return the versions that each write told."""
        return [
            [int(payload.partition(b'"version":')[2].rstrip(b"}")) for payload in write]
            for write in self.writes
        ]


def hub_of(clock: Clock, window_s: float = WINDOW_S) -> Hub:
    """Build a hub whose windows follow a test's clock."""
    sessions = SimpleNamespace(
        ref=lambda user_id: SimpleNamespace(user_id=user_id, channel=b"user:{7}:7"),
        lane_of=lambda _ref: SimpleNamespace(branch="run"),
        subscribe=lambda _ref: None,
        release=lambda _ref, _ttl_s: None,
    )
    catalogues = SimpleNamespace(watch=lambda _: None)
    gathering = Gathering(cast("asyncio.AbstractEventLoop", clock), window_s)
    return Hub(cast("Sessions", sessions), cast("Catalogues", catalogues), 200, 60, gathering)


def bought(version: int) -> Bought:
    """Return a change of that version."""
    return Bought(b"ok", version, 1, 2, 3, 4, 0, 1)


def test_a_lone_change_goes_to_every_other_tab_at_once() -> None:
    """Changes that are further apart than the window are written as they come; no timer is set."""
    clock = Clock()
    hub = hub_of(clock)
    sender, other, third = Tab(hub), Tab(hub), Tab(hub)
    for version in (1, 2, 3):
        hub.tell_others(sender.exchange, sender.player, bought(version))
        assert [[version]] == other.versions[-1:] == third.versions[-1:]
        assert clock.due == []
        clock.move(WINDOW_S)
    assert sender.writes == []


def test_changes_in_quick_succession_share_writes_and_none_is_left_out() -> None:
    """A hundred changes within a second are sent once each, in order, in 20 writes a tab and not in 100."""
    clock = Clock()
    hub = hub_of(clock)
    sender, *others = tabs = [Tab(hub) for _ in range(10)]
    for version in range(1, 101):
        hub.tell_others(sender.exchange, sender.player, bought(version))
        clock.move(0.01)
    clock.move(2 * WINDOW_S)
    assert [tab.waiting for tab in tabs] == [[]] * 10
    for tab in others:
        assert list(range(1, 101)) == [version for write in tab.versions for version in write]
        assert len(tab.writes) <= 1 + 1.0 / WINDOW_S
    assert clock.due == []


@pytest.mark.parametrize(("tabs", "times"), [(2, 1), (5, 1), (10, 2), (20, 4), (40, 4)])
def test_the_copies_of_many_tabs_wait_longer(tabs: int, times: int) -> None:
    """Up to five tabs a window, twenty and more four."""
    clock = Clock()
    hub = hub_of(clock)
    sender, other, *_ = [Tab(hub) for _ in range(tabs)]
    for version in (1, 2):
        hub.tell_others(sender.exchange, sender.player, bought(version))
    clock.move(times * WINDOW_S - 0.001)
    assert other.versions == [[1]]
    clock.move(0.002)
    assert other.versions == [[1], [2]]


def test_what_is_sent_to_a_tab_goes_behind_what_it_waits_for() -> None:
    """Two tabs click in turns, and income comes: on each tab versions rise, and the sender hears no copy."""
    clock = Clock()
    hub = hub_of(clock)
    left, right = Tab(hub), Tab(hub)
    for version in range(1, 9):
        sender = left if version % 2 else right
        sender.exchange.version = version
        hub.tell_others(sender.exchange, left.player, bought(version))
        sender.send(b'{"version":%d}' % version)
    hub.tell_others(None, left.player, Income(b"passive", 9, 1, 2, 3, 4, 5))
    clock.move(WINDOW_S)
    for tab in (left, right):
        assert list(range(1, 10)) == [version for write in tab.versions for version in write]


def test_who_joins_or_leaves_within_a_window_is_sent_what_is_theirs() -> None:
    """A tab that joins later is sent the changes from then on; one that left does not hold up the others."""
    clock = Clock()
    hub = hub_of(clock)
    sender, leaving, staying, late = Tab(hub), Tab(hub), Tab(hub), Tab(hub, joined=False)
    for version in (1, 2):
        hub.tell_others(sender.exchange, sender.player, bought(version))
    hub.detach(leaving.exchange)
    late.exchange.joined, late.exchange.version = True, 2
    hub.tell_others(sender.exchange, sender.player, bought(3))
    clock.move(WINDOW_S)
    assert staying.versions == [[1], [2, 3]]
    assert late.versions == [[3]]
    assert leaving.versions == [[1]]


def test_without_a_window_every_copy_goes_at_once() -> None:
    """`COPY_WINDOW_MS=0` is how it was: a write for each copy."""
    clock = Clock()
    hub = hub_of(clock, 0.0)
    sender, other = Tab(hub), Tab(hub)
    for version in (1, 2, 3):
        hub.tell_others(sender.exchange, sender.player, bought(version))
    assert other.versions == [[1], [2], [3]]
    assert clock.due == []
