"""What a bed is made of, kept in a cache folder: root file systems by `mmdebstrap`, wheels by `pip`."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LIMIT_S: Final = 600
_KEPT_OUT: Final = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
_OPTIONS: Final = (
    "--variant=minbase",
    "--format=directory",
    *(f"--dpkgopt=path-exclude={path}" for path in _KEPT_OUT),
    "--dpkgopt=force-unsafe-io",
    # A mirror that lags behind serves an index past its date; signatures are checked all the same.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    # The package of PostgreSQL would make a cluster that nobody uses.
    "--essential-hook=mkdir -p $1/etc/postgresql-common/createcluster.d",
    "--essential-hook=echo create_main_cluster=false >$1/etc/postgresql-common/createcluster.d/none.conf",
)


@dataclass(frozen=True, slots=True)
class Root:
    """A root file system: its name and Debian's packages in it."""

    name: str
    packages: tuple[str, ...]


ENGINE: Final = Root(
    "engine",
    ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "iptables", "iproute2", "ca-certificates"),
)
IMAGES: Final = Root("images", ("python3-venv", "python-is-python3", "haproxy", "redis-server", "postgresql"))


class CannotPrepareError(Exception):
    """A part of the test bed is not available; the text says what, and why."""


def root_file_system(root: Root, suite: str, cache: Path) -> Path:
    """Return the folder of a root file system, made first where the cache has none.

    A caller that wants newer packages removes the folder. Raises CannotPrepareError.
    """
    made_of = repr((root, suite, _OPTIONS))
    folder = cache / f"{suite}-{root.name}-{_digest(made_of)}"
    if folder.exists():
        return folder
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    _run(["mmdebstrap", *_OPTIONS, f"--include={','.join(root.packages)}", suite, str(unfinished)])
    return unfinished.rename(folder)


def python_of(folder: Path) -> str:
    """Return the Python of a root file system, as in `3.14`."""
    names = sorted(path.name for path in (folder / "usr/bin").glob("python3.*"))
    if not names:
        raise CannotPrepareError(f"no Python in {folder}")
    return names[-1].removeprefix("python")


def wheels(repository: Path, python: str, cache: Path) -> Path:
    """Return a folder with the wheels that the image installs, downloaded first where the cache has none.

    Raises CannotPrepareError.
    """
    lock = repository / "requirements.lock"
    folder = cache / f"wheels-{python}-{platform.machine()}-{_digest(lock.read_text(encoding='utf-8'))}"
    if folder.exists():
        return folder
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    platforms = (f"--platform={tag}_{platform.machine()}" for tag in ("manylinux_2_28", "manylinux_2_17"))
    _run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--only-binary=:all:", f"--python-version={python}", *platforms),
            *(f"--platform=manylinux2014_{platform.machine()}", f"--dest={unfinished}", "--requirement"),
            str(lock),
        ]
    )
    return unfinished.rename(folder)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _run(words: Sequence[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S, check=False)  # noqa: S603 - ours
    if done.returncode:
        said = "\n".join(done.stderr.splitlines()[-15:])
        raise CannotPrepareError(f"{words[0]} ended with {done.returncode}:\n{said}")
