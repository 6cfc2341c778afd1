"""Who owns the databases' files.

Where they were restored from a copy, root puts that right; any other user gets one line that says what to do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.embedded.folder import unusable

if TYPE_CHECKING:
    from runtime.embedded.programs import Account

SAFE_MODES = frozenset({0o700, 0o750})
"""What PostgreSQL accepts for its folder."""


def take_over(folder: Path, account: Account | None) -> None:
    """Make a database's folder usable for the account, or without one for us; nothing may run in it.

    As root all that is in it is given to the account. Raises StartupError where somebody else owns it, or
    where something in it can't be read or written.
    """
    try:
        if account is not None:
            _give(folder, account)
        else:
            _check(folder)
        if stat.S_IMODE(folder.stat().st_mode) not in SAFE_MODES:
            folder.chmod(0o700)
    except OSError as error:
        place = Path(error.filename) if isinstance(error.filename, str) else folder
        raise unusable(place if place.is_absolute() else folder, error, folder.parent) from error


def _give(folder: Path, account: Account) -> None:
    """Change owners, without following links: the account may have made them."""
    if folder.stat().st_uid != account.uid:
        os.chown(folder, account.uid, account.gid)
    for _, folders, files, handle in os.fwalk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(FileNotFoundError):  # what a killed server's last children remove
                status = os.stat(name, dir_fd=handle, follow_symlinks=False)
                # A file with a second name may lie elsewhere too, where it is not the account's.
                shared = stat.S_ISREG(status.st_mode) and status.st_nlink > 1
                if status.st_uid != account.uid and not shared:
                    os.chown(name, account.uid, account.gid, dir_fd=handle, follow_symlinks=False)


def _check(folder: Path) -> None:
    """Raise PermissionError for the first file or folder that we can't use."""
    if os.geteuid() not in {0, folder.stat().st_uid}:
        raise PermissionError(errno.EPERM, "it belongs to somebody else", str(folder))

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for place, folders, files in os.walk(folder, onerror=fail):
        for name in (*folders, *files):
            path = Path(place) / name
            rights = os.R_OK | os.W_OK | (os.X_OK if name in folders else 0)
            if path.exists() and not path.is_symlink() and not os.access(path, rights):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
