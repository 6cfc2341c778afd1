"""The Lua scripts are joined as they say, and their heads hold against their bodies."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from persistence.live.bodies import (
    differences,
    formats_differences,
    library_differences,
    record_differences,
)
from persistence.live.check import check, type_differences
from persistence.live.heads import head_of
from persistence.live.replies.publications import PUBLICATION_SHAPES
from persistence.live.scripts import LUA, joined, load_scripts
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Mapping

GOOD: Final = """-- Does a thing,
-- at once.
--
-- KEYS     1 session, 2 marks (dirty:{b})
-- ARGV     1 stamp (text)
--          2 count (integer, at least 1)
-- REPLY    ok, version,
--          dishes
--          missing (nothing was written)
-- EFFECTS  session: dishes
-- COST     HSET
--@include part
local session, marks = KEYS[1], KEYS[2]
local stamp, count = ARGV[1],
  tonumber(ARGV[2])
if redis.call('EXISTS', session) == 0 then return { 'missing' } end
mark(marks, stamp)
return { 'ok', 1, max(count, 3) } -- { 'never' }, KEYS[9]
"""
PART: Final = {"part": "local function mark(key, stamp) end\n"}


def test_heads_hold_against_bodies() -> None:
    """Every script of the game uses and replies exactly what its head says."""
    assert check() == []


def test_a_good_head_has_no_differences() -> None:
    """A head is read with its wrapped lines and remarks, a body without its comments."""
    head = head_of(GOOD)
    assert head.purpose == "Does a thing, at once."
    assert head.keys == ("session", "marks (dirty:{b})")
    assert head.argv == ("stamp (text)", "count (integer, at least 1)")
    assert head.replies == (("ok", "version", "dishes"), ("missing",))
    assert differences("good", GOOD, PART) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("-- COST     HSET\n", "", "good: the head says nothing of its cost"),
        ("mark(marks", "mark(KEYS[3]", "good: the body reads KEYS by number"),
        ("mark(marks", "mark(session", "good: the body names marks and never uses it"),
        (
            "local stamp, count",
            "local stamp, most",
            "good: the head names ARGV stamp, count, the body stamp, most",
        ),
        ("= KEYS[1], KEYS[2]", "= KEYS[2], KEYS[1]", "good: the body's names of KEYS are not in their order"),
        ("--          2 count", "--          3 count", "good: the numbers of ARGV have a gap"),
        ("{ 'missing' }", "{ 'gone' }", "good: the head replies ['missing', 'ok'], the body ['gone', 'ok']"),
        ("'ok', 1, ", "'ok', ", "good: the body replies ok with 2 words, which the head does not show"),
    ],
)
def test_each_difference_is_told(old: str, new: str, said: str) -> None:
    """What a head says too much, too little or wrongly, is named."""
    assert said in differences("good", GOOD.replace(old, new, 1), PART)


class _Thing(NamedTuple):
    status: bytes
    version: int
    dishes: int


class _Gone(NamedTuple):
    status: bytes


class _List(NamedTuple):
    version: int
    things: list[int]


class _ThingOfList(NamedTuple):
    money: int


_SHAPES: Final[Mapping[bytes, type[Any]]] = {b"ok": _Thing, b"missing": _Gone}


def test_a_head_and_its_types_agree() -> None:
    """Types with the head's names in the head's order have no difference."""
    assert type_differences("good", head_of(GOOD), _SHAPES, {}, {}) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "--          dishes\n",
            "--          money\n",
            "ok with version, money, its type has version, dishes",
        ),
        (
            "--          dishes\n",
            "--          dishes, xp\n",
            "ok with version, dishes, xp, its type has version, dishes",
        ),
        ("missing (nothing was written)", "missing, why", "missing with why, its type has "),
        ("missing (nothing was written)", "gone", "gone, which has no type"),
        ("missing (nothing was written)", "gone", "no missing"),
    ],
)
def test_a_reply_and_its_type_that_differ_are_named(old: str, new: str, said: str) -> None:
    """Another name, order, length or status than the type's is a difference."""
    changed = GOOD.replace(old, new, 1)
    assert f"good replies {said}" in type_differences("good", head_of(changed), _SHAPES, {}, {})


def test_a_list_and_its_type_that_differ_are_named() -> None:
    """A reply that starts with no status is held against its type too, and so is what it repeats."""
    text = GOOD.replace("ok, version,\n--          dishes", "{version, things…}\n--          thing: {dishes}")
    head = head_of(text)
    lists: dict[str, type[Any]] = {"": _List}
    shapes = {b"missing": _Gone}
    assert type_differences("good", head, shapes, lists, {}) == ["good replies thing, which has no type"]
    lists["thing"] = _ThingOfList
    assert type_differences("good", head, shapes, lists, {}) == [
        "good replies thing with dishes, its type has money"
    ]


