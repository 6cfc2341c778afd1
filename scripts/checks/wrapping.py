"""Wraps the prose of Markdown pages; leaves tables, code, headings and HTML as they are. Pure."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH: Final = 110

_FENCE: Final = re.compile(r"^\s*(```|~~~)")
_ITEM: Final = re.compile(r"^(\s*)([-*+]|\d+\.)\s+")
_OTHER: Final = re.compile(r"^\s*(\||#|<|!\[|\[[^\]]+\]:)|^\s*$|^(---|===)")
_CODE_SPAN: Final = re.compile(r"`[^`]*`")
_MARK: Final = re.compile(r" ([-*+#>|]|\d+\.)(?= |$)")
"""What would begin a list, a heading or a table if it came first on a line."""

_GLUE: Final = "\u2060"


def paragraphs(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Split a page into pieces: paragraphs and list items (True), and runs of everything else (False)."""
    fenced = False
    piece: list[str] = []
    is_prose = False
    for line in text.splitlines():
        fence = _FENCE.match(line) is not None
        indented = line.startswith("    ") and not (is_prose and piece)
        prose = not (fenced or fence or indented or _OTHER.match(line))
        if piece and (prose is not is_prose or (prose and _ITEM.match(line))):
            yield is_prose, piece
            piece = []
        piece.append(line)
        is_prose = prose
        fenced ^= fence
    if piece:
        yield is_prose, piece


def is_too_long(line: str) -> bool:
    """Say whether a line of prose is over the width though it has a place to break."""
    return len(line) > WIDTH and " " in _glued(line.strip())


def wrapped(text: str) -> str:
    """Wrap each paragraph that has a line over the width; idempotent."""
    lines: list[str] = []
    for is_prose, piece in paragraphs(text):
        lines += _wrap(piece) if is_prose and any(map(is_too_long, piece)) else piece
    return "\n".join(lines) + "\n"


def _wrap(piece: list[str]) -> list[str]:
    item = _ITEM.match(piece[0])
    start = item[0] if item else ""
    rest = " " * len(start) if item else re.match(r"\s*", piece[0])[0]  # type: ignore[index] # always matches
    words = (
        " ".join(line.strip() for line in piece)[len(start.strip()) :].strip()
        if item
        else " ".join(line.strip() for line in piece)
    )
    found = textwrap.wrap(
        _glued(words),
        WIDTH,
        initial_indent=start or rest,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_GLUE, " ") for line in found]


def _glued(text: str) -> str:
    """Keep code spans whole, and off the start of a line what would mean something there."""
    text = _CODE_SPAN.sub(lambda span: span[0].replace(" ", _GLUE), text)
    return _MARK.sub(rf"{_GLUE}\1", text)
