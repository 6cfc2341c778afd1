"""Golden guests: the scripts and the Python model agree on who comes, when, and on what a guest pays once."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import pytest

from game.golden import EVERY_MS, GUESTS, STAYS_MS, comes_ms
from game.rules import Tag
from game.session import UserId
from tests.support.game_catalogue import SANDWICH

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.twins import Twins
    from tests.support.wire import Wire

HOUR_US: Final = 3_600_000_000


def _until(twins: Twins, at_ms: int) -> None:
    """Set the clock."""
    twins.wait(1000 * at_ms - twins.now_us)


def _next(twins: Twins) -> int:
    """Let the guest of the next period come."""
    user_id = twins.live.session.user_id
    number = twins.now_us // 1000 // EVERY_MS + 1
    _until(twins, comes_ms(user_id, number))
    return number


def test_a_guest_pays_once(wire: Wire, begin: Callable[..., Twins]) -> None:
    """With the sandwich alone 40 cooks are worth 40; asked again, also after the stay, nothing more comes."""
    twins = begin()
    number = _next(twins)
    twins.golden_guest(0)
    twins.golden_guest(number)
    twins.golden_guest(number)
    twins.wait(1000 * STAYS_MS)
    twins.golden_guest(number)
    twins.golden_guest(0)
    twins.hold(wire)
    state = twins.live.session
    assert (state.money, state.earned) == (40, 40)
    assert state.clients[GUESTS].highest == number


def test_a_guest_is_served_while_here(wire: Wire, begin: Callable[..., Twins]) -> None:
    """Neither a millisecond before the guest comes nor when the guest has left; a refusal changes nothing."""
    twins = begin()
    number = _next(twins)
    twins.wait(-1000)
    twins.golden_guest(number)
    twins.wait(1000 + 1000 * STAYS_MS)
    twins.golden_guest(number)
    for other in (1, number - 64, number + 1, number + 1000, 2**53 - 1):
        twins.golden_guest(other)
    assert twins.live.session.money == 0
    twins.wait(-1000)
    twins.golden_guest(number)
    twins.hold(wire)
    assert twins.live.session.money == 40


def test_who_cannot_cook_serves_nobody(wire: Wire, begin: Callable[..., Twins]) -> None:
    """Without a dish a guest is not served, and may be as soon as there is one."""
    twins = begin(bought={})
    number = _next(twins)
    twins.golden_guest(number)
    twins.upgrade_buy(SANDWICH, 10)
    twins.golden_guest(number)
    twins.hold(wire)
    assert twins.live.session.money == 40


def test_other_clients_do_not_make_a_guest_forgotten(wire: Wire, begin: Callable[..., Twins]) -> None:
    """A window of the game takes no client's place, and 40 new clients don't take its own."""
    twins = begin()
    for number in range(32):
        twins.cook(tag=Tag(f"tab {number}", 1))
    number = _next(twins)
    twins.golden_guest(number)
    assert len(twins.live.session.clients) == 33
    for client in range(40):
        twins.cook(tag=Tag(f"{'я' * 60} {client}", 1))
    twins.golden_guest(number)
    twins.hold(wire)
    assert len(twins.live.session.clients) == 33
    assert twins.live.session.earned == 40


@pytest.mark.parametrize("back_us", [0, 60_000_000, 8 * HOUR_US, 9 * HOUR_US, 30 * HOUR_US])
def test_a_clock_that_ran_back_pays_no_guest_twice(
    wire: Wire, begin: Callable[..., Twins], back_us: int
) -> None:
    """Guests of the time before are served, and none that was served within the last 64 again."""
    twins = begin()
    first = _next(twins)
    twins.golden_guest(first)
    twins.wait(-back_us)
    second = _next(twins)
    twins.golden_guest(second)
    twins.golden_guest(second)
    twins.golden_guest(0)
    twins.hold(wire)
    assert twins.live.session.earned == 40 * len({first, second})


def test_guests_come_at_all_times() -> None:
    """Each in its own period, at moments that differ between players and periods and cover all of it."""
    offsets = [
        comes_ms(UserId(user_id), number) - number * EVERY_MS
        for user_id, number in itertools.product((1, 2, 77_123, 2**40), range(3_740_000, 3_740_250))
    ]
    assert len(set(offsets)) > 990
    assert 0 <= min(offsets) < EVERY_MS // 20
    assert EVERY_MS - EVERY_MS // 20 < max(offsets) < EVERY_MS
    steps = [later - earlier for earlier, later in itertools.pairwise(offsets)]
    assert len(set(steps)) > 900
