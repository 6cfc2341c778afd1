"""Gets the Autobahn test suite, runs it against our echo, and reads its report.

The suite is Python 2 code: it needs a Python 2.7, found on the PATH or among pyenv's. It is installed once
from the package registry into a folder of its own in the user's cache.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VERSION = "25.10.1"
INSTALL_TIMEOUT_S = 240
AGENT = "connection"

ALL_CASES = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*")
QUICK_CASES = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.4.*", "7.*", "10.*")

EXPLAINED = {
    "6.4.1": "NON-STRICT: text is checked when its message is complete, not with each fragment",
    "6.4.2": "NON-STRICT: as 6.4.1",
    "6.4.3": "NON-STRICT: as 6.4.1, and no part of a frame is looked at before the whole",
    "6.4.4": "NON-STRICT: as 6.4.3",
    "7.1.6": "INFORMATIONAL: after 256 KiB of text, a close and a ping",
    "7.13.1": "INFORMATIONAL: a close code of 5000 is answered with 1002",
    "7.13.2": "INFORMATIONAL: a close code of 65536 is answered with 1002",
}
"""The cases that are not plainly OK, and why that is all right."""

_RUN = """
import site, sys
site.addsitedir(sys.argv.pop(1))
from autobahntestsuite.wstest import run
sys.exit(run())
"""


class SuiteUnavailableError(Exception):
    """The suite is not available here; the text says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the suite says of one case."""

    case: str
    behavior: str
    behavior_close: str
    milliseconds: int

    @property
    def is_plainly_ok(self) -> bool:
        """Whether the case passed in every respect."""
        return self.behavior == self.behavior_close == "OK"

    @property
    def is_ok(self) -> bool:
        """Whether the case passed, or did not and is explained for what it is."""
        found = {self.behavior, self.behavior_close} - {"OK"}
        return self.is_plainly_ok or found == {EXPLAINED.get(self.case, "").partition(":")[0]}

    def __str__(self) -> str:
        return f"{self.case:<8}{self.behavior:<15}{self.behavior_close:<15}{EXPLAINED.get(self.case, '')}"


def find_python2() -> Path:
    """Find a Python 2.7 that runs; raises SuiteUnavailableError where there is none."""
    for candidate in _python2_candidates():
        # A shim of pyenv is on the PATH for versions that are not selected, and fails.
        run = subprocess.run(
            [candidate, "-m", "pip", "--version"], capture_output=True, timeout=LIMIT_S, check=False
        )
        if run.returncode == 0:
            return candidate
    raise SuiteUnavailableError("no Python 2.7 with pip was found on the PATH or among pyenv's")


def _python2_candidates() -> Iterator[Path]:
    on_path = shutil.which("python2.7")
    if on_path is not None:
        yield Path(on_path)
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(root.glob("versions/2.7*/bin/python2.7"))


def install(python2: Path) -> Path:
    """Install the suite where it is not yet; its folder. Raises SuiteUnavailableError when pip fails."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "click-and-cook"
    folder = cache / f"autobahntestsuite-{VERSION}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        unfinished = Path(temporary, "site")
        command: list[str | Path] = [
            python2,
            "-m",
            "pip",
            "install",
            "-q",
            "--target",
            unfinished,
            f"autobahntestsuite=={VERSION}",
        ]
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as late:
            raise SuiteUnavailableError(f"pip did not finish within {INSTALL_TIMEOUT_S} s") from late
        if run.returncode != 0:
            raise SuiteUnavailableError(f"pip could not install it: {run.stderr.strip()[-300:]}")
        # Another run may have been faster; its folder is as good.
        with contextlib.suppress(OSError):
            unfinished.rename(folder)
    return folder


def run(python2: Path, suite: Path, cases: Sequence[str], timeout_s: float) -> list[Verdict]:
    """Run `cases` (patterns) against an echo of our own connection; raises TimeoutError past `timeout_s`."""
    echo = subprocess.Popen(
        [
            *(sys.executable, "-m", "scripts.bench.echo_server", "--binary"),
            *("--max-message-bytes", str(2**24 + 1024), "--max-fragments", "100000"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if echo.stdin is None or echo.stdout is None:
        raise RuntimeError("no pipe")
    try:
        with tempfile.TemporaryDirectory() as reports:
            specification = {
                "options": {"failByDrop": False},
                "outdir": reports,
                "servers": [{"agent": AGENT, "url": f"ws://127.0.0.1:{int(echo.stdout.readline())}"}],
                "cases": list(cases),
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
            spec_file = Path(reports, "spec.json")
            spec_file.write_text(json.dumps(specification))
            command: list[str | Path] = [python2, "-c", _RUN, suite, "-m", "fuzzingclient", "-s", spec_file]
            try:
                subprocess.run(command, capture_output=True, timeout=timeout_s, check=True, cwd=reports)
            except subprocess.TimeoutExpired as late:
                raise TimeoutError(f"the suite did not finish within {timeout_s:.0f} s") from late
            report = json.loads(Path(reports, "index.json").read_text())[AGENT]
    finally:
        echo.stdin.close()
        echo.wait(timeout=LIMIT_S)
        echo.stdout.close()
    return sorted(
        (
            Verdict(case, found["behavior"], found["behaviorClose"], int(found["duration"]))
            for case, found in report.items()
        ),
        key=lambda verdict: [int(part) for part in verdict.case.split(".")],
    )
