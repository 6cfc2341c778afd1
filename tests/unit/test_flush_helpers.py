"""How the work of a flush is split."""

from __future__ import annotations

import argparse
import itertools
import os

import pytest

from persistence.writeback.marks import EVERY_BUCKET
from scripts.flush import number_of_processes
from scripts.flush_helpers import Flushed, most_processes, shares


@pytest.mark.parametrize(
    ("marked", "processes", "count"),
    [
        (0, 1, 1),
        (0, 3, 3),
        (24_999, 1, 1),
        (49_999, 1, 1),
        (50_000, 1, 2),
        (100_000, 3, 4),
        (10**9, 3, 256),
        (0, 1024, 1024),
    ],
)
def test_each_bucket_is_in_one_share(marked: int, processes: int, count: int) -> None:
    """Of about one size: one for each process at least, one for 25,000 sessions, 256 at most."""
    split = shares(marked, processes)
    assert len(split) == count
    assert tuple(sorted(itertools.chain.from_iterable(split))) == EVERY_BUCKET
    sizes = {len(share) for share in split}
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("cores", "processes"), [(1, 1), (2, 3), (3, 4), (4, 4), (64, 4)])
def test_as_many_processes_as_keep_the_cores_busy(
    cores: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more than the cores that it may use, since each waits at times; a single core is busy as it is."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert most_processes() == processes
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert most_processes() == processes


@pytest.mark.parametrize("text", ["1", "64"])
def test_an_operator_says_how_many_processes(text: str) -> None:
    """At least one, at most 64."""
    assert number_of_processes(text) == int(text)


@pytest.mark.parametrize("text", ["0", "65", "-1", "1.5", "many", ""])
def test_a_number_of_processes_that_makes_no_sense_is_refused(text: str) -> None:
    """The bounds are named."""
    with pytest.raises(argparse.ArgumentTypeError, match="from 1 to 64"):
        number_of_processes(text)


def test_what_became_of_shares_adds_up() -> None:
    """The last reason is kept."""
    one, other = Flushed(3, 1, 0, 1, "bad", ("ended",)), Flushed(4, 0, 2)
    assert one + other == Flushed(7, 1, 2, 1, "bad", ("ended",))
    assert other + one == one + other
