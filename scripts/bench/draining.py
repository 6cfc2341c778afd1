"""What write-behind costs the game while a backlog drains: latency of clicks before and during it.

Once as the median of the p99 of half seconds, which leaves the machine's own hiccups out, and once over all
clicks together, which keeps the moment in which Redis rewrites its append-only file.

python -m scripts.bench.draining [--sessions 100000] [--rate 4000]
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from typing import TYPE_CHECKING, Final

import uvloop

from persistence.live.keys import Keys
from persistence.writeback.marks import EVERY_BUCKET
from scripts.bench import stacks
from scripts.bench.load import Load, together
from scripts.bench.report import rows
from scripts.bench.scaling import restore_all, rewritten
from scripts.bench.stage import prepared, stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from game.session import UserId
    from scripts.bench.load import Burst
    from scripts.bench.stage import Stage

_CONNECTIONS: Final = 200
_PLAYERS_A_BATCH: Final = 20_000
_WINDOW_S: Final = 0.5
_QUIET_WINDOWS: Final = 8
_MOST_WINDOWS: Final = 60
_MARKED_A_CALL: Final = 5_000

# As if each of them had clicked once: a newer version, a mark. Redis does nothing else during a call.
_DIRTY: Final = """
local now = redis.call('TIME')
local now_ms = now[1] * 1000
for id = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local bucket = id % 1024
  local key = 'session:{' .. bucket .. '}:' .. id
  local now = redis.call('HGET', key, 'now')
  if now then
    redis.call('HSET', key, 'now', struct.pack('<dd', struct.unpack('<d', now) + 1, 1) .. string.sub(now, 17))
    redis.call('ZADD', 'dirty:{' .. bucket .. '}', 'NX', now_ms, id)
  end
end
"""


async def draining(sessions: int, rate: float) -> dict[str, float]:
    """Measure clicks at `rate` a second with nothing to save, then while `sessions` are being saved."""
    with stage() as built, contextlib.ExitStack() as stopping:
        await prepared(built)
        server = stopping.enter_context(stacks.game(built))
        load = Load()
        await load.connect(server.url, built.tokens(await built.players(_CONNECTIONS)), join=True)
        backlog: list[UserId] = []
        while len(backlog) < sessions:
            backlog += await built.players(min(_PLAYERS_A_BATCH, sessions - len(backlog)))
        await restore_all(built)
        await rewritten(built)
        await load.saturate(1)
        before = [await load.pace(rate, _WINDOW_S) for _ in range(_QUIET_WINDOWS)]
        _make_dirty(built, backlog)
        began_s = time.monotonic()
        during: list[Burst] = []
        while _dirty(built) > _CONNECTIONS and len(during) < _MOST_WINDOWS:
            during.append(await load.pace(rate, _WINDOW_S))
        drained_s = time.monotonic() - began_s
        await load.leave()
        quiet, windows = ([burst.percentile_ms(0.99) for burst in bursts] for bursts in (before, during))
        return {
            "sessions": float(sessions),
            "clicks/s": rate,
            "quiet p99 ms": statistics.median(quiet),
            "draining p99 ms": statistics.median(windows),
            "times the quiet one": statistics.median(windows) / statistics.median(quiet),
            "p50 ms of the whole, quiet": together(before).percentile_ms(0.5),
            "p50 ms of the whole, draining": together(during).percentile_ms(0.5),
            "p99 ms of the whole, quiet": together(before).percentile_ms(0.99),
            "p99 ms of the whole, draining": together(during).percentile_ms(0.99),
            "worst p99 ms, quiet": max(quiet),
            "worst p99 ms, draining": max(windows),
            "drained in s": drained_s,
        }


def _make_dirty(built: Stage, players: Sequence[UserId]) -> None:
    with built.redis() as client:
        for first in range(min(players), max(players) + 1, _MARKED_A_CALL):
            client.eval(_DIRTY, 0, first, min(first + _MARKED_A_CALL - 1, max(players)))


def _dirty(built: Stage) -> int:
    with built.redis() as client:
        pipeline = client.pipeline(transaction=False)
        for bucket in EVERY_BUCKET:
            pipeline.zcard(Keys().dirty(bucket))
        return sum(pipeline.execute())


def main() -> None:
    """Measure and print one row."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench.draining",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=4000.0, help="clicks a second")
    options = parser.parse_args()
    print(rows([uvloop.run(draining(options.sessions, options.rate))]))


if __name__ == "__main__":
    main()
