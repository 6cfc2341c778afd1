"""The folder in which the workers of one supervisor have their sockets."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
from typing import TYPE_CHECKING, Final

from runtime.embedded.folder import SHORT_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PREFIX: Final = "clickcook-"
_YOUNG_S: Final = 120.0
"""A folder this young may belong to a supervisor whose workers don't listen yet."""


@contextlib.contextmanager
def workers_folder() -> Iterator[Path]:
    """Make a folder that only this user may enter; it is removed when the block ends.

    Where a supervisor and its workers were all killed, theirs was left behind: it is removed here.
    """
    for left in SHORT_FOLDER.glob(f"{_PREFIX}*"):
        if _is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
    # Short, for the paths of sockets have an end.
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=SHORT_FOLDER) as made:
        yield SHORT_FOLDER / made


def _is_abandoned(folder: Path) -> bool:
    """Tell whether a folder is ours, old, and nobody listens in it."""
    try:
        found = folder.lstat()
        if found.st_uid != os.geteuid() or time.time() - found.st_mtime < _YOUNG_S:
            return False
        return not any(_listens(path) for path in folder.iterdir())
    except OSError:
        return False


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        # A worker that does not move for the moment is connected to all the same, or its queue is full.
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
        return True
