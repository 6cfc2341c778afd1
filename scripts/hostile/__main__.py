"""What honest players notice of fifty clients who know where to push: `python -m scripts.hostile`.

Fifty players click six times a second each, evenly; in every other round fifty clients attack from 200
connections, as fast as they can, with all that `pieces.py` knows, from one address under the limits that the
server has by default. The server has one core to itself, the databases and all clients share the other; the
attackers' process has the lowest priority. Prints the p99 of the players' clicks in quiet and in attacked
rounds, the median of the rounds' ratios, and where the time went, also how much of it is the rig's own. Ends
with code 1 where a click was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import psutil

from scripts.bench import stacks
from scripts.bench.load import Load, WrongAnswerError
from scripts.bench.stage import LOAD_CORE, pin, prepared, stage
from scripts.hostile import crowd

if TYPE_CHECKING:
    from scripts.bench.load import Burst
    from scripts.bench.stacks import Stack
    from scripts.bench.stage import Stage

HONEST: Final = 50
ATTACKERS: Final = 50
RATE: Final = 300.0
"""Of all honest players together: six clicks a second each."""
_ACCOUNTS: Final = 8
_SETTLE_S: Final = 0.3
_IDLE_SHARE: Final = 0.2
_LOOKS: Final = 100
_MOST: Final = 2.0
"""So many times the quiet p99 is what the players may notice."""


@dataclass(slots=True)
class Round:
    """One stretch of clicks, what the server did meanwhile, and how long it waited for a core.

    `passes_s` is the CPU of each pass of its event loop, the longest last. `late_ms` is the p99 of how late
    the players' process sent its clicks, `beside_waited_ms_per_s` how long it and Redis waited for theirs.
    """

    burst: Burst
    server_share: float
    waited_ms_per_s: float
    late_ms: float
    beside_waited_ms_per_s: float
    passes_s: list[float]

    def p(self, share: float) -> float:
        """Return a percentile of the clicks in ms."""
        return self.burst.percentile_ms(share)

    def pass_ms(self, share: float) -> float:
        """Return a percentile of the passes in ms of CPU."""
        return self.passes_s[min(int(share * len(self.passes_s)), len(self.passes_s) - 1)] * 1000


@dataclass(slots=True)
class Found:
    """All rounds, in turns, and what the attackers did."""

    quiet: list[Round] = field(default_factory=list)
    attacked: list[Round] = field(default_factory=list)
    visits: dict[str, int] = field(default_factory=dict)
    failure: str = ""

    def ratios(self) -> list[float]:
        """Return each attacked round's p99 in those of the quiet one before it."""
        return [
            attacked.p(0.99) / quiet.p(0.99)
            for quiet, attacked in zip(self.quiet, self.attacked, strict=False)
        ]

    def described(self) -> str:
        """Say what was found."""
        lines = [
            "              clicks: p50, p99, max in ms   CPU of a pass: p99, max in ms   core   waited for it"
        ]
        for name, rounds in (("quiet", self.quiet), ("attacked", self.attacked)):
            clicks = sum(one.burst.clicks for one in rounds)
            figures = [statistics.median(one.p(share) for one in rounds) for share in (0.5, 0.99, 1)]
            figures += [statistics.median(one.pass_ms(share) for one in rounds) for share in (0.99, 1)]
            p50, p99, most, pass_p99, pass_most = figures
            busy = statistics.median(one.server_share for one in rounds)
            waited = statistics.median(one.waited_ms_per_s for one in rounds)
            lines.append(
                f"{name:9}{clicks:7} {p50:9.2f} {p99:7.2f} {most:7.2f} {pass_p99:22.2f} {pass_most:7.2f}"
                f" {busy:13.0%} {waited:8.0f} ms/s"
            )
        for name, rounds in (("quiet", self.quiet), ("attacked", self.attacked)):
            late_ms = statistics.median(one.late_ms for one in rounds)
            waited = statistics.median(one.beside_waited_ms_per_s for one in rounds)
            lines.append(
                f"{name}: clicks were sent {late_ms:.2f} ms late (p99), which is in the times above; "
                f"the players' process and Redis waited {waited:.0f} ms/s for their core"
            )
        ratios = self.ratios()
        lines.append(
            f"p99, attacked by quiet: {statistics.median(ratios):.2f} (median of {len(ratios)} rounds; "
            f"{min(ratios):.2f} to {max(ratios):.2f}); the aim is {_MOST:g} at most"
        )
        lines.append(f"visits: {sum(self.visits.values())}")
        lines += [f"{count:9}  {name}" for name, count in sorted(self.visits.items(), key=lambda v: -v[1])]
        return "\n".join(lines)


