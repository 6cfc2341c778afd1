"""Those who cost a server more than they bring: storms of log-ins, and connections that never get on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx

from scripts.soak.players import PASSWORD

if TYPE_CHECKING:
    import random

STORM_EVERY_S: Final = 15.0
STORM_SIZE: Final = 24
CUT_OFF_WITHIN_S: Final = 18.0
"""10 s for a head, a body or a first token, 5 s to answer a close, and a slow machine."""

_BETWEEN_PIECES_S: Final = 0.5
_EXPECTED: Final = frozenset({200, 400, 401, 409, 429, 503})
_TOOK_TOO_LONG: Final = 408
_HANDSHAKE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: soak\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_MASK: Final = b"\0\0\0\0"
_NONSENSE: Final = b'{"message_type":"request","request_id":"1","request_type":"cook","data":[]}'
_DRIBBLES: Final = {
    "nothing at all": (b"", b""),
    "a head, byte by byte": (b"GET / HTTP/1.1\r\nHost: soak\r\nX-Slow: ", b"a" * 100),
    "a body, byte by byte": (b"POST /reg HTTP/1.1\r\nHost: soak\r\nContent-Length: 500\r\n\r\n", b"a" * 100),
    "a TLS greeting": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 100),
    "a WebSocket without a token": (_HANDSHAKE, b""),
    "a frame, byte by byte": (_HANDSHAKE + b"\x81\xfe\x20\x00" + _MASK, b" " * 100),
    "nonsense in frames": (_HANDSHAKE, (b"\x81" + bytes([0x80 | len(_NONSENSE)]) + _MASK + _NONSENSE) * 30),
}


@dataclass(slots=True)
class Nuisance:
    """What came of them. `faults` holds what must not be: an odd status, a connection that stayed.

    With a `patience` above 1 the machine is taken to be busy: a request that is cut off, or that took too
    long to be sent, is sent once more and must be answered then. `cut_short` are those.
    """

    patience: float = 1
    statuses: Counter[int] = field(default_factory=Counter)
    cut_off: Counter[str] = field(default_factory=Counter)
    cut_short: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    faults: list[str] = field(default_factory=list)


async def storms(url: str, seen: Nuisance, chance: random.Random, over: asyncio.Event) -> None:
    """Let many log in at once, again and again: rightly, wrongly, as nobody, and to be deleted at once."""
    loop = asyncio.get_running_loop()
    number = 0
    while not over.is_set():
        began_s = loop.time()
        address = f"127.0.1.{chance.randint(1, 8)}"
        transport = httpx.AsyncHTTPTransport(
            local_address=address, limits=httpx.Limits(max_connections=STORM_SIZE)
        )
        async with httpx.AsyncClient(transport=transport, base_url=url, timeout=60) as http:
            number += 1
            await asyncio.gather(*(_storm(http, index, number, seen) for index in range(STORM_SIZE)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(began_s + STORM_EVERY_S - loop.time()):
                await over.wait()


async def _storm(http: httpx.AsyncClient, index: int, number: int, seen: Nuisance) -> None:
    email = f"storm{index}@example.com"
    if index % 4 == 0:
        await _post(http, seen, "/auth", {"email": email, "password": "a wrong one"})
    elif index % 4 == 1:
        await _post(http, seen, "/auth", {"email": f"nobody{index}@example.com", "password": PASSWORD})
    elif index % 4 == 2:  # noqa: PLR2004 - a fourth of them
        account = {"email": email, "password": PASSWORD}
        tokens = await _post(http, seen, "/auth", account) or await _post(http, seen, "/reg", account)
        for _ in range(2):
            if tokens:
                await _post(http, seen, "/refresh", {}, tokens["refresh_token"])
        if tokens:
            await _post(http, seen, "/logout", {}, tokens["refresh_token"])
    else:
        account = {"email": f"brief{number}.{index}@example.com", "password": PASSWORD}
        tokens = await _post(http, seen, "/reg", account)
        if tokens:
            await _post(http, seen, "/account", account, tokens["access_token"], method="DELETE")


async def _post(
    http: httpx.AsyncClient,
    seen: Nuisance,
    path: str,
    body: dict[str, str],
    bearer: str = "",
    *,
    method: str = "POST",
    again: bool = False,
) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    began_s = time.monotonic()
    cut_short, answer = "", None
    try:
        answer = await http.request(method, path, json=body, headers=headers)
    except httpx.TransportError as error:
        cut_short = f"was not answered: {error!r}"
    if answer is not None and answer.status_code == _TOOK_TOO_LONG:
        # This program was kept from sending the body; where that goes on, the connection is cut off.
        cut_short = "took too long to be sent"
    if cut_short:
        what = f"{path} {cut_short}, after {time.monotonic() - began_s:.1f} s"
        if seen.patience > 1 and not again:
            seen.cut_short.append(what)
            return await _post(http, seen, path, body, bearer, method=method, again=True)
        seen.faults.append(what)
    if answer is None or cut_short:
        return {}
    seen.statuses[answer.status_code] += 1
    if answer.status_code not in _EXPECTED:
        seen.faults.append(f"{path} was answered with {answer.status_code}: {answer.text[:200]}")
    with contextlib.suppress(json.JSONDecodeError):
        tokens: dict[str, str] = answer.json().get("tokens", {})
        return tokens
    return {}


async def dribble(
    port: int, seen: Nuisance, chance: random.Random, over: asyncio.Event, *, patience: float = 1
) -> None:
    """Occupy one connection after the other without getting on, and see each cut off in time.

    `patience` is a factor of the time that is given.
    """
    within_s = patience * CUT_OFF_WITHIN_S
    loop = asyncio.get_running_loop()
    while not over.is_set():
        name = chance.choice(list(_DRIBBLES))
        began_s = loop.time()
        try:
            async with asyncio.timeout(within_s):
                await _occupy(port, *_DRIBBLES[name])
            seen.cut_off[name] += 1
            seen.longest_s = max(seen.longest_s, loop.time() - began_s)
        except TimeoutError:
            seen.faults.append(f"{name}: not cut off within {within_s:g} s")


async def _occupy(port: int, greeting: bytes, rest: bytes) -> None:
    """Send a greeting, then the rest byte by byte or frame by frame, until the server has had enough."""
    step = max(1, len(rest) // 100)
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        reading = asyncio.ensure_future(_read_all(reader))
        try:
            writer.write(greeting)
            for start in range(0, len(rest), step):
                if reading.done():
                    break
                writer.write(rest[start : start + step])
                await asyncio.wait([reading], timeout=_BETWEEN_PIECES_S)
            await reading
        finally:
            reading.cancel()
            writer.transport.abort()


async def _read_all(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        await reader.read(-1)
