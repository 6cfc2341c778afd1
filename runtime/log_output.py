"""Where log lines go. A line that cannot be written is counted; it is never an error of the code that logs.

The reader of standard error may have died (EPIPE), the disk of the log may be full (ENOSPC), and a reader
that stands still would stop the whole process once the pipe is full.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK_BYTES: Final = select.PIPE_BUF
"""A pipe that is ready for writing takes so many bytes at once."""
_READER_WITHIN_MS: Final = 100
_CLOSED: Final = "standard error is closed"


class LogOutput:
    """Writes lines, from any thread, and never raises. Once a write has failed it waits for no reader.

    `lost` lines could not be written since the start. `trouble` says why the last one was not, "" where it
    was written. `tell_lost` is called with the number of lines that were lost since it last wrote a line,
    after the first line that is written again; what it writes itself is not counted where it fails.
    """

    def __init__(self, stream: TextIO | None, tell_lost: Callable[[int], None] = lambda _: None) -> None:
        self._lock = threading.RLock()
        self._tell_lost = tell_lost
        self._untold = 0
        self._is_telling = False
        self._is_torn = False
        self.lost = 0
        self.trouble = ""
        self.use(stream)

    def use(self, stream: TextIO | None, tell_lost: Callable[[int], None] | None = None) -> None:
        """Write to another stream from now on; None is one that is closed."""
        with self._lock:
            self._stream = stream
            self._descriptor = _descriptor_of(stream)
            self._tell_lost = tell_lost or self._tell_lost

    def write(self, text: str) -> None:
        """Write whole lines, or count them as one that was lost."""
        with self._lock:
            try:
                self._write(text)
            except (OSError, ValueError) as error:  # ValueError: the stream was closed
                self.trouble = str(error) or type(error).__name__
                if not self._is_telling:
                    self.lost += 1
                    self._untold += 1
                return
            self.trouble = ""
            if self._is_telling:
                self._untold = 0
            else:
                self.tell()

    def tell(self) -> None:
        """Say how many lines were lost, if any; call it now and then, so that recovery shows by itself."""
        with self._lock:
            if self._untold and not self._is_telling:
                self._is_telling = True
                try:
                    self._tell_lost(self._untold)
                finally:
                    self._is_telling = False

    def _write(self, text: str) -> None:
        if self._stream is None:
            raise ValueError(_CLOSED)
        if self._descriptor is None:
            self._stream.write(text)
            self._stream.flush()
            return
        if self._is_torn:
            text = "\n" + text
        rest = memoryview(text.encode(errors="backslashreplace"))
        while rest:
            if not _is_writable(self._descriptor, 0 if self.trouble else _READER_WITHIN_MS):
                raise BlockingIOError("the reader of the log stands still")
            written = os.write(self._descriptor, rest[:_CHUNK_BYTES])
            rest = rest[written:]
            self._is_torn = bool(rest)


def _descriptor_of(stream: TextIO | None) -> int | None:
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _is_writable(descriptor: int, within_ms: int) -> bool:
    """Tell whether a write can go on at once, be it with an error."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(within_ms))


LOG_OUTPUT: Final = LogOutput(sys.stderr)
"""The log of this process."""
