"""The garbage collector, kept from stopping the event loop for long.

Counting references frees what requests and connections leave. The collector looks for cycles, and everybody
waits for it: about half a microsecond for each object that is alive, so tens of milliseconds for a full look
where ten thousand connections are open.
"""

from __future__ import annotations

import asyncio
import gc
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

THRESHOLDS: Final = (1_000, 1, 1)
"""A look at the youngest generation comes after 1,000 new objects; every third one takes in the middle one,
every seventh all that is not frozen: some 7,000 objects."""
_OLDEST: Final = 2
_EVERYTHING_EVERY_S: Final = 86_400.0


@contextmanager
def spared_collector() -> Iterator[None]:
    """Freeze all that is alive, and later whatever lives through three looks: no look passes over it again.

    Enter it once everything is built. Garbage among frozen objects stays until `look_at_everything`. Python
    3.14 looks at the old in small steps by itself, none of them a full look, so there nothing more is frozen.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    # Python puts a full look off until what is new is a quarter of what the last one left: here, nothing.
    gc.collect()
    gc.set_threshold(*THRESHOLDS)
    gc.callbacks.append(_freeze_survivors)
    try:
        yield
    finally:
        gc.callbacks.remove(_freeze_survivors)
        gc.set_threshold(*before)
        gc.unfreeze()


async def collect_daily() -> None:
    """Look at everything once a day, each process at its own time."""
    while True:
        await asyncio.sleep(_EVERYTHING_EVERY_S * random.uniform(0.8, 1))  # noqa: S311 - jitter
        look_at_everything()


def look_at_everything() -> int:
    """Collect among frozen objects too, and freeze what is left; returns how many objects were garbage."""
    gc.unfreeze()
    return gc.collect()


def _freeze_survivors(phase: str, info: Mapping[str, int]) -> None:
    if phase == "stop" and info["generation"] == _OLDEST:
        gc.freeze()
