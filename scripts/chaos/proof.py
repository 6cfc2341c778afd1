"""Proof of the checker: each break of `broken.py` is played with and found: `python -m scripts.chaos.proof`.

The faults are those that a break needs to show, one after the other, on two servers.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from scripts.chaos.broken import BREAKS, FLUSHER
from scripts.chaos.history.player import KINDS
from scripts.chaos.plan import Fault, Kind
from scripts.chaos.programs import nursery_of
from scripts.chaos.run import Outcome, Script, run
from scripts.chaos.world import Cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scripts.forking import Nursery

_FIRST_S: Final = 2.0
_AFTER_S: Final = 3.0
SERVERS: Final = ("anna", "carl")
MODULE: Final = "scripts.chaos.broken"


@dataclass(frozen=True, slots=True)
class Proof:
    """One break: the promises of which one at least must be found broken, the world and the faults."""

    promises: frozenset[str]
    world: str = "valkey"
    faults: tuple[tuple[Kind, str, float], ...] = ()
    """Each with its target and how long it lasts, in s."""
    plays_s: float = 8.0
    kinds: tuple[str, ...] = KINDS
    settings: Mapping[str, str] = field(default_factory=dict)

    def plan(self, _kinds: Sequence[Kind]) -> list[Fault]:
        """Return the faults, spread over the time."""
        found, at_s = [], _FIRST_S
        for number, (kind, target, for_s) in enumerate(self.faults):
            found.append(Fault(at_s, kind, target, for_s, 0.2, (number * 0.37) % 1))
            at_s += for_s + _AFTER_S
        return found


def _proof(*promises: str, **more: object) -> Proof:
    return Proof(frozenset(promises), **more)  # type: ignore[arg-type]  # the fields of Proof, by name


_CUT: Final = tuple((Kind.REDIS_CUT, name, 0.4) for name in (*SERVERS, *SERVERS))
_MOVES: Final = tuple(
    fault for _ in range(3) for fault in ((Kind.SERVER_STOPPED, "carl", 1.5), (Kind.SLOT_MOVED, "", 0.4))
)
PROOFS: Final[dict[str, Proof]] = {
    "pushes dropped": _proof("told"),
    "pushes doubled": _proof("told"),
    "pushes out of order": _proof("versions"),
    "no snapshot after a move": _proof("told", faults=_CUT),
    "lost subscription left": _proof(
        "told", world="cluster", faults=tuple((Kind.SLOT_MOVED, "", 0.4) for _ in range(4))
    ),
    "own tabs left out": _proof(
        "told",
        world="two behind one address",
        faults=tuple((Kind.REPLICA_STOPPED, "", 3.0) for _ in range(3)),
    ),
    "doubt by version": _proof("told", faults=_CUT),
    "log out not heard": _proof("revoked", plays_s=25.0),
    "subscription believed": _proof("told", "revoked"),
    "client forgotten": _proof("linearizable", "remembered"),
    "versions given again": _proof(
        "versions",
        world="two behind one address without WAIT",
        faults=((Kind.BEHIND_PROMOTED, "", 2.0),) * 2,
        kinds=("reader",),
        # What the replica lacks is not in PostgreSQL either.
        settings={"FLUSH_INTERVAL_MS": "10000"},
    ),
    "duplicate overtakes": _proof("told"),
    "ask refused": _proof("graceful", world="cluster", faults=((Kind.SLOT_MOVED, "", 6.0),) * 2),
    "log raises": _proof(
        "served",
        "answered",
        "ends",
        "told",
        faults=((Kind.LOG_CLOSED, "anna", 4.0), (Kind.REDIS_CUT, "anna", 0.5)),
    ),
    "read only kept": _proof(
        "served", "honest", world="two behind one address", faults=((Kind.ROLES_EXCHANGED, "", 0.1),)
    ),
    "read only pool kept": _proof("served", faults=((Kind.POSTGRES_READ_ONLY, "", 3.0),), plays_s=25.0),
    "never ends": _proof("ends", plays_s=1.0),
    "future marks kept": _proof("saved", faults=((Kind.CLOCK_BACK, "", 0.1),)),
    "not fenced": _proof("saved", "linearizable"),
    "dirty session expires": _proof("linearizable", "saved", plays_s=30.0),
    "anothers changes told": _proof("linearizable"),
    "answers dropped": _proof("answered"),
    "answers wrong": _proof("linearizable"),
    "sells refused": _proof("refused"),
    "every refusal traced": _proof("quiet", faults=((Kind.REDIS_CUT, "anna", 3.0),)),
}
"""How each break is shown."""


async def prove(name: str, folder: Path, patience: float = 1, nursery: Nursery | None = None) -> Outcome:
    """Play with one break."""
    proof = PROOFS[name]
    plan = proof.plan(())
    ends_s = max((fault.at_s + fault.for_s for fault in plan), default=0.0)
    duration_s = max(proof.plays_s, ends_s + 1)
    script = Script(
        duration_s, proof.plan, users=4, seed=1, patience=patience, kinds=proof.kinds, by_library=0
    )
    flusher = {"BROKEN_PROGRAM": FLUSHER}
    cast = Cast(SERVERS, MODULE, MODULE, {"BROKEN": name, **proof.settings}, flusher, nursery)
    return await run(proof.world, folder, script, lambda _: None, cast)


def found(name: str, outcome: Outcome) -> bool:
    """Say whether the break shows in a promise that it is about."""
    return bool(PROOFS[name].promises & set(outcome.judgement.violations)) or (
        "served" in PROOFS[name].promises and bool(outcome.unexpected)
    )


def main() -> int:
    """Run the command; exit code 0 when every break was found."""
    parser = argparse.ArgumentParser(prog="python -m scripts.chaos.proof", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="BREAK", help=f"all, or some of: {', '.join(BREAKS)}")
    parser.add_argument("--patience", type=float, default=1, help="factor of every limit of time (1)")
    parser.add_argument(
        "--fork",
        action="store_true",
        help="fork the servers from one that has imported them: starts are cheaper",
    )
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    missed = []
    with nursery_of((MODULE, "server.app"), wanted=options.fork) as nursery:
        for name in options.names or BREAKS:
            folder = Path(tempfile.mkdtemp(prefix="cc-proof-", dir="/tmp"))
            folder.chmod(0o711)
            outcome = asyncio.run(prove(name, folder, options.patience, nursery))
            shutil.rmtree(folder, ignore_errors=True)
            first = next(iter(outcome.wrong), "nothing")
            print(f"{'found ' if found(name, outcome) else 'MISSED'}  {name}: {first[:150]}", flush=True)
            missed += [] if found(name, outcome) else [name]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
