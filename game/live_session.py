"""A session while it is played: its version, its income and for how long its player counts as joined.

Times are Redis' clock, ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from game.accrual import PROMISE_MS, accrue
from game.rates import Rates, rates_of

if TYPE_CHECKING:
    from game.accrual import Accrued
    from game.catalogue import Catalogue
    from game.session import Session


@dataclass(slots=True)
class LiveSession:
    """A session, its catalogue, and what only Redis holds: rates, the bucket's `tat_us`, the promise.

    Until `joined_until_ms`, whatever its sign, the player counts as joined. Where it is positive, processes
    may compute pushes from the session's version, one version for each whole second.
    """

    session: Session
    catalogue: Catalogue
    rates: Rates
    tat_us: float = 0.0
    joined_until_ms: int = 0

    @classmethod
    def of(cls, session: Session, catalogue: Catalogue) -> LiveSession:
        """Bring a session to life."""
        return cls(session, catalogue, rates_of(session, catalogue))

    def next_version(self, now_ms: int) -> int:
        """Return the version that the next change takes: past every push that can have been computed."""
        computed = max(0, (self.joined_until_ms - self.session.accrued_at_ms) // 1000)
        return max(self.session.version + (computed if self.rates.passive else 0) + 1, now_ms)

    def accrue(self, now_ms: int, cap_s: int) -> Accrued:
        """Compute the income up to now."""
        return accrue(self.session, self.rates, now_ms, cap_s, self.joined_until_ms)

    def promise(self, now_ms: int, *, asked: bool = False) -> None:
        """Count the player as joined from now on.

        Nobody computes from a version ahead of the clock, but where a process asked, once a second at most.
        """
        ahead = self.session.version > now_ms and not asked
        until_ms = now_ms + PROMISE_MS if self.rates.passive else 0
        self.joined_until_ms = -until_ms if ahead else until_ms

    def advance(self, version: int, now_ms: int) -> None:
        """Take the step to a version; nobody computes from one ahead of the clock."""
        self.session.version = version
        if version > now_ms:
            self.joined_until_ms = -abs(self.joined_until_ms)

    def renew(self, now_ms: int, *, asked: bool = False) -> None:
        """Promise again where the session did not change and little is left of the promise."""
        until_ms = self.joined_until_ms if asked else abs(self.joined_until_ms)
        if self.rates.passive and until_ms - now_ms < PROMISE_MS // 2:
            self.promise(now_ms, asked=asked)

    def change(self, version: int, now_ms: int) -> None:
        """Take the step to the next version, and promise."""
        self.session.version = version
        self.promise(now_ms)

    def settle(self, accrued: Accrued, version: int, now_ms: int) -> bool:
        """Pay the income alone, where a request changes nothing else; returns whether an amount changed."""
        if accrued.moved:
            accrued.apply(self.session)
            self.change(version, now_ms)
        return accrued.paid
