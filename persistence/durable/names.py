"""Which public names may be chosen, and which of them look alike. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from importlib import resources
from itertools import pairwise
from typing import Final, NamedTuple

NAME_CHARS: Final = range(3, 25)
_MAX_TYPED_CHARS: Final = 3 * NAME_CHARS.stop
"""Nothing longer becomes a name: at most three code points become one. NFKC of long heaps is slow."""

_MAX_MARKS_IN_A_ROW: Final = 4
"""Of nonspacing marks over one letter (https://www.unicode.org/reports/tr39/, 5.4)."""

_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt: shown as nothing."""

_BLANK: Final = re.compile("[\u2800\ufffc\U00013441\U00013442\U00016fe4\U0001d159]")
"""Characters whose picture is empty though no property says so."""

_STACKERS: Final = frozenset("\u1039\u17d2\u1a60\u1bab\u2d7f")
_HALF_BLOCK: Final = 0x80
"""Marks that are seen only in what they do to the letters of their own script, which lie this near."""

_DIRECTION: Final = "\u200e"
"""The table wraps what is written from right to left in it."""


class Skeletons(NamedTuple):
    """What a name looks like: two names that share either are taken for each other.

    `typed` is that of the name as it is written, `capitals` that of the name in capital letters: `adrnin`
    looks like `admin` in small letters alone, `ADMlN` in capitals.
    """

    typed: str
    capitals: str


def acceptable(name: str) -> str | None:
    """Return a name as it is kept, in NFKC without spaces at its ends; None for one that nobody may have."""
    if len(name) > _MAX_TYPED_CHARS:
        return None
    chosen = unicodedata.normalize("NFKC", name).strip()
    if len(chosen) not in NAME_CHARS or not chosen.isprintable() or "@" in chosen or "  " in chosen:
        return None
    if _IGNORABLE.search(chosen) or _BLANK.search(chosen) or not _marks_are_few(chosen):
        return None
    return chosen


def skeletons(name: str) -> Skeletons:
    """Return what an acceptable name looks like: equal for names that differ in case or look-alikes alone.

    As https://www.unicode.org/reports/tr39/ has it in section 4, over NFKC and without regard to case.
    """
    return Skeletons(_skeleton(name), _skeleton(name.upper()))


def _skeleton(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name)
    shown = "".join(_PROTOTYPES.get(sign, sign) for sign in decomposed)
    return unicodedata.normalize("NFKD", shown.casefold())


def _marks_are_few(name: str) -> bool:
    """Say whether every mark stands over a letter, none twice in a row, few over each, and none unseen."""
    decomposed = unicodedata.normalize("NFD", name)
    in_a_row = 0
    for before, sign in pairwise(" " + decomposed):
        if unicodedata.category(sign) not in {"Mn", "Me"}:
            in_a_row = 0
            continue
        if sign in _STACKERS and ord(before) // _HALF_BLOCK != ord(sign) // _HALF_BLOCK:
            return False
        in_a_row += 1
        if in_a_row > _MAX_MARKS_IN_A_ROW or before in {" ", sign}:
            return False
    return True


def _read_prototypes() -> dict[str, str]:
    """Read Unicode's table: for each character the one that stands for all of its look-alikes.

    The package lists for each character those that it is confused with, in both directions. A character with
    one such is its look-alike; the one with several is their prototype.
    """
    table = resources.files("confusable_homoglyphs").joinpath("confusables.json")
    listed: dict[str, list[dict[str, str]]] = json.loads(table.read_text(encoding="ascii"))
    partners = {
        sign.replace(_DIRECTION, ""): {entry["c"].replace(_DIRECTION, "") for entry in entries}
        for sign, entries in listed.items()
    }
    prototypes = {}
    for sign, others in partners.items():
        if len(sign) > 1 or len(others) > 1:
            continue
        (other,) = others
        # Of two that have only each other the longer, or the first in Unicode's order, stands for both.
        if len(partners[other]) > 1 or (-len(other), other) < (-len(sign), sign):
            prototypes[sign] = other
    return prototypes


_PROTOTYPES: Final = _read_prototypes()
