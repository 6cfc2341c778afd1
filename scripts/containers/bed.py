"""A machine for containers inside this one: Docker's engine in namespaces of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

HERE: Final = Path(__file__).parent
SOURCE: Final = "/source"
"""Where the repository is inside, on an overlay: writing to it leaves the repository as it is."""
_CLEAN: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
"""What commands inside have for an environment: nothing of the user's."""
_CGROUPS: Final = Path("/sys/fs/cgroup")
_READY_WITHIN_S: Final = 60.0
_CLEAN_WITHIN_S: Final = 10.0
_ROOMY_BYTES: Final = 8 * 2**30
_LOOK_EVERY_S: Final = 0.2


class CommandFailedError(Exception):
    """A command inside ended with another code than 0, or not in time; the text has its last lines."""


class Bed:
    """Use as `with Bed(...) as bed`; at the end every process, mount, network, cgroup and file of it is gone.

    Also when this process is killed: the kernel ends the first process inside with its parent, and all
    others with the first; the files are removed by the next bed.
    """

    def __init__(self, engine: Path, repository: Path, cache: Path) -> None:
        self._engine = engine
        self._repository = repository
        self._scratch = cache / f"bed-{os.getpid()}"
        self._cgroup = f"click-and-cook-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._first_pid = 0

    def __enter__(self) -> Self:
        _remove_leftovers(self._scratch.parent)
        self._scratch.mkdir()
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def engine_log(self) -> str:
        """The last lines that Docker's engine wrote."""
        log = self._scratch / "engine.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-15:])

    def run(
        self,
        *words: str,
        stdin: bytes | subprocess.Popen[bytes] | None = None,
        limit_s: float = 120.0,
    ) -> str:
        """Run a command inside, in the repository's folder; return what it printed.

        `stdin` is text or a process whose output is read. Raises CommandFailedError.
        """
        process = subprocess.Popen(  # noqa: S603 - ours
            self._entering("--mount", "--pid", "--ipc", "--uts", "--net", f"--wdns={SOURCE}", *words),
            stdin=stdin.stdout if isinstance(stdin, subprocess.Popen) else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_CLEAN,
            start_new_session=True,
        )
        try:
            given = stdin if isinstance(stdin, bytes) else None
            said, complained = process.communicate(given, timeout=limit_s)
        except subprocess.TimeoutExpired as error:
            raise CommandFailedError(f"{' '.join(words)}: not done within {limit_s:g} s") from error
        finally:
            # With what it started, which would keep its pipes open.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        text = said.decode(errors="replace")
        if process.returncode:
            lines = (text + complained.decode(errors="replace")).splitlines()[-25:]
            raise CommandFailedError("\n".join([f"{' '.join(words)}: code {process.returncode}", *lines]))
        return text

    def start_outside(self, *words: str, settings: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a program of this machine that has the bed's network, with pipes to and from it."""
        return subprocess.Popen(  # noqa: S603 - ours
            self._entering("--net", *words),
            cwd=self._repository,
            env={**os.environ, **(settings or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _entering(self, *words: str) -> list[str]:
        return ["nsenter", f"--target={self._first_pid}", *words]

    def _start(self) -> None:
        with (self._scratch / "engine.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ours
                [
                    *("setpriv", "--pdeathsig", "KILL"),
                    *("unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"),
                    *(str(HERE / "inside.sh"), str(self._engine), str(self._scratch)),
                    *(str(self._repository), self._cgroup, "memory" if _has_memory() else "disk"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end_s = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < end_s and self._process.poll() is None:
            with contextlib.suppress(CommandFailedError, OSError, IndexError):
                self._first_pid = _child_of(self._process.pid)
                # `/old` is there once the root file system is the bed's own.
                self.run("sh", "-c", "test -d /old && docker info", limit_s=10)
                return
            time.sleep(_LOOK_EVERY_S)
        raise CommandFailedError(f"Docker's engine did not start:\n{self.engine_log}")

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()  # `--kill-child`, and the kernel's rule for a first process, end all others
            self._process.wait()
        _remove_cgroups(self._cgroup)
        _remove(self._scratch)


def _has_memory() -> bool:
    """Say whether the files of a bed, about 2 GB, fit in memory with room to spare."""
    facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    return int(facts["MemAvailable"].split()[0]) * 1024 > _ROOMY_BYTES


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])


def _remove_leftovers(cache: Path) -> None:
    """Remove the files of beds whose process was killed."""
    for folder in cache.glob("bed-*"):
        if not Path("/proc", folder.name.removeprefix("bed-")).exists():
            _remove_cgroups(f"click-and-cook-{folder.name.removeprefix('bed-')}")
            _remove(folder)


def _remove_cgroups(name: str) -> None:
    """Remove the groups that containers were in; processes that are being killed hold them for a moment."""
    end_s = time.monotonic() + _CLEAN_WITHIN_S
    while groups := [*_CGROUPS.glob(f"*/{name}"), *_CGROUPS.glob(name)]:
        for group in groups:
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        if time.monotonic() > end_s:
            return
        time.sleep(_LOOK_EVERY_S)


def _remove(folder: Path) -> None:
    """Remove a folder whose mounts may take a moment to go with their namespace."""
    end_s = time.monotonic() + _CLEAN_WITHIN_S
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > end_s:
            return
        time.sleep(_LOOK_EVERY_S)