async def measure(rounds: int, seconds: float) -> Found:
    """Play quiet and attacked rounds in turns."""
    found = Found()
    with stage() as built, contextlib.ExitStack() as stopping:
        await prepared(built)
        passes = built.settings.data_dir / "passes.json"
        command, told = ["-m", "scripts.hostile.watched"], {"PASSES_FILE": str(passes)}
        server = stopping.enter_context(stacks.running(built, "server", command, told))
        load = Load()
        tokens = built.tokens(await built.players(HONEST))
        await load.connect(server.url, tokens, tagged=True, join=True)
        attackers = await crowd.begin(
            server.port,
            2 * rounds * (seconds + _LOOKS * _SETTLE_S),
            await _access_tokens(built),
            await _refresh_tokens(server.port),
        )
        try:
            for _ in range(rounds):
                attackers.halt()
                await _until_idle(server)
                found.quiet.append(await _round(built, server, load, seconds, passes))
                attackers.go_on()
                await asyncio.sleep(_SETTLE_S)
                found.attacked.append(await _round(built, server, load, seconds, passes))
        except WrongAnswerError as error:
            found.failure = str(error)
        finally:
            found.visits = dict(await attackers.end())
        if not found.failure:
            await load.leave()
    return found


async def _until_idle(server: Stack) -> None:
    """Wait until what the attackers had sent before they were halted is done with."""
    for _ in range(_LOOKS):
        before_s = server.cpu_s()
        await asyncio.sleep(_SETTLE_S)
        if server.cpu_s() - before_s < _IDLE_SHARE * _SETTLE_S:
            return
    raise WrongAnswerError("the server is busy long after the attackers were halted")


async def _round(built: Stage, server: Stack, load: Load, seconds: float, passes: Path) -> Round:
    await asyncio.to_thread(_passes, server, passes)
    beside = (os.getpid(), built.redis_pid)
    before_s, waited_s = server.cpu_s(), _waited_s(server.process.pid)
    beside_s = sum(map(_waited_s, beside))
    burst = await load.pace(RATE, seconds)
    used_s = server.cpu_s() - before_s
    waited_s = _waited_s(server.process.pid) - waited_s
    beside_s = sum(map(_waited_s, beside)) - beside_s
    late_s = sorted(load.late_s)
    return Round(
        burst,
        used_s / burst.seconds,
        waited_s / burst.seconds * 1000,
        late_s[int(0.99 * len(late_s))] * 1000,
        beside_s / burst.seconds * 1000,
        await asyncio.to_thread(_passes, server, passes),
    )


def _passes(server: Stack, passes: Path) -> list[float]:
    """Have the server tell of its passes since it was asked last; raises WrongAnswerError."""
    passes.unlink(missing_ok=True)
    server.process.send_signal(signal.SIGUSR1)
    for _ in range(_LOOKS):
        if passes.exists():
            found: list[float] = json.loads(passes.read_text(encoding="ascii"))
            return found
        time.sleep(_SETTLE_S)
    raise WrongAnswerError("the server does not tell of its passes")


def _waited_s(pid: int) -> float:
    """Return how long a process' first thread was ready to run and waited for a core; 0 where unknown."""
    with contextlib.suppress(OSError):
        _ran_ns, waited_ns, _times = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
        return int(waited_ns) / 1e9
    return 0.0


async def _access_tokens(built: Stage) -> list[list[str]]:
    """Sign for each attacker two log-ins of one player, and one of another."""
    players = await built.players(ATTACKERS + 1, bought="")
    first, second = built.tokens(players), built.tokens(players)
    return [[one, two, other] for one, two, other in zip(first[:-1], second[:-1], first[1:], strict=True)]


async def _refresh_tokens(port: int) -> list[list[str]]:
    """Open accounts, and return a refresh token of each, shown twice by the attacker that gets it."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        found = []
        for number in range(_ACCOUNTS):
            account = {"email": f"hostile{number}@example.com", "password": "correct horse"}
            answer = await http.post("/reg", json=account)
            found.append([answer.json()["tokens"]["refresh_token"]] * 2)
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.hostile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round")
    options = parser.parse_args()
    pin(psutil.Process().pid, LOAD_CORE)
    found = asyncio.run(measure(options.rounds, options.seconds))
    if found.failure:
        print(f"a click was not answered as it must be: {found.failure}")
        return 1
    print(found.described())
    return 0


if __name__ == "__main__":
    sys.exit(main())
