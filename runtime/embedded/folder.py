"""DATA_DIR: one server at a time, the secrets made for it, and where its sockets are."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import secrets
import shlex
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.settings import LEAST_SECRET_BYTES, Secret, StartupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.embedded.programs import Account

# The least of the systems' limits on a socket's path (macOS 104, Linux 108, each with its closing zero).
MOST_SOCKET_PATH_BYTES = 103
LONGEST_SOCKET_NAME = "postgres/.s.PGSQL.5432.lock"
SHORT_FOLDER = Path("/tmp")  # noqa: S108  # the shortest there is; what is made there is checked
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")
"""Paths that mean the same in a URL, in a list with commas and in PostgreSQL's own settings."""
OWN_MODE = 0o700
SECRET_MODE = 0o600


class FolderInUseError(StartupError):
    """Another server holds DATA_DIR: stop it, choose another folder, or use what it runs."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """DATA_DIR, held by this process alone."""

    path: Path
    sockets: Path

    def own(self, name: str, account: Account | None = None) -> Path:
        """Return a folder inside that belongs to us or to the account, made where it is missing."""
        return _private(self.path / name, account)

    def own_sockets(self, name: str, account: Account | None = None) -> Path:
        """Return a folder for sockets that belongs to us or to the account, made where it is missing."""
        return _private(self.sockets / name, account)

    def secret(self, name: str) -> Secret:
        """Return the secret of that name, made at the first call and kept with mode 0600."""
        path = self.path / name
        try:
            if not path.exists():
                _write_durably(path, secrets.token_hex(LEAST_SECRET_BYTES))
            text = path.read_text().strip()
            _restrict(path, SECRET_MODE)
        except (OSError, UnicodeDecodeError) as error:
            raise unusable(path, error, self.path) from error
        if len(text.encode()) < LEAST_SECRET_BYTES:
            raise StartupError(f"{path} is damaged: remove it, and everyone will have to log in again")
        return Secret(text)


@contextmanager
def held_folder(path: Path) -> Iterator[DataFolder]:
    """Hold DATA_DIR until the block ends; raises StartupError where it cannot be used or another holds it.

    The hold ends with the process, however that ends. Processes that were started inside outlive it.
    """
    # Root's PostgreSQL runs as another account and must be able to pass, though not to look around.
    mode = 0o711 if os.geteuid() == 0 else OWN_MODE
    try:
        full = path.resolve()
        full.mkdir(mode=mode, parents=True, exist_ok=True)
        lock = os.open(full / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _refused(path, error) from error
    try:
        _lock(lock, path)
        try:
            sockets = _sockets_folder(full, mode)
        except OSError as error:
            raise _refused(path, error) from error
        yield DataFolder(full, sockets)
    finally:
        os.close(lock)


def seen_folder(path: Path) -> DataFolder:
    """Look at a DATA_DIR that another process holds; raises StartupError where it cannot be used."""
    mode = 0o711 if os.geteuid() == 0 else OWN_MODE
    try:
        full = path.resolve()
        return DataFolder(full, _sockets_folder(full, mode))
    except OSError as error:
        raise _refused(path, error) from error


def unusable(path: Path, error: OSError | UnicodeDecodeError, whole: Path) -> StartupError:
    """Say in one line what to do about a file or folder of ours that can't be used.

    What was restored from a copy may belong to somebody else: all of `whole` has to be given back.
    """
    reason = error.strerror if isinstance(error, OSError) else "it is no text"
    if isinstance(error, PermissionError):
        return StartupError(f"{path} cannot be used: {reason}; {_remedy(whole)}")
    return StartupError(f"{path} cannot be used: {reason}; repair it or choose another DATA_DIR")


def _refused(path: Path, error: OSError) -> StartupError:
    remedy = "choose another"
    if isinstance(error, PermissionError) and path.is_dir():
        remedy = _remedy(path)
    return StartupError(f"DATA_DIR={path} cannot be used: {error.strerror}; {remedy}")


def _remedy(path: Path) -> str:
    try:
        me = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container may run as a number without a name
        me = str(os.geteuid())
    place = shlex.quote(str(path))
    return (
        f"as root run `chown -R {me} {place}` and `chmod -R u+rwX {place}`, start as the user that owns it, "
        "or choose another DATA_DIR"
    )


def _lock(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        raise FolderInUseError(
            f"DATA_DIR={path} is in use by process {holder}: stop that server or choose another DATA_DIR"
        ) from error
    except OSError as error:
        raise StartupError(f"DATA_DIR={path} cannot be locked: {error.strerror}; choose another") from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)


def _sockets_folder(full: Path, mode: int) -> Path:
    """Return where sockets go: inside, or where that path is not short and plain, a folder of /tmp.

    For one DATA_DIR and user it is always the same.
    """
    inside = full / "run"
    longest = os.fsencode(inside / LONGEST_SOCKET_NAME)
    if len(longest) <= MOST_SOCKET_PATH_BYTES and PLAIN_PATH.fullmatch(str(inside)):
        inside.mkdir(mode=mode, exist_ok=True)
        return inside
    name = hashlib.sha256(os.fsencode(full)).hexdigest()[:16]
    folder = SHORT_FOLDER / f"click-and-cook-{os.geteuid()}-{name}"
    folder.mkdir(mode=mode, exist_ok=True)
    status = folder.lstat()
    # In a folder that all may write to, another user could have put one of that name in our way.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise StartupError(f"{folder} belongs to someone else: choose a DATA_DIR of a short, plain path")
    return folder


def _private(path: Path, account: Account | None) -> Path:
    try:
        path.mkdir(mode=OWN_MODE, exist_ok=True)
        if account is not None and path.stat().st_uid != account.uid:
            os.chown(path, account.uid, account.gid)
        _restrict(path, OWN_MODE)
    except OSError as error:
        raise unusable(path, error, path) from error
    return path


def _restrict(path: Path, mode: int) -> None:
    """Take the rights away that a copy gave to others, and give ours back."""
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)


def sync_folder(path: Path) -> None:
    """Make changes of a folder's entries survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_durably(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)
