"""Write the table of docs/balance.md and its pictures: `python -m scripts.simulate.page`.

Run it after a change of the catalogue; `--check` writes nothing and says whether the table is stale.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.simulate.habits import DAY_S, HABITS, HOUR_S
from scripts.simulate.picture import draw, title_of
from scripts.simulate.promises import PROMISES, first_run
from scripts.simulate.simulation import simulate
from seeds.files import read_catalogue

if TYPE_CHECKING:
    from game.catalogue import Catalogue
    from scripts.simulate.course import Course

REPOSITORY: Final = Path(__file__).parents[2]
PAGE: Final = REPOSITORY / "docs" / "balance.md"
PICTURES: Final = REPOSITORY / "docs" / "images"
BEGIN: Final = "<!-- Made by `python -m scripts.simulate.page` from here on; changes are lost. -->"
END: Final = "<!-- Made up to here. -->"
DRAWN: Final = {
    "calm": 8 * HOUR_S,
    "steady": 8 * HOUR_S,
    "eager": 8 * HOUR_S,
    "lazy": 7 * DAY_S,
    "advised": 8 * HOUR_S,
}
"""The players with a picture, and how long each plays for it."""


def table(courses: dict[str, Course]) -> str:
    """Write what each player measured of each promise, in parentheses where it is made to others."""
    lines = [
        "| promise | " + " | ".join(courses) + " |",
        "|---|" + "---|" * len(courses),
    ]
    for promise in PROMISES:
        cells = [
            shown if name in promise.players else f"({shown})"
            for name, shown in (
                (name, promise.shown(promise.measure(course))) for name, course in courses.items()
            )
        ]
        lines.append(f"| {promise.text} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def with_table(page: str, courses: dict[str, Course]) -> str:
    """Return the page with the table as these courses measured it."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(courses)}\n\n{END}{after}"


def play(catalogue: Catalogue) -> dict[str, Course]:
    """Let each player play the first run and the way back."""
    return {name: first_run(catalogue, name) for name in HABITS}


def main() -> int:
    """Run the command; 1 when `--check` found a stale table."""
    parser = argparse.ArgumentParser(prog="python -m scripts.simulate.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the table is stale")
    check_only = parser.parse_args().check
    catalogue = read_catalogue("en")
    page = PAGE.read_text(encoding="utf-8")
    fresh = with_table(page, play(catalogue))
    if check_only:
        if page != fresh:
            print("docs/balance.md is stale: run `python -m scripts.simulate.page`", file=sys.stderr)
        return int(page != fresh)
    PAGE.write_text(fresh, encoding="utf-8")
    for name, duration_s in DRAWN.items():
        course = simulate(catalogue, duration_s, habit=HABITS[name])
        (PICTURES / f"balance-{name}.svg").write_text(
            draw(course, title_of(HABITS[name], 1)), encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
