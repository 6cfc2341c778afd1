"""Progress as `replace.lua` takes and returns it: numbers, `bought` and `achieved` in one text. Pure."""

from __future__ import annotations

from game.replacing import NUMBERS, Progress
from persistence.live.hashes import bought_text, parse_achieved, parse_bought


def progress_text(progress: Progress) -> str:
    """Write progress."""
    numbers = ",".join(f"{getattr(progress, name):.17g}" for name in NUMBERS)
    return f"{numbers};{bought_text(progress.bought)};{','.join(map(str, progress.achieved))}"


def parse_progress(text: str) -> Progress:
    """Read what the script found; raises ValueError."""
    numbers, bought, achieved = text.split(";")
    values = dict(zip(NUMBERS, map(float, numbers.split(",")), strict=True))
    return Progress(**values, bought=parse_bought(bought), achieved=parse_achieved(achieved))
