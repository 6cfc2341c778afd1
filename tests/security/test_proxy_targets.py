"""Odd targets through the shipped HAProxy: figures and readiness stay inside, whatever the spelling."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.game_server import REPOSITORY
from tests.support.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.game_server import GameServer

HAPROXY: Final = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
LIMIT_S: Final = 15.0
INSIDE: Final = ("/metrics", "/readyz")
TARGETS: Final = (
    "{}",
    "{}?a=b",
    "{}#",
    "{}#/a",
    "{}/",
    "{};a",
    "/{}",
    "/.{}",
    "/a/..{}",
    "/%2e{}",
    "https:{}",
    "https:/{}",
    "https://{}",
    "http://h{}",
    "HTTP://h{}",
    "http://h:80{}?",
    "http:{}",
    "h:80{}",
    "*{}",
    "?{}",
    "ftp://h{}",
    "\\{}",
)
SPELLINGS: Final = ("/%6detrics", "/metric%73", "/METRICS", "/%72eadyz", "metrics", "readyz")
HEADS: Final = (
    "HTTP/1.1\r\nHost: h\r\nConnection: close",
    "HTTP/1.1\r\nHost: https:\r\nConnection: close",
    "HTTP/1.1\r\nHost:\r\nConnection: close",
    "HTTP/1.0",
)


@pytest.fixture
def proxy_port(game: GameServer, tmp_path: Path) -> Iterator[int]:
    """The shipped configuration before one server, on a free port."""
    if HAPROXY is None:
        pytest.skip("no haproxy here")
    port = free_port()
    text = (REPOSITORY / "deploy" / "haproxy.cfg").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^resolvers docker\n(?:    .*\n)+", "", text)
    text = re.sub(r"(?m)^    maxconn .*$", "    maxconn 100", text)
    text = re.sub(r"(?m)^    bind .*$", f"    bind 127.0.0.1:{port}", text)
    text = re.sub(r"(?m)^    server-template .*$", f"    server only 127.0.0.1:{game.port}", text)
    config = tmp_path / "haproxy.cfg"
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


async def answered(port: int, request: str) -> bytes:
    """Send a request until the proxy is there, and return all that comes back."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
        received = b""
        try:
            writer.write(request.encode())
            with contextlib.suppress(ConnectionError):
                received = await reader.read()
        finally:
            writer.close()
        return received


async def test_what_is_for_operators_stays_inside(proxy_port: int) -> None:
    """No spelling of a target brings figures or the state of the databases out; the game is served."""
    assert (await answered(proxy_port, f"GET /healthz {HEADS[0]}\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    targets = [target.format(path) for target in TARGETS for path in INSIDE] + [*SPELLINGS]
    for target in targets:
        for head in HEADS:
            received = await answered(proxy_port, f"GET {target} {head}\r\n\r\n")
            assert re.match(rb"HTTP/1\.[01] (400|404) ", received), (target, head, received[:200])
            assert b"cook_" not in received
            assert b"postgresql" not in received


async def test_a_target_that_does_not_begin_with_a_slash_is_denied(proxy_port: int) -> None:
    """Whole addresses and words end at the proxy, with an error like every error."""
    for target in ("http://h/healthz", "https:/healthz", "healthz", "*"):
        received = await answered(
            proxy_port, f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        assert received.startswith(b"HTTP/1.1 400 "), target
        assert b"x-frame-options" not in received.lower(), "the server answered, not the proxy"
