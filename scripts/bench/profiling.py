"""Where the server's time goes for a click: py-spy looks into the process while the load clicks."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.bench import stacks
from scripts.bench.load import Load
from scripts.bench.stage import prepared, stage

if TYPE_CHECKING:
    from collections.abc import Iterable

_SECONDS: Final = 10
_RATE_HZ: Final = 500
_ROWS: Final = 25

_AREAS: Final = (
    (
        "kernel: send, and asyncio's transport around it",
        r"SelectorSocketTransport\.write|send \(.*ws/outgoing",
    ),
    ("kernel: receive, and asyncio's transport around it", r"_read_ready"),
    ("event loop", r"asyncio/|selectors"),
    ("WebSocket frames", r"ws/(connection|outgoing|frames|library)|websockets/"),
    ("parsing and writing messages", r"server/protocol/"),
    ("dispatch, handlers, fan-out", r"server/ws/"),
    ("packing commands", r"live/session"),
    ("the lane, hiredis", r"live/lane"),
    ("write-behind and the rest", r""),
)


class SpyMissingError(RuntimeError):
    """py-spy is not installed: it comes with `make setup`."""


async def profile(connections: int, *, tagged: bool) -> str:
    """Profile the server under load; returns the µs of a click by area and by function.

    Raises SpyMissingError. Waiting for events is left out; where the system lets no child be looked into,
    py-spy says so and the profile is empty.
    """
    spy = Path(sys.executable).parent / "py-spy"
    if not spy.exists():
        raise SpyMissingError(str(spy))
    with stage() as built, contextlib.ExitStack() as stopping:
        await prepared(built)
        server = stopping.enter_context(stacks.game(built))
        load = Load()
        await load.connect(
            server.url, built.tokens(await built.players(connections)), tagged=tagged, join=True
        )
        await load.saturate(1)
        folded = built.settings.data_dir / "profile"
        command = ["record", "--pid", str(server.process.pid), "--duration", str(_SECONDS)]
        # Non-blocking: py-spy would stop the process for each look, in a system call more often than not.
        command += ["--rate", str(_RATE_HZ), "--nonblocking", "--format", "raw", "--output", str(folded)]
        looking = await asyncio.create_subprocess_exec(spy, *command, stdout=asyncio.subprocess.DEVNULL)
        before_s = server.cpu_s()
        burst = await load.saturate(_SECONDS + 2)
        cpu_us = (server.cpu_s() - before_s) / burst.clicks * 1e6
        await looking.wait()
        samples = innermost(folded.read_text().splitlines())
        await load.leave()
    return _table(samples, cpu_us)


def innermost(folded: Iterable[str]) -> Counter[str]:
    """Count the innermost functions of folded stacks (`outer (file:line);…;inner (file:line) count`)."""
    samples: Counter[str] = Counter()
    for line in folded:
        stack, _, count = line.rpartition(" ")
        frame = re.sub(r":\d+\)$", ")", stack.rpartition(";")[2])
        if not frame.startswith(("EpollSelector.select", "select (", "_worker (")):
            samples[frame] += int(count)
    return samples


def _table(samples: Counter[str], cpu_us: float) -> str:
    total = max(1, samples.total())
    areas: Counter[str] = Counter()
    for frame, count in samples.items():
        areas[next(name for name, pattern in _AREAS if re.search(pattern, frame))] += count
    lines = [f"{cpu_us:.1f} µs of CPU a click, of {total} looks:", ""]
    lines += [f"{count / total * cpu_us:6.2f} µs  {name}" for name, count in areas.most_common()]
    lines += [""]
    lines += [f"{count / total * cpu_us:6.2f} µs  {frame}" for frame, count in samples.most_common(_ROWS)]
    return "\n".join(lines)
