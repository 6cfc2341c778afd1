"""The Lua scripts are joined as they say, and their heads hold against their bodies."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Final

import pytest

from persistence.live.scripts import check, differences, head_of, joined, load_scripts

GOOD: Final = """-- Does a thing,
-- at once.
--
-- KEYS     1 session, 2 dirty:{b}
-- ARGV     1 stamp (text)
--          2 count (integer, at least 1)
-- REPLY    ok, version,
--          dishes
--          missing (nothing was written)
-- EFFECTS  session: dishes
-- COST     HSET
--@include part
if redis.call('EXISTS', KEYS[1]) == 0 then return { 'missing' } end
mark(KEYS[2], ARGV[1])
return { 'ok', 1, max(ARGV[2], 3) } -- { 'never' }, KEYS[9]
"""
PART: Final = {"part": "local function mark(key, stamp) end\n"}


def test_heads_hold_against_bodies() -> None:
    """Every script of the game uses and replies exactly what its head says."""
    assert check() == []


def test_a_good_head_has_no_differences() -> None:
    """A head is read with its wrapped lines and remarks, a body without its comments."""
    head = head_of(GOOD)
    assert head.purpose == "Does a thing, at once."
    assert head.keys == ("session", "dirty:{b}")
    assert head.argv == ("stamp (text)", "count (integer, at least 1)")
    assert head.replies == (("ok", "version", "dishes"), ("missing",))
    assert differences("good", GOOD, PART) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("-- COST     HSET\n", "", "good: the head says nothing of its cost"),
        ("mark(KEYS[2]", "mark(KEYS[3]", "good: the body uses KEYS[3], the head ends at 2"),
        ("mark(KEYS[2]", "mark(KEYS[1]", "good: the head names KEYS [2], the body uses none of them"),
        ("ARGV[2]", "ARGV[1]", "good: the head names ARGV [2], the body uses none of them"),
        ("--          2 count", "--          3 count", "good: the numbers of ARGV have a gap"),
        ("{ 'missing' }", "{ 'gone' }", "good: the head replies ['missing', 'ok'], the body ['gone', 'ok']"),
        ("'ok', 1, ", "'ok', ", "good: the body replies ok with 2 words, which the head does not show"),
    ],
)
def test_each_difference_is_told(old: str, new: str, said: str) -> None:
    """What a head says too much, too little or wrongly, is named."""
    assert said in differences("good", GOOD.replace(old, new, 1), PART)


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
    scripts, others = load_scripts(), load_scripts({"clock": "local function now() return 1 end\n"})
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
    """`python -m persistence.live.scripts` ends with 0 and says nothing while heads hold."""
    done = subprocess.run(
        [sys.executable, "-m", "persistence.live.scripts"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
