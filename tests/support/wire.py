"""A plain connection to Redis for tests: everything goes out at once, replies are read one by one."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final

import hiredis

from persistence.live.scripts import load_scripts
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from persistence.live.scripts import Script

CLOCK_KEY: Final = "test-clock"
CLOCK: Final = f"local function now_us() return tonumber(redis.call('GET', '{CLOCK_KEY}')) end\n"


class Wire:
    """One connection that sends everything at once and reads as many replies as it is asked to."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(LIMIT_S)
        self._socket.connect(path)
        self._reader = hiredis.Reader()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def send(self, *commands: tuple[Any, ...]) -> None:
        """Send commands without waiting."""
        self._socket.sendall(b"".join(map(hiredis.pack_command, commands)))

    def read(self) -> Any:
        """Return the next reply; an error of Redis is raised."""
        while (reply := self._reader.gets()) is False:
            received = self._socket.recv(1 << 20)
            if not received:
                raise ConnectionError("Redis closed the connection")
            self._reader.feed(received)
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def ask(self, *words: Any) -> Any:
        """Send one command and return its reply."""
        self.send(words)
        return self.read()


@contextlib.contextmanager
def connected(path: str) -> Iterator[Wire]:
    """Open a connection to a Redis on a Unix socket."""
    wire = Wire(path)
    try:
        yield wire
    finally:
        wire.close()


def load_for_test(wire: Wire) -> Mapping[str, Script]:
    """Load the scripts with a clock that a test sets."""
    scripts = load_scripts({"now_us": CLOCK})
    for script in scripts.values():
        wire.ask("SCRIPT", "LOAD", script.source)
    return scripts
