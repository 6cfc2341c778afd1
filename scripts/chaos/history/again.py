"""Again: where nothing explains what was said, another way to something said before may.

A message says a part of the session: a cook's answer says nothing of the money, one to a `level_up` nothing
of the dishes. Hidden operations that lead to the same answer by different ways may so lead to different
sessions, or leave different operations for what comes, and only what is said later shows which it was.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from scripts.chaos.history.facts import facts_in_play

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.chaos.history.course import Course
    from scripts.chaos.history.said import Said
    from scripts.chaos.history.steps import Step

_MOST_BACK: Final = 8
"""How many messages back another way is looked for."""
_MOST_WAYS: Final = 100
"""How many ways to one message are looked at."""
_MOST_TRIED: Final = 100
"""How many of all these are followed as far as they lead."""


class _Walked(NamedTuple):
    """What was said, the step that it led to, and from which step and version the way went there."""

    said: Said
    step: Step
    since: Step
    version: int


class Again:
    """Remembers the last messages that a course went to, and goes to them by other ways."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._walked: list[_Walked] = []

    def walk(self, path: list[Step], said: Said) -> None:
        """Go a path that was found."""
        since, version = self._course.trail[-1], self._course.version
        self._course.walk(path, said)
        self._walked.append(_Walked(said, path[-1], since, version))
        del self._walked[:-_MOST_BACK]

    def otherwise(self, said: Said) -> bool:
        """Go to what was said over another way to something before; else all is as it was."""
        tries = iter(range(_MOST_TRIED))
        for back in range(1, len(self._walked) + 1):
            mark, walked = self._course.mark(), list(self._walked)
            first, *rest = [each.said for each in walked[-back:]]
            gone = walked[-back]
            seen: set[object] = set()
            self._course.go_back(gone.since, gone.version)
            for way in islice(self._course.ways_to(first, gone.since.session), _MOST_WAYS):
                used = sorted(step.operation.effect for step in way if step.operation is not None)
                end = repr(facts_in_play(way[-1].session)), *used
                if end in seen:
                    continue
                if next(tries, None) is None:
                    break
                seen.add(end)
                self._walked = walked[:-back]
                self.walk(way, first)
                if self._follow([*rest, said]):
                    return True
                self._course.go_back(gone.since, gone.version)
            self._course.return_to(mark)
            self._walked = walked
        return False

    def _follow(self, messages: Sequence[Said]) -> bool:
        for said in messages:
            if said.operation is not None and id(said.operation) in self._course.applied:
                return False
            path = self._course.path_to(said, self._course.trail[-1].session)
            if path is None:
                return False
            self.walk(path, said)
        return True