def test_publications_are_held_against_head_and_type() -> None:
    """A publication has the words that the head shows, and its type their names."""
    text = GOOD.replace("-- EFFECTS", "-- SENDS    cook, version, dishes\n-- EFFECTS", 1)
    sends = f"{text}publish(stamp, 0, 'refresh', 'cook', s.version, max(1, 2))\n"
    assert differences("good", sends, PART) == []
    assert differences("good", sends.replace("s.version, ", ""), PART) == [
        "good: the body publishes cook with 2 words, which the head does not show"
    ]
    assert type_differences("good", head_of(text), _SHAPES, {}, PUBLICATION_SHAPES) == [
        "good publishes cook with version, dishes, its type has version, dishes, xp, applied"
    ]


def test_a_library_takes_its_arguments_and_has_its_functions_name() -> None:
    """A library reads neither KEYS nor ARGV, and its last function is called like its file."""
    good = {"now": "local function now() return 1 end\n", "limits": "local MOST = 1\n"}
    assert library_differences(good) == []
    assert library_differences({"clock": "local function now() return ARGV[1] end\n"}) == [
        "lib/clock: reads KEYS or ARGV, which a script names",
        "lib/clock: the function that it ends with is not clock",
    ]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("local version, dirty, dishes = struct.unpack(NOW, packed)", []),
        ("local version, dirty = struct.unpack('<dd', packed)", []),
        ("local joined_until = struct.unpack('<d', life, JOINED)", []),
        ("x = struct.pack(WINDOW, highest, hi, lo, now_s)", []),
        (
            "local version, dishes = struct.unpack(NOW, packed)",
            ["good: unpacks version, dishes as NOW"],
        ),
        ("local dirty = struct.unpack('<d', packed)", ["good: unpacks dirty as '<d'"]),
        (
            "s.boost,\n  s.rank = struct.unpack(LIFE, packed)",
            ["good: unpacks s.boost,\n  s.rank as LIFE"],
        ),
        ("x = struct.pack(LIFE, s.boost, s.accrued_at)", ["good: packs s.boost, s.accrued_at as LIFE"]),
    ],
)
def test_lua_packs_a_session_in_the_records_order(code: str, said: list[str]) -> None:
    """Numbers are packed and unpacked where the record has them; a pack has all of a field."""
    assert record_differences("good", code) == said


def test_formats_are_those_of_the_record() -> None:
    """A format with a number too few, or another offset, is named."""
    text = (LUA / "lib" / "formats.lua").read_text()
    assert formats_differences(text) == []
    (said,) = formats_differences(text.replace("17, 105", "17, 97"))
    assert said == "lib/formats: must say local REST, STAMP = 17, 105"


def test_a_library_is_joined_once() -> None:
    """A library stands where it is first asked for, with what it asks for itself, and nowhere else."""
    libraries = {"a": "--@include b\na()\n", "b": "b()\n"}
    assert joined("x()\n  --@include a\n--@include b\ny()\n", libraries) == "x()\nb()\na()\ny()\n"


def test_an_unknown_library_is_told() -> None:
    """A script that asks for a library that does not exist is not loaded."""
    with pytest.raises(ValueError, match="no Lua library is called clock"):
        joined("--@include clock\n", {})


def test_scripts_are_named_by_their_sha() -> None:
    """The SHA is that of the joined source, so another library gives another script."""
    scripts, others = load_scripts(), load_scripts({"now_us": "local function now_us() return 1 end\n"})
    cook = scripts["cook"]
    assert cook.sha == hashlib.sha1(cook.source.encode(), usedforsecurity=False).hexdigest()
    assert cook.sha != others["cook"].sha
    assert (cook.name, cook.keys, cook.flags) == ("cook", 2, ())
    assert "--@include" not in cook.source


def test_what_frees_memory_runs_on_a_full_redis() -> None:
    """Scripts that clear marks or let sessions go are flagged, or a full Redis could not recover."""
    scripts = load_scripts()
    assert {"allow-oom"} == {flag for name in ("clean", "release", "delete") for flag in scripts[name].flags}


def test_the_check_is_a_command() -> None:
    """`python -m persistence.live.check` ends with 0 and says nothing while heads hold."""
    done = subprocess.run(
        [sys.executable, "-m", "persistence.live.check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
