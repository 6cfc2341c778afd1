"""The garbage collector: it passes over what lives on, and still finds what is garbage."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest

from server.app.collector import THRESHOLDS, look_at_everything, spared_collector

MOST_OBJECTS_A_LOOK = 8 * THRESHOLDS[0]


class Thing:
    """Refers to itself: only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="looks at the old in small steps by itself")
def test_a_look_never_passes_over_more_than_came_lately() -> None:
    """What lives on is frozen: however much a process holds, a full look has some 21,000 objects to pass."""
    looks: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            looks.append(len(gc.get_objects()))

    with spared_collector():
        gc.callbacks.append(note)
        try:
            held = [[number] for number in range(50 * THRESHOLDS[0])]
        finally:
            gc.callbacks.remove(note)
    assert len(held) == 50 * THRESHOLDS[0]
    assert len(looks) > 5
    assert max(looks) < MOST_OBJECTS_A_LOOK


def test_garbage_among_what_was_frozen_is_found_by_a_look_at_everything() -> None:
    """A cycle that was alive when it was frozen goes at the daily look, and not before."""
    thing = Thing()
    gone = weakref.ref(thing)
    with spared_collector():
        del thing
        gc.collect()
        assert gone() is not None
        look_at_everything()
        assert gone() is None


def test_the_collector_is_left_as_it_was() -> None:
    """Thresholds and callbacks are those from before, and nothing stays frozen."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    with spared_collector():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() == THRESHOLDS
    assert (gc.get_threshold(), gc.callbacks, gc.get_freeze_count()) == (thresholds, callbacks, 0)
