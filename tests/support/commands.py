"""Operators' commands, run to their end against a test's databases.

They are forked where that is possible. What an interpreter of their own adds, their first words and their
silence, is for tests/e2e/test_quiet_start.py and tests/unit/test_commands.py.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from scripts.forking import POSSIBLE
from tests.support.game_server import NURSERY, REPOSITORY
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def run_command(
    *words: str, environment: Mapping[str, str], folder: Path = REPOSITORY
) -> subprocess.CompletedProcess[str]:
    """Run what `python -m` with these words runs; raises subprocess.TimeoutExpired where it does not end.

    It waits: from a test with players, call it in a thread, so that they answer the server's pings meanwhile.
    """
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        if POSSIBLE:
            running = NURSERY.launch(words, environment, folder, said.fileno(), errors.fileno())
            try:
                code = running.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                running.send_signal(signal.SIGKILL)
                raise
        else:
            code = subprocess.run(
                [sys.executable, "-m", *words],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=errors,
                timeout=LIMIT_S,
                check=False,
            ).returncode
        said.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(words, code, said.read(), errors.read())
