"""Visitors who try what the proxy has to keep from them: `python -m scripts.containers.visitors`.

Prints a line for each thing that is not as it should be; exit code 1 where there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import urllib.error
import urllib.request
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

FIRST: Final = "198.51.100.1"
SECOND: Final = "198.51.100.2"
THIRD: Final = "198.51.100.3"
_TOO_BUSY: Final = 1013
_ANSWER_WITHIN_S: Final = 15.0
_CLOSED_WITHIN_S: Final = 5.0


def status_of(url: str, body: dict[str, str] | None = None, address: str | None = None) -> int:
    """Return the status of a request, a POST where it has a body, from an address that a front reports."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | ({"X-Forwarded-For": address} if address else {})
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - the bed's own URL
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_WITHIN_S) as answer:  # noqa: S310 - as above
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


async def refused_among(url: str, count: int, address: str) -> int:
    """Open `count` connections from an address; return how many were closed as too many (1013)."""
    async with contextlib.AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(
                connect(url.replace("http", "ws", 1) + "/ws", additional_headers={"X-Forwarded-For": address})
            )
            for _ in range(count)
        ]
        closes = await asyncio.gather(*(_close_code(socket) for socket in sockets))
        return sum(code == _TOO_BUSY for code in closes)


async def _close_code(socket: ClientConnection) -> int:
    """Return the code with which a connection is closed soon, 0 where it stays open."""
    try:
        async with asyncio.timeout(_CLOSED_WITHIN_S):
            await socket.recv()
    except TimeoutError:
        return 0
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 0
    return 0


async def faults(url: str, connections: int, failures: int) -> list[str]:
    """Say what is not as it should be.

    `connections` is how many an address may have on all servers together, `failures` how many of its log-ins
    with one e-mail may fail.
    """
    found = []
    hidden = status_of(f"{url}/metrics")
    if hidden != 404:  # noqa: PLR2004 - HTTP's own number
        found.append(f"/metrics through the proxy: {hidden}")
    if not await refused_among(url, connections + 1, FIRST):
        found.append(f"MAX_CONNECTIONS_PER_IP: {connections + 1} connections of one address are all accepted")
    if refused := await refused_among(url, 1, SECOND):
        found.append(f"TRUSTED_FRONTS: {refused} of 1 connections of another address is refused")
    form = {"email": "nobody@example.com", "password": "wrong horse"}
    answers = [status_of(f"{url}/auth", form, THIRD) for _ in range(failures + 1)]
    if answers != [401] * failures + [429]:
        found.append(f"AUTH_RATE: {failures + 1} failed log-ins in a row are answered {answers}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m scripts.containers.visitors", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--failures", type=int, required=True)
    options = parser.parse_args()
    said = asyncio.run(faults(options.url, options.connections, options.failures))
    print("\n".join(said))
    sys.exit(bool(said))
