"""Free ports of loopback for servers that are started beside others."""

from __future__ import annotations

import atexit
import random
import socket
import sys
from collections import deque
from typing import Final

PORTS: Final = range(15_000, 32_000)
"""Below those that Linux gives to connections (ip_local_port_range, 32768 and up)."""
_KEPT: Final = 200

_kept: deque[socket.socket] = deque()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on, and that no other process is given meanwhile.

    On Linux it stays bound without being listened on, until this process ends or has asked for 200 more.
    A server that sets SO_REUSEADDR, as servers do, may listen there all the same; another process that looks
    for a free port fails to bind it (socket(7)).
    """
    while True:
        probe, port = socket.socket(), random.choice(PORTS)  # noqa: S311 - any will do
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.close()
            continue
        if sys.platform == "linux":
            _keep(probe)
        else:
            probe.close()
        return port


def _keep(probe: socket.socket) -> None:
    # Only after the bind: two that look and both set it could bind one port.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _kept.append(probe)
    _let_go(_KEPT)


def _let_go(most: int = 0) -> None:
    while len(_kept) > most:
        _kept.popleft().close()


atexit.register(_let_go)
