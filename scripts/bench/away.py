"""What it costs Redis to pay a player who was away for 8 hours, beside one who was away for a second."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Final

from game.session import Session, UserId
from persistence.live.hashes import fields_of
from persistence.live.keys import Keys, bucket_of
from persistence.live.record import PACKED_RATES, Rates
from persistence.live.scripts import load_scripts
from scripts.bench.stage import cpu_s, stage

if TYPE_CHECKING:
    import redis

    from persistence.live.scripts import Script

CAP_S: Final = 28_800
REGIMES: Final[dict[str, tuple[float, dict[str, float]]]] = {
    "dishes grow": (0, {"dPs": 5_000, "mPs": 300}),
    "dishes drain": (1e6, {"dPs": 100, "mPs": 300, "sPs": 900}),
    "dishes run out": (1_000, {"mPs": 300, "sPs": 600}),
    "dishes run out, then cycle": (1_000, {"dPs": 100, "mPs": 300, "sPs": 600}),
    "dishes cycle": (0, {"dPs": 100, "mPs": 300, "sPs": 600}),
}
"""Dishes at first, and sums of boosts in hundredths."""
_PLAYERS: Final = 10_000
_AT_ONCE: Final = 100
_ROUNDS: Final = 5
_STAMP: Final = "1.bench"
_KEYS: Final = Keys()


def away() -> dict[str, float]:
    """Measure Redis' CPU for one `session`, by regime and gap: µs, medians of rounds in turns."""
    script = load_scripts()["session"]
    found: dict[str, float] = {}
    with stage() as built, built.redis() as client:
        client.script_load(script.source)
        for name, (dishes, sums) in REGIMES.items():
            rounds: dict[int, list[float]] = {1: [], CAP_S: []}
            for _ in range(_ROUNDS):
                for seconds, costs in rounds.items():
                    _put(client, seconds, dishes, sums)
                    began_s = cpu_s(built.redis_pid)
                    _show(client, script)
                    costs.append((cpu_s(built.redis_pid) - began_s) / _PLAYERS * 1e6)
            for seconds, costs in rounds.items():
                found[f"{name}, {seconds} s"] = statistics.median(costs)
    return found


def _put(client: redis.Redis, seconds: int, dishes: float, sums: dict[str, float]) -> None:
    accrued_at_ms = int(time.time() * 1000) - seconds * 1000
    rates = (
        PACKED_RATES.pack(*({"need": 1e5, **sums}.get(name, 0) for name in Rates._fields)) + _STAMP.encode()
    )
    pipeline = client.pipeline(transaction=False)
    for number in range(_PLAYERS):
        user_id = UserId(number)
        session = Session(user_id, version=1, accrued_at_ms=accrued_at_ms, dishes=dishes, bought={1: 1})
        words = [*fields_of(session, "away@example.com", saved=1), b"rates", rates]
        pipeline.delete(_KEYS.session(user_id), _KEYS.dirty(bucket_of(user_id)))
        pipeline.hset(_KEYS.session(user_id), items=words)
    pipeline.execute()


def _show(client: redis.Redis, script: Script) -> None:
    for first in range(0, _PLAYERS, _AT_ONCE):
        pipeline = client.pipeline(transaction=False)
        for number in range(first, first + _AT_ONCE):
            user_id = UserId(number)
            keys = _KEYS.session(user_id), _KEYS.dirty(bucket_of(user_id))
            args = (_STAMP, user_id, _KEYS.channel(user_id), 0, "bench", CAP_S, "")
            pipeline.evalsha(script.sha, 2, *keys, *args)
        for reply in pipeline.execute():
            if reply[0] != b"ok":
                raise RuntimeError(f"session replied {reply!r:.100}")
