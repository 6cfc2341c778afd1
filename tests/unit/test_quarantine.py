"""Whom a flusher passes over, and for how long."""

from __future__ import annotations

from game.session import UserId
from persistence.writeback.quarantine import MOST_USERS, Quarantine


def test_the_wait_doubles_up_to_ten_minutes() -> None:
    """A session that stays bad is tried after 30 s, 60 s and so on, at least every 10 minutes."""
    quarantine, now_s, waits = Quarantine(), 0.0, []
    for _ in range(7):
        quarantine.add(UserId(1), now_s)
        wait_s = next(s for s in range(1000) if not quarantine.waits(UserId(1), now_s + s))
        waits.append(wait_s)
        now_s += wait_s
    assert waits == [30, 60, 120, 240, 480, 600, 600]


def test_a_session_saved_after_all_starts_again() -> None:
    """Forgotten means passed over no longer, and 30 s the next time."""
    quarantine = Quarantine()
    quarantine.add(UserId(1), 0)
    quarantine.forget(UserId(1))
    assert not quarantine.waits(UserId(1), 1)
    quarantine.add(UserId(1), 100)
    assert not quarantine.waits(UserId(1), 130)


def test_memory_is_bounded() -> None:
    """Beyond the bound the one that was quarantined first is tried again sooner."""
    quarantine = Quarantine()
    for user in range(MOST_USERS + 1):
        quarantine.add(UserId(user), 0)
    assert len(quarantine) == MOST_USERS
    assert not quarantine.waits(UserId(0), 1)
    assert quarantine.waits(UserId(MOST_USERS), 1)
