"""Names: which may be chosen, and which look alike."""

from __future__ import annotations

import unicodedata

import pytest

from persistence.durable.names import acceptable, skeletons

FILLERS = "\u3164\u2800\u115f\u034f\ufe0f\ufe00\U000e0101\u200b\u200d\u00ad\u2060\u180b\uffa0\U0001d159"


def alike(one: str, other: str) -> bool:
    """Whether of two names only one can be taken."""
    first, second = skeletons(one), skeletons(other)
    return first.typed == second.typed or first.capitals == second.capitals


@pytest.mark.parametrize("filler", FILLERS, ids=lambda sign: f"U+{ord(sign):04X}")
def test_what_shows_nothing_is_in_no_name(filler: str) -> None:
    """Neither alone nor between letters."""
    for name in (filler * 3, f"an{filler}na"):
        assert acceptable(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "Zoe" + "\u0301" * 21,
        "a\u0301\u0302\u0303\u0304\u0305bc",
        "o\u0332\u0332ps",
        "\u0301anna",
        "an \u0301na",
        "a@b",
        "an  na",
        "an\tna",
        "ab",
        "a" * 25,
        "\ufdfa\ufdfa",
        "an\u2d7fna",
        "an\u17d2na",
        "\u10e3\u10e2\u1039\u10d0",
        "\ufdfa" * 64,
    ],
    ids=ascii,
)
def test_other_refusals(name: str) -> None:
    """Heaps of marks, marks over nothing, signs that don't belong, and what is too short or too long."""
    assert acceptable(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "Ada of the Stove",
        "Повар_Борис",
        "Nguyễn Thị Ánh",
        "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd",
        "\u0e19\u0e49\u0e33\u0e1b\u0e39\u0e49",
        "\u0915\u094d\u0937\u093f\u0924\u093f\u091c",
        "\ud55c\uad6d\uc5b4",
        "\u1019\u1014\u1039\u1010\u101c\u1031\u1038",
        "\u1781\u17d2\u1798\u17c2\u179a",
        "\U0001f355 pizza",
        "x" * 24,
    ],
    ids=ascii,
)
def test_names_of_many_scripts(name: str) -> None:
    """Names as people write them are taken as they are, decomposed ones composed."""
    assert acceptable(name) == unicodedata.normalize("NFKC", name)
    assert acceptable(f" {unicodedata.normalize('NFD', name)} ") == acceptable(name)


def test_compatibility_forms() -> None:
    """Fullwidth letters, ligatures and circled digits become the letters that they stand for."""
    assert acceptable("\uff21\uff24\uff2d\uff29\uff2e") == "ADMIN"
    assert acceptable("\ufb01re\u2460") == "fire1"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("admin", "adm\u0456n"),
        ("admin", "\u0430dmin"),
        ("admin", "ADMIN"),
        ("admin", "adrnin"),
        ("admin", "ADMlN"),
        ("admin", "\u0410D\u041cIN"),
        ("admin", "Adm1n"),
        ("copoka", "\u0441\u043e\u0440\u043e\u043a\u0430"),
        ("HOBA", "\u041d\u041e\u0412\u0410"),
        ("O0OO", "oooo"),
        ("\u0417\u043e\u044f", "3\u043e\u044f"),
        ("paypal", "p\u0251ypal"),
        ("Zo\u00eb", "ZO\u00cb"),
    ],
    ids=ascii,
)
def test_names_that_look_alike(one: str, other: str) -> None:
    """Whichever of the two is written in which case and script."""
    assert alike(one, other)
    assert alike(other, one)


DIFFERENT = """
anna hanna boris borys tim yim rita tina cook book Ada Eda Oda Анна Инна Борис Повар Ритка Иван Лев
"""


def test_names_that_do_not() -> None:
    """Different words of one script, or of two, are different names."""
    words = DIFFERENT.split()
    keys = [skeletons(word) for word in words]
    assert len({key.typed for key in keys}) == len(words)
    assert len({key.capitals for key in keys}) == len(words)
