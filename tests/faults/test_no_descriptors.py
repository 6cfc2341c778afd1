"""A server that has no file descriptor left for one more connection."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from tests.support.game_server import GameServer


CLIENTS = 20

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")


def limit_descriptors(pid: int, number: int) -> None:
    """Let a running process have so many descriptors."""
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, most))


def test_a_shortage_is_one_line_and_a_count(game: GameServer) -> None:
    """Clients wait meanwhile; each ten seconds have one line without a trace, which counts those left out."""
    assert game.process is not None
    pid = game.process.pid
    before, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        limit_descriptors(pid, psutil.Process(pid).num_fds())
        stack.callback(limit_descriptors, pid, before)
        for _ in range(CLIENTS):
            client = stack.enter_context(socket.socket())
            client.connect(("127.0.0.1", game.port))
        # The second line may follow at once, where ten seconds of the clock end between them: with no count.
        game.wait_for_log('"left_out":')
    assert httpx.get(f"{game.url}/readyz", timeout=LIMIT_S).status_code == httpx.codes.OK

    lines = [json.loads(line) for line in game.log.splitlines() if line.startswith("{")]
    first, *later = [line for line in lines if line["event"] == "connection_not_accepted"]
    assert first["reason"] == "Too many open files"
    assert sum(line.get("left_out", 0) for line in later) > 0
    assert not [line for line in lines if "exception" in line]
