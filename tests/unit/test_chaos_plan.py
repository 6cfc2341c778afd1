"""What a chaos run breaks and when, and the breaks on purpose that prove its judges."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

from scripts.chaos.broken import BREAKS
from scripts.chaos.plan import Kind, plan
from scripts.chaos.proof import PROOFS
from scripts.chaos.world import WORLDS
from tests.support.game_server import REPOSITORY


def test_a_plan_follows_from_its_seed_and_has_every_kind() -> None:
    """The same seed breaks the same things at the same moments."""
    faults = plan(5, 60, len(Kind))
    assert faults == plan(5, 60, len(Kind))
    assert faults != plan(6, 60, len(Kind))
    assert {fault.kind for fault in faults} == set(Kind)
    assert all(earlier.at_s <= later.at_s for earlier, later in pairwise(faults))


def test_every_break_has_a_proof() -> None:
    """What is broken on purpose is played with, in a world that there is."""
    assert set(BREAKS) == set(PROOFS)
    assert {proof.world for proof in PROOFS.values()} <= set(WORLDS)


def test_every_break_fits_the_server() -> None:
    """What a break changes is there to be changed; in a process of its own, which is broken afterwards."""
    every = "from scripts.chaos.broken import BREAKS\nfor each in BREAKS.values(): each()"
    subprocess.run([sys.executable, "-c", every], check=True, cwd=REPOSITORY)
