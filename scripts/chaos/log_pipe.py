"""A pipe between a program and its log file, whose reader may go away and come back."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK_BYTES: Final = 65_536
_LOOK_EVERY_S: Final = 0.05


@dataclass(slots=True)
class LogPipe:
    """A named pipe at `pipe`, read into `log`."""

    pipe: Path
    log: Path
    _reader: int = -1

    def open(self) -> None:
        """Make the pipe and read it from now on."""
        if not self.pipe.exists():
            os.mkfifo(self.pipe)
        self._reader = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._reader, self._copy)

    def close(self) -> None:
        """Read no more: a program that writes gets EPIPE."""
        if self._reader >= 0:
            asyncio.get_running_loop().remove_reader(self._reader)
            os.close(self._reader)
            self._reader = -1

    async def writer(self) -> int:
        """Open the end for a program; waits for a reader."""
        while True:
            with contextlib.suppress(OSError):
                writer = os.open(self.pipe, os.O_WRONLY | os.O_NONBLOCK)
                os.set_blocking(writer, True)
                return writer
            await asyncio.sleep(_LOOK_EVERY_S)

    async def leave(self, for_s: float) -> None:
        """Let the reader be gone for a while."""
        self.close()
        try:
            await asyncio.sleep(for_s)
        finally:
            self.open()

    def _copy(self) -> None:
        try:
            data = os.read(self._reader, _CHUNK_BYTES)
        except BlockingIOError:
            return
        if data:
            with self.log.open("ab") as log:
                log.write(data)
        else:
            # Every writer has closed: without a new one the pipe would be readable at once again.
            self.close()
            self.open()
