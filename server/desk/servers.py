"""The servers of the game that DESK_SERVERS lists: each is asked what its /readyz and /metrics say."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import h11
import orjson

from runtime.stopping import end_tasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.url_parts import Node

ANSWER_WITHIN_S: Final = 3.0
MOST_SERVERS: Final = 32
_MOST_BYTES: Final = 4 * 1024 * 1024
_READ_BYTES: Final = 64 * 1024
_OK: Final = 200
_NOT_READY: Final = 503
_PROCESS: Final = re.compile(rb'^clickcook_process_info\{[^}\n]*process="([0-9a-f]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. `text` is that of /metrics; empty: it did not answer as a server of this game.

    `name` is its address, `condition` and `parts` are those of /readyz.
    """

    name: str
    text: bytes = b""
    condition: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)


def processes_of(text: bytes) -> frozenset[bytes]:
    """Return the ids of the processes that a text of /metrics is of: at any address a server has the same."""
    return frozenset(_PROCESS.findall(text))


class Servers:
    """Asks the listed servers; a name that leads to several addresses has a server at each.

    Names are looked up each time: behind the name of a service, containers come and go.
    """

    def __init__(self, listed: Sequence[Node]) -> None:
        self._listed = listed
        self._addresses: dict[str, list[str]] = {}
        self._looking_up: dict[str, asyncio.Task[None]] = {}

    async def ask(self) -> list[Answer]:
        """Ask all at once, the first 32 by address; each has three seconds."""
        await self._look_up()
        # The name behind an address is what the server is asked as.
        asked = {
            (address, port): host
            for host, port in reversed(self._listed)
            for address in self._addresses.get(host) or [host]
        }
        chosen = sorted(asked.items())[:MOST_SERVERS]
        return list(await asyncio.gather(*(_answer_of(*node, host) for node, host in chosen)))

    async def stop(self) -> None:
        """End the look-ups that still wait."""
        await end_tasks(self._looking_up.values())

    async def _look_up(self) -> None:
        """Find the addresses of each name. One that takes long is waited for by later looks as well."""
        for host in {host for host, _ in self._listed} - self._looking_up.keys():
            self._looking_up[host] = asyncio.create_task(self._look_up_one(host), name=f"look up {host}")
        if self._looking_up:
            await asyncio.wait(self._looking_up.values(), timeout=ANSWER_WITHIN_S)

    async def _look_up_one(self, host: str) -> None:
        try:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            # A server that listens on IPv4 alone has a name for both: it would seem away on IPv6.
            families = {family for family, *_ in found}
            wanted = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
            # The first of a socket's address is the host's.
            addresses = {str(next(iter(address))) for family, *_, address in found if family == wanted}
            self._addresses[host] = sorted(addresses)
        except (OSError, UnicodeError):
            self._addresses.pop(host, None)
        finally:
            self._looking_up.pop(host, None)


def _name_of(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _answer_of(address: str, port: int, host: str) -> Answer:
    """Ask one server, in the name by which it is listed."""
    name = _name_of(address, port)
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            said = orjson.loads(await _get(address, port, host, "/readyz"))
            text = await _get(address, port, host, "/metrics")
    except (OSError, TimeoutError, ValueError, h11.ProtocolError):
        return Answer(name)
    if not isinstance(said, dict) or not processes_of(text):
        return Answer(name)
    parts = {str(part): str(state) for part, state in said.items() if part not in {"status", "message"}}
    # Where it is not ready, the condition ends the message.
    condition = str(said.get("message") or said.get("status")).rpartition(": ")
    *_, word = condition
    return Answer(name, text, word, parts)


async def _get(address: str, port: int, host: str, path: str) -> bytes:
    """Get a path over a connection of its own; raises OSError, ValueError, or an error of h11."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        http = h11.Connection(h11.CLIENT)
        headers = [("Host", _name_of(host, port)), ("Connection", "close")]
        head = http.send(h11.Request(method="GET", target=path, headers=headers))
        writer.write(head or b"")
        http.send(h11.EndOfMessage())
        body = bytearray()
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(_READ_BYTES))
            elif isinstance(event, h11.Response) and event.status_code not in (_OK, _NOT_READY):
                raise ValueError(f"status {event.status_code}")
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _MOST_BYTES:
                    raise ValueError("too large")
            elif not isinstance(event, h11.Response | h11.InformationalResponse):
                return bytes(body)
    finally:
        writer.close()
