"""Odd targets through the shipped HAProxy: figures and readiness stay inside, whatever the spelling."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.haproxy import answered, shipped_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.game_server import GameServer

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
    with shipped_proxy(game, tmp_path) as port:
        yield port


async def test_what_is_for_operators_stays_inside(proxy_port: int) -> None:
    """No spelling of a target brings figures or the state of the databases out; the game is served."""
    assert (await answered(proxy_port, f"GET /healthz {HEADS[0]}\r\n\r\n".encode())).startswith(
        b"HTTP/1.1 200 "
    )
    targets = [target.format(path) for target in TARGETS for path in INSIDE] + [*SPELLINGS]
    for target in targets:
        for head in HEADS:
            received = await answered(proxy_port, f"GET {target} {head}\r\n\r\n".encode())
            assert re.match(rb"HTTP/1\.[01] (400|404) ", received), (target, head, received[:200])
            assert b"cook_" not in received
            assert b"postgresql" not in received


async def test_a_target_that_does_not_begin_with_a_slash_is_denied(proxy_port: int) -> None:
    """Whole addresses and words end at the proxy, with an error like every error."""
    for target in ("http://h/healthz", "https:/healthz", "healthz", "*"):
        received = await answered(
            proxy_port, f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()
        )
        assert received.startswith(b"HTTP/1.1 400 "), target
        assert b"x-frame-options" not in received.lower(), "the server answered, not the proxy"
