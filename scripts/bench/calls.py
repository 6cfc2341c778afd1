"""What a click costs Redis by itself: 60 players' clicks in one write, alone and in calls of twelve.

With `against` the scripts of another folder are called in turns with these, on the same sessions.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from game.session import Session, UserId
from persistence.live.click_groups import MOST_IN_A_CALL
from persistence.live.hashes import fields_of
from persistence.live.keys import Keys, bucket_of
from persistence.live.record import PACKED_RATES, Rates
from persistence.live.replies.clicks import REPLIES_OF_CLICKS
from persistence.live.scripts import load_scripts
from scripts.bench.stage import main_thread_s, stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import redis

KINDS: Final = ("cook", "sell")
_ROUNDS: Final = 9
_PLAYERS: Final = 60
_WRITES: Final = 60
_STAMP: Final = "1.bench"
_ORIGIN: Final = "bench"
_RATE: Final = ("1.0", 1_000_000)
"""The limiter's code runs, and lets every click pass."""
_CAP_S: Final = 28_800
_CLIENT: Final = "bench"
_KEYS: Final = Keys()
_SHOW: Final = (
    "import json; from persistence.live.scripts import load_scripts;"
    "print(json.dumps({name: script.source for name, script in load_scripts().items()}))"
)


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to send clicks: the SHAs of one code's scripts, and how many players share a call."""

    shas: Mapping[str, str]
    together: int

    def send(self, pipeline: Any, kind: str, seq: int) -> None:
        """Put each player's click into the pipeline; a `seq` above 0 goes with a client."""
        users = [UserId(number) for number in range(_PLAYERS)]
        if self.together == 1:
            tag = (_CLIENT, seq) if seq else ("", "")
            for user in users:
                arguments = (_STAMP, user, _KEYS.channel(user), 0, _ORIGIN, 1, *_RATE, *tag, _CAP_S)
                pipeline.evalsha(self.shas[kind], 2, *_keys(user), *arguments)
            return
        for first in range(0, _PLAYERS, self.together):
            share = users[first : first + self.together]
            keys = [key for user in share for key in _keys(user)]
            own: list[object] = []
            for user in share:
                own += [_KEYS.channel(user), *((0, 1, _CLIENT, seq) if seq else ())]
            shared = (_STAMP, _ORIGIN, *_RATE, _CAP_S)
            pipeline.evalsha(self.shas[f"{kind}s"], len(keys), *keys, *shared, *own)


def calls(against: Path | None = None) -> list[dict[str, float]]:
    """Measure Redis' CPU for a click in each way, a row for each kind: µs, medians of rounds in turns.

    `…_ratio` is the median of what each round's shared calls took, over the first way of that round.
    """
    ours = {name: script.source for name, script in load_scripts().items()}
    with stage() as built, built.redis() as client:
        ways = {"before": _Way(_loaded(client, _of_folder(against)), 1)} if against else {}
        shas = _loaded(client, ours)
        ways |= {"single": _Way(shas, 1), "shared": _Way(shas, MOST_IN_A_CALL)}
        return [
            _row(client, built.redis_pid, ways, kind, tagged=tagged)
            for tagged in (False, True)
            for kind in KINDS
        ]


def _of_folder(folder: Path) -> dict[str, str]:
    """Have the code of a folder say what its scripts are."""
    shown = subprocess.run(  # noqa: S603 - the folder that was asked for
        [sys.executable, "-c", _SHOW],
        check=True,
        capture_output=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    found: dict[str, str] = json.loads(shown.stdout)
    return found


def _loaded(client: redis.Redis, sources: Mapping[str, str]) -> dict[str, str]:
    wanted = {*KINDS, *(f"{kind}s" for kind in KINDS)}
    return {name: str(client.script_load(sources[name])) for name in sorted(wanted & sources.keys())}


def _row(
    client: redis.Redis, pid: int, ways: Mapping[str, _Way], kind: str, *, tagged: bool
) -> dict[str, float]:
    _put(client)
    costs: dict[str, list[float]] = {name: [] for name in ways}
    seq = 1
    for number in range(_ROUNDS + 1):
        for name, way in ways.items():
            cost = _click_us(client, pid, way, kind, seq if tagged else 0)
            seq += _WRITES
            if number:  # the first warms up
                costs[name].append(cost)
    first, *_ = costs.values()
    row = {"sell": float(kind == "sell"), "client/seq": float(tagged)}
    row |= {f"{name}_us": statistics.median(found) for name, found in costs.items()}
    for name, found in costs.items():
        row[f"{name}_ratio"] = statistics.median(now / one for now, one in zip(found, first, strict=True))
    return row


def _click_us(client: redis.Redis, pid: int, way: _Way, kind: str, seq: int) -> float:
    began_s = main_thread_s(pid)
    for number in range(_WRITES):
        pipeline = client.pipeline(transaction=False)
        way.send(pipeline, kind, seq and seq + number)
        for reply in pipeline.execute():
            for status, *_ in [reply] if way.together == 1 else REPLIES_OF_CLICKS[kind](reply):
                if status != b"ok":
                    raise RuntimeError(f"{kind} replied {status!r}")
    return (main_thread_s(pid) - began_s) / (_WRITES * _PLAYERS) * 1e6


def _keys(user: UserId) -> tuple[str, str]:
    return _KEYS.session(user), _KEYS.dirty(bucket_of(user))


def _put(client: redis.Redis) -> None:
    """Give every player a sandwich and dishes for all the sells to come."""
    client.flushall()
    sums = {"cook_gain": 1, "click_xp": 100, "mPc": 100, "need": 1e15}
    rates = PACKED_RATES.pack(*(sums.get(name, 0) for name in Rates._fields)) + _STAMP.encode()
    for number in range(_PLAYERS):
        user = UserId(number)
        session = Session(user, 1, int(time.time() * 1000), dishes=1e9, bought={1: 1})
        words = [*fields_of(session, "calls@example.com", saved=1), b"rates", rates]
        client.hset(_KEYS.session(user), items=words)
