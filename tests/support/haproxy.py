"""The shipped HAProxy before one server, and bytes as no decent client sends them to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from scripts.ports import free_port
from tests.support.game_server import REPOSITORY
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.game_server import GameServer

HAPROXY: Final = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


@contextlib.contextmanager
def shipped_proxy(game: GameServer, folder: Path) -> Iterator[int]:
    """Run the shipped configuration before one server, on a free port, until the block ends."""
    if HAPROXY is None:
        pytest.skip("no haproxy here")
    port = free_port()
    text = (REPOSITORY / "deploy" / "haproxy.cfg").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^resolvers docker\n(?:    .*\n)+", "", text)
    text = re.sub(r"(?m)^    maxconn .*$", "    maxconn 100", text)
    text = re.sub(r"(?m)^    bind .*$", f"    bind 127.0.0.1:{port}", text)
    text = re.sub(r"(?m)^    server-template .*$", f"    server only 127.0.0.1:{game.port}", text)
    config = folder / "haproxy.cfg"
    config.write_text(text, encoding="utf-8")
    with subprocess.Popen(
        [HAPROXY, "-db", "-f", str(config)],
        env={**os.environ, "TRUSTED_FRONTS": "192.0.2.1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as proxy:
        try:
            yield port
        finally:
            proxy.kill()


async def answered(port: int, request: bytes) -> bytes:
    """Send bytes once the proxy is there, and return all that comes back until it hangs up."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
        received = b""
        try:
            writer.write(request)
            with contextlib.suppress(ConnectionError):
                while piece := await reader.read(65536):
                    received += piece
        finally:
            writer.close()
        return received
