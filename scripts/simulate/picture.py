"""Draws a simulated game as an SVG: rank and income over time, the first hours and all of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from scripts.simulate.habits import HOUR_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.simulate.course import Course, Sample
    from scripts.simulate.habits import Habit

FIRST_HOURS: Final = 4
POINTS: Final = 240
PLACES: Final = {10: "food truck", 20: "small café", 40: "family restaurant", 70: "gastro restaurant"}
INK, LINE, FAINT, PAPER = "#33312e", "#d9480f", "#cfc8bd", "#fffdf8"
WIDTH, HEIGHT = 380, 150
LEFT, TOP, GAP = 60, 46, 50


def title_of(habit: Habit, seed: int) -> str:
    """Name the player, the pace and the seed."""
    return f"Click & Cook: the {habit.name} player, {habit.clicks_per_s:g} clicks a second, seed {seed}"


def draw(course: Course, title: str) -> str:
    """Return the picture: two columns of time, ranks above, money a second (logarithmic) below."""
    end_s = max(sample.at_s for sample in course.samples)
    parts = [_text(LEFT, 22, title, size=15)]
    for column, until_s in enumerate((min(end_s, FIRST_HOURS * HOUR_S), end_s)):
        x = LEFT + column * (WIDTH + GAP)
        samples = list(course.every(POINTS, until_s))
        parts += _panel(course, samples, until_s, (x, TOP))
    width, height = LEFT + 2 * WIDTH + GAP + 20, TOP + 2 * (HEIGHT + GAP) + 4
    parts.append(_text(LEFT, height - 8, "dashed: a reset for prestige", size=11))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" fill="{INK}" role="img"><title>{_escaped(title)}</title>'
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(course: Course, samples: Sequence[Sample], until_s: float, at: tuple[int, int]) -> list[str]:
    """Draw ranks and income up to a moment, one below the other."""
    x, y = at
    parts = []
    most = max(10, *(sample.rank for sample in samples))
    digits = max(1, math.ceil(math.log10(max(10.0, *(sample.income for sample in samples)))))
    marks = {rank: name for rank, name in PLACES.items() if rank <= most}
    ranks = [(sample.at_s / until_s, sample.rank / most) for sample in samples]
    income = [(sample.at_s / until_s, math.log10(max(1.0, sample.income)) / digits) for sample in samples]
    below = y + HEIGHT + GAP
    for top, points, name in ((y, ranks, "rank"), (below, income, "money a second")):
        parts.append(_text(x, top - 6, name, size=11))
        parts.append(f'<path d="M{x} {top}v{HEIGHT}h{WIDTH}" fill="none" stroke="{FAINT}" stroke-width="1"/>')
        parts += [_dashed(x + WIDTH * at_s / until_s, top) for at_s in course.resets if at_s <= until_s]
        path = " ".join(f"{x + WIDTH * right:.1f},{top + HEIGHT * (1 - up):.1f}" for right, up in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="1.6"/>')
    for rank, place in marks.items():
        parts.append(_text(x - 4, y + HEIGHT * (1 - rank / most) + 4, str(rank), size=10, anchor="end"))
        parts.append(_text(x + WIDTH, y + HEIGHT * (1 - rank / most) - 2, place, size=9, anchor="end"))
    step = max(1, math.ceil(digits / 5))
    for digit in range(0, digits + 1, step):
        level = below + HEIGHT * (1 - digit / digits) + 4
        parts.append(_text(x - 4, level, f"1e{digit}", size=10, anchor="end"))
    hours = until_s / HOUR_S
    step = max(1, math.ceil(hours / 6))
    parts += [
        _text(x + WIDTH * hour / hours, below + HEIGHT + 15, f"{hour} h", size=10, anchor="middle")
        for hour in range(0, math.floor(hours) + 1, step)
    ]
    return parts


def _dashed(x: float, top: float) -> str:
    return f'<path d="M{x:.1f} {top}v{HEIGHT}" stroke="{FAINT}" stroke-width="1" stroke-dasharray="4 3"/>'


def _text(x: float, y: float, text: str, *, size: int, anchor: str = "start") -> str:

    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{_escaped(text)}</text>'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
