"""The hill-climber finds what costs a parser most, and finds nothing here that costs too much."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import pytest

from scripts.hostile.costs import climb, lines
from scripts.hostile.parsers import PARSERS, Parser

if TYPE_CHECKING:
    from collections.abc import Callable

TRIES: Final = 60
MOST_LINES: Final = 20_000
"""Of Python, by one input at its bound: the worst that 6,000 tries found takes 12,300."""
MOST_TIMES: Final = 6
"""Four times the bytes take four times the lines; the rest is chance."""
FEW_LINES: Final = 500
"""Below it a ratio says nothing."""


def worst_lines(parser: Parser, most_bytes: int) -> float:
    """Climb a little, always from the same seed."""
    return climb(parser, lines, TRIES, random.Random(1), most_bytes=most_bytes).cost


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_no_input_that_is_found_costs_more_than_its_bytes(parser: Parser) -> None:
    """The worst at the bound, and at a quarter of it, stay under a bound and in proportion."""
    whole = worst_lines(parser, parser.most_bytes)
    quarter = worst_lines(parser, parser.most_bytes // 4)
    assert 0 < whole <= MOST_LINES
    assert whole <= FEW_LINES or whole <= MOST_TIMES * quarter


def slowly(data: bytes) -> int:
    """Look for each semicolon from the beginning again, as parsers of options have done."""
    found = 0
    for stop in range(data.count(b";")):
        for _ in data[: stop + 1].split(b";"):
            found += 1
    return found


def hidden(data: bytes) -> int:
    """Take long where an input holds two words that no seed has next to each other."""
    found = 0
    if b"ab" in data:
        for _ in range(MOST_LINES):
            found += 1
    return found


@pytest.mark.parametrize(
    ("run", "words"), [(slowly, (b";",)), (hidden, (b"a", b"b"))], ids=["quadratic", "hidden"]
)
def test_the_climber_finds_what_is_too_much(run: Callable[[bytes], int], words: tuple[bytes, ...]) -> None:
    """A parser whose time grows with the square of its bytes, and one with a trap, are found out."""
    parser = Parser(run, (b"a/b;c=d",), words, 256)
    assert worst_lines(parser, 256) > MOST_LINES
