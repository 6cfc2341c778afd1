"""Between two things that were said of a session: the fewest operations that lead from one to the other."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from game.errors import Refusal
from game.rates import rates_of
from scripts.chaos.history.facts import differences, facts_of_session
from scripts.chaos.history.said import Said, copy_of, play
from scripts.chaos.history.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from game.catalogue import Catalogue
    from game.session import Session
    from scripts.chaos.history.timeline import Operation

MOST_STATES: Final = 5_000
"""How many states are tried for a path."""


class Search:
    """Looks for paths. `lost` names what was answered, and may have been lost and applied once more.

    `pays`: the player has income. `loses`: what was known to be applied may have been lost.
    """

    def __init__(
        self, catalogue: Catalogue, lost: Callable[[Said], Iterable[Operation]], *, pays: bool, loses: bool
    ) -> None:
        self._catalogue = catalogue
        self._lost = lost
        self._pays = pays
        self._loses = loses

    def path(
        self,
        said: Said,
        start: Session,
        free: list[Operation],
        most: int = MOST_STATES,
        needed: frozenset[int] = frozenset(),
    ) -> list[Step] | None:
        """Find the fewest of some operations that lead to what was said, with all that are needed."""
        return next(self.paths(said, start, free, most, needed), None)

    def paths(
        self,
        said: Said,
        start: Session,
        free: list[Operation],
        most: int = MOST_STATES,
        needed: frozenset[int] = frozenset(),
    ) -> Iterator[list[Step]]:
        """Yield the ways that lead to what was said, those of the fewest operations first."""
        waiting: deque[tuple[list[Step], list[Operation]]] = deque([([Step(start, 0)], free)])
        seen: set[object] = set()
        while waiting and len(seen) < most:
            steps, left = waiting.popleft()
            enough = needed.isdisjoint(map(id, left))
            for last in self._last_steps(steps[-1].session, left, said) if enough else ():
                if self._fits(last.session, said):
                    yield [*steps[1:], last]
            tried = set()
            for operation in left:
                if operation.effect in tried:
                    continue
                tried.add(operation.effect)
                session = copy_of(steps[-1].session)
                try:
                    play(session, operation, self._catalogue)
                except Refusal:
                    continue
                if session == steps[-1].session:
                    continue  # a `level_up` without enough xp
                rest = [other for other in left if other is not operation]
                key = (repr(facts_of_session(session)), tuple(sorted(op.effect for op in rest)))
                if key not in seen:
                    seen.add(key)
                    waiting.append(([*steps, Step(session, said.heard_s, operation)], rest))

    def _last_steps(self, before: Session, left: Sequence[Operation], said: Said) -> Iterator[Step]:
        """Yield the ways to end with what was said: nothing more, the operation, or one of its kind."""
        if not said.change:
            yield Step(copy_of(before), said.heard_s)
            return
        options = [said.operation] if said.operation is not None else [*left, *self._lost(said)]
        for operation in options:
            if operation.request_type != said.change:
                continue
            if not self._loses and operation.known_at < said.version:
                continue
            session = copy_of(before)
            try:
                play(session, operation, self._catalogue)
            except Refusal:
                continue
            done = session.clicks + session.purchases - before.clicks - before.purchases
            if said.applied is None or done == said.applied:
                yield Step(session, said.heard_s, operation)

    def _fits(self, session: Session, said: Said) -> bool:
        if self._pays:
            self._pay(session, said)
        return not any(differences(session, facts) for facts in said.facts)

    def _pay(self, session: Session, said: Said) -> None:
        """Give a player with income so many seconds of it as what was said implies; whole ones only."""
        rates = rates_of(session, self._catalogue)
        for facts in said.facts:
            seconds = (facts.get("dishes", session.dishes) - session.dishes) / rates.dishes_per_second
            if seconds > 0 and seconds == int(seconds):
                session.dishes += seconds * rates.dishes_per_second
                session.cooked += seconds * rates.dishes_per_second
                session.xp += seconds * rates.xp_per_second
