"""Histories of a server without faults, drawn by chance: most requests are not answered the first time.

Half of those were applied all the same, which is sent to the other tab or to nobody; numbered ones are sent
again later, shuffled, on either tab.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from tests.support.histories import ANNA, BERT, NO_DISHES, OVEN, UNAVAILABLE, Story

_LOST: Final = 1006


@dataclass(slots=True)
class _Owed:
    kind: str
    dishes: int
    tag: dict[str, Any]
    is_applied: bool


@dataclass(slots=True)
class _Chance:
    story: Story
    draw: random.Random
    tabs: list[int] = field(default_factory=lambda: [ANNA, BERT])
    owed: list[_Owed] = field(default_factory=list)
    connections: count[int] = field(default_factory=lambda: count(10))
    numbers: count[int] = field(default_factory=lambda: count(1))

    def asks(self, *, earns: bool) -> None:
        """Let a tab ask for something, and have it or not."""
        draw, story = self.draw, self.story
        kind = "cook" if earns or draw.random() < 0.6 else "sell"
        dishes = draw.choice((1, 1, 2, 5) if kind == "cook" else (1, 3, 20))
        at = draw.randrange(2)
        if earns and draw.random() < 0.3:
            story.earns(draw.randint(1, 3))
        tag = {"client": "a", "seq": next(self.numbers)} if draw.random() < 0.7 else {}
        is_possible = kind == "cook" or story.live.session.dishes > 0
        if draw.random() < 0.35:
            if is_possible:
                story.does(self.tabs[at], kind, dishes, **tag)
            return
        request = story.sends(self.tabs[at], kind, count=dishes, **tag)
        is_applied = is_possible and draw.random() < 0.5
        if is_applied:
            said = story.applies(kind, dishes)
            if draw.random() < 0.15:
                self._tell(self.tabs[at], kind, said)
        if not is_applied or draw.random() < 0.5:
            story.hears(self.tabs[at], request, "error", UNAVAILABLE)
        else:
            story.closes(self.tabs[at], _LOST)
            self.tabs[at] = next(self.connections)
            story.opens(self.tabs[at], "anna")
        if tag:
            self.owed.append(_Owed(kind, dishes, tag, is_applied))

    def asks_again(self) -> None:
        """Send something again that was not answered."""
        story = self.story
        owed = self.owed.pop(self.draw.randrange(len(self.owed)))
        tab = self.draw.choice(self.tabs)
        request = story.sends(tab, owed.kind, count=owed.dishes, **owed.tag)
        state = story.live.session
        if owed.is_applied:
            said = {"dishes": state.dishes, "xp": state.xp / 100, "applied": 0, "duplicate": True}
            said |= {"money": state.money} if owed.kind == "sell" else {}
            story.hears(tab, request, owed.kind, {**said, "version": state.version})
        elif owed.kind == "sell" and not state.dishes:
            story.hears(tab, request, "error", NO_DISHES)
        else:
            said = story.applies(owed.kind, owed.dishes)
            story.hears(tab, request, owed.kind, said)
            self._tell(tab, owed.kind, said)

    def _tell(self, sender: int, kind: str, said: dict[str, Any]) -> None:
        for other in self.story.joined:
            if other != sender:
                self.story.hears(other, 0, kind, said)


def faultless(seed: int) -> Story:
    """Tell of a player with income (even seeds), or without."""
    draw = random.Random(seed)
    earns = seed % 2 == 0
    chance = _Chance(Story(bought=(1, OVEN) if earns else (1,)), draw)
    chance.story.does(ANNA, "cook", 5)
    for _ in range(draw.randint(20, 60)):
        chance.asks(earns=earns)
        while chance.owed and draw.random() < 0.4:
            chance.asks_again()
    return chance.story
