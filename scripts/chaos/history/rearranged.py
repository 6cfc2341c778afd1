"""Rearranged: all guesses of a course at once, where moving one operation after another leads nowhere.

What is guessed is which operations each stretch hides, and which one each change of nobody was. Of one effect
it does not matter which, as long as the times allow it: that is a matching. What remains to be tried is what
kinds of operations explain a stretch, and only where another kind would free a place or an operation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count, islice
from operator import ge, sub
from typing import TYPE_CHECKING, Final, TypeAlias

from scripts.chaos.history.course import ON_ITS_WAY_S
from scripts.chaos.history.facts import totals_of
from scripts.chaos.history.matching import Candidate, Matching, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scripts.chaos.history.course import Course
    from scripts.chaos.history.steps import Step, Stretch
    from scripts.chaos.history.timeline import Operation

MOST_WORK: Final = 2_000_000
"""How many times at most it is asked whether an operation may be at a place, and the like."""
_WORK_FOR_WAYS: Final = 10_000
"""How much of that the ways of one stretch count for."""
_MOST_WAYS: Final = 200
"""How many ways are tried for one stretch."""

_Effect: TypeAlias = "tuple[str, int, int]"


@dataclass(slots=True)
class _Arrangement:
    """The stretches (by `id`) that are explained in another way, and the matching of each effect."""

    ways: dict[int, list[Step]] = field(default_factory=dict)
    matchings: dict[_Effect, Matching] = field(default_factory=dict)
    more: tuple[float, ...] = ()
    """What the totals at the end lack."""

    @property
    def lacks(self) -> int:
        """How many places have no operation, how many known operations no place, and which totals differ."""
        found = sum(len(each.empty) + len(each.unplaced) for each in self.matchings.values())
        return found + sum(map(bool, self.more))


class Rearrangement:
    """Looks for an arrangement of a course in which nothing is lacking, and that ends with some totals."""

    def __init__(self, course: Course, totals: Sequence[float] | None) -> None:
        self._course = course
        held = totals_of(course.trail[-1].session)
        self._more = tuple(map(sub, held if totals is None else totals, held))
        self._most = tuple(max(lack, 0.0) for lack in self._more)
        self._work = 0
        self._operations: dict[_Effect, list[Candidate]] = defaultdict(list)
        self._stretches = {id(stretch): stretch for stretch in course.stretches}
        guessed = {id(operation) for stretch in course.stretches for _, operation in _guesses(stretch)}
        for operation in course.open:
            if id(operation) in guessed or id(operation) not in course.applied:
                candidate = Candidate.of(operation, may_be_lost=bool(course.losses))
                self._operations[operation.effect].append(candidate)
        self._ways_of: dict[int, list[list[Step]]] = {}

    def place_all(self) -> bool:
        """Give every operation that is known to be applied its place; if that cannot be, all is as it was."""
        first = _Arrangement(more=self._more)
        first.matchings = {effect: self._matching(effect, first.ways) for effect in self._operations}
        tickets = count()
        waiting = [(first.lacks, next(tickets), first)]
        tried: set[object] = set()
        while waiting and self._work < MOST_WORK:
            lacks, _, arrangement = heappop(waiting)
            if not lacks:
                self._take(arrangement)
                return True
            for stretch, way in self._moves(arrangement):
                ways = {**arrangement.ways, id(stretch): way}
                key = frozenset((at, self._kind(at, each)) for at, each in ways.items())
                if key not in tried and self._work < MOST_WORK:
                    tried.add(key)
                    after = self._changed(arrangement, stretch, ways)
                    heappush(waiting, (after.lacks, next(tickets), after))
        return False

    def _moves(self, arrangement: _Arrangement) -> Iterator[tuple[Stretch, list[Step]]]:
        """Yield other ways for stretches that may help the first thing that is lacking."""
        for effect, matching in arrangement.matchings.items():
            for operation in matching.unplaced:
                rivals = matching.rivals(operation)
                holders = [
                    stretch
                    for stretch in self._course.stretches
                    if any(stretch.may_hold(rival) for rival in rivals)
                ]
                yield from self._others(arrangement, holders, effect, more=True)
                return
            for place in matching.empty:
                holders = [each.stretch for each in matching.in_the_way(place)]
                yield from self._others(arrangement, holders, effect, more=False)
                return
        for stretch in self._course.stretches:
            if stretch.has_reset and id(stretch) not in arrangement.ways:
                yield from ((stretch, way) for way in self._ways(stretch) if any(_added(stretch, way)))

    def _others(
        self, arrangement: _Arrangement, stretches: Iterable[Stretch], effect: _Effect, *, more: bool
    ) -> Iterator[tuple[Stretch, list[Step]]]:
        """Yield the ways for stretches, not changed yet, in which an effect is `more` often, or less."""
        for stretch in {id(each): each for each in stretches}.values():
            if id(stretch) in arrangement.ways:
                continue
            now = _effects(stretch)[effect]
            for way in self._ways(stretch):
                times = _effects(stretch, way)[effect]
                if (times > now) if more else (times < now):
                    yield stretch, way

    def _ways(self, stretch: Stretch) -> list[list[Step]]:
        """Return what explains a stretch, also by operations that may be needed elsewhere."""
        ways = self._ways_of.get(id(stretch))
        if ways is None:
            self._work += _WORK_FOR_WAYS
            place = _hidden(stretch.last, stretch)
            candidates = [each for several in self._operations.values() for each in several]
            candidates.sort(key=lambda each: (each.known_at, each.sent_s))
            pool = [each.operation for each in candidates if place.takes(each)]
            said = replace(stretch.said, operation=None) if stretch.is_of_nobody else stretch.said
            found = self._course.search.paths(said, stretch.start, pool)
            fits = (way for way in found if all(map(ge, self._most, _added(stretch, way))))
            kinds = {self._kind(id(stretch), way): way for way in islice(fits, _MOST_WAYS)}
            ways = self._ways_of[id(stretch)] = list(kinds.values())
        return ways

    def _kind(self, at: int, way: Sequence[Step]) -> object:
        """Return what tells two ways of one stretch apart."""
        stretch = self._stretches[at]
        return tuple(sorted(_effects(stretch, way).items())), _added(stretch, way)

    def _changed(self, before: _Arrangement, stretch: Stretch, ways: dict[int, list[Step]]) -> _Arrangement:
        """Match again what another way of a stretch changes."""
        old, new = before.ways.get(id(stretch)), ways[id(stretch)]
        matchings = dict(before.matchings)
        for effect in _effects(stretch, old).keys() | _effects(stretch, new).keys():
            matchings[effect] = self._matching(effect, ways)
        came, comes = (_added(stretch, way) for way in (old, new))
        more = tuple(
            lack + was - becomes for lack, was, becomes in zip(before.more, came, comes, strict=True)
        )
        return _Arrangement(ways, matchings, more)

    def _matching(self, effect: _Effect, ways: dict[int, list[Step]]) -> Matching:
        places = [
            place
            for at, stretch in self._stretches.items()
            for place, operation in _guesses(stretch, ways.get(at))
            if operation.effect == effect
        ]
        operations = self._operations[effect]
        self._work += len(self._stretches) + len(places) * len(operations)
        return Matching(places, operations)

    def _take(self, arrangement: _Arrangement) -> None:
        # The last one first: what a way adds is measured by what the earlier ones have added so far.
        for at, stretch in reversed(self._stretches.items()):
            if at in arrangement.ways:
                self._course.go_otherwise(stretch, arrangement.ways[at])
        for matching in arrangement.matchings.values():
            for place, operation in matching.operation_at.items():
                matching.places[place].step.operation = matching.operations[operation].operation
        self._course.applied = {
            id(step.operation) for step in self._course.trail if step.operation is not None
        }


def _guesses(stretch: Stretch, way: Sequence[Step] | None = None) -> Iterator[tuple[Place, Operation]]:
    """Yield the places in a stretch, and of each the operation that it was found with."""
    between, last = (stretch.between, stretch.last) if way is None else (way[:-1], way[-1])
    for step in between:
        if step.operation is not None:
            yield _hidden(step, stretch), step.operation
    if stretch.is_of_nobody and last.operation is not None:
        yield Place(stretch.last, stretch, stretch.said.heard_s, stretch.said.version), last.operation


def _hidden(step: Step, stretch: Stretch) -> Place:
    """Make a place for a hidden operation."""
    return Place(step, stretch, stretch.sent_by_s, stretch.after + 1, stretch.since_s - ON_ITS_WAY_S)


def _added(stretch: Stretch, way: Sequence[Step] | None) -> tuple[float, ...]:
    """Return what another way over a stretch adds to the totals: something only where a reset hides it."""
    held = totals_of(stretch.last.session)
    return tuple(map(sub, held if way is None else totals_of(way[-1].session), held))


def _effects(stretch: Stretch, way: Sequence[Step] | None = None) -> Counter[_Effect]:
    return Counter(operation.effect for _, operation in _guesses(stretch, way))
