"""Fifty clients without manners: `python -m tests.support.fuzzing PORT SEED SECONDS TOKEN…`.

Each opens connection after connection and mixes sound requests with broken frames, broken HTTP and noise.
What each does follows from the seed. Says `began` once it is at work, at last how many connections it used.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from typing import TYPE_CHECKING

from server.protocol.fields import REQUEST_TYPES
from tests.support.raw_http import HANDSHAKE
from tests.support.ws_peer import close_frame, masked, more, raw_frame, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CLIENTS = 50
PAUSE_S = 0.25
FUZZED_TYPES = sorted(REQUEST_TYPES)  # a set's order differs from process to process, and the seed decides
BODIES = (
    b'{"email":"a@b.co","password":"wrong wrong"}',
    b"{" * 500,
    b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\na',
    b"email=%zz&password",
)


def main() -> int:
    """Make a nuisance of ourselves until SIGTERM, at most for so many seconds."""
    os.nice(10)  # what the fuzzer itself costs is not what it costs the server
    port, seed, seconds, *tokens = sys.argv[1:]
    used = asyncio.run(fuzz(int(port), int(seed), float(seconds), tokens))
    print(used)  # noqa: T201 - the test reads it
    return 0


async def fuzz(port: int, seed: int, seconds: float, tokens: Sequence[str]) -> int:
    """Run the clients until SIGTERM, at most so many seconds; return how many connections they used."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.call_later(seconds, over.set)
    print("began", flush=True)  # noqa: T201 - the test waits for it
    chances = [random.Random(seed * CLIENTS + number) for number in range(CLIENTS)]
    clients = (
        _client(port, chance, over, tokens[number % len(tokens)]) for number, chance in enumerate(chances)
    )
    return sum(await asyncio.gather(*clients))


async def _client(port: int, chance: random.Random, over: asyncio.Event, token: str) -> int:
    used = 0
    while not over.is_set():
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            used += 1
            reading = asyncio.ensure_future(_read_all(reader))
            try:
                for piece in _visit(chance, token):
                    if reading.done() or over.is_set():
                        break
                    writer.write(piece)
                    await asyncio.wait([reading], timeout=chance.uniform(0, PAUSE_S))
            finally:
                reading.cancel()
                if chance.random() < 0.5:
                    writer.transport.abort()
                else:
                    writer.close()
    return used


async def _read_all(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(65536):
            pass


def _visit(chance: random.Random, token: str) -> list[bytes]:
    """What one connection says, piece by piece."""
    if chance.random() < 0.4:
        return [_http(chance) for _ in range(chance.randint(1, 4))]
    frames = [_frame(chance, token) for _ in range(chance.randint(1, 30))]
    if chance.random() < 0.2:
        stream = b"".join(frames)
        cut = chance.randint(0, len(stream))
        frames = [stream[:cut], stream[cut:]]
    return [HANDSHAKE, *frames]


def _http(chance: random.Random) -> bytes:
    sound = [
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
        b"OPTIONS /reg HTTP/1.1\r\nHost: h\r\nOrigin: https://evil.example\r\n\r\n",
    ]
    body = chance.choice(BODIES)
    kind = chance.choice([b"application/json", b"multipart/form-data; boundary=x", b"text/plain", b"\xff"])
    head = b"POST /auth HTTP/1.1\r\nHost: h\r\nContent-Type: " + kind
    sound.append(head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    request = bytearray(chance.choice(sound))
    for _ in range(chance.choice([0, 0, 1, 3, 10])):
        request[chance.randrange(len(request))] = chance.randrange(256)
    return bytes(request) if chance.random() < 0.9 else chance.randbytes(chance.randint(1, 3000))


def _frame(chance: random.Random, token: str) -> bytes:
    kinds: list[Callable[[], bytes]] = [
        lambda: text(_request(chance, token)),
        lambda: text(_request(chance, token)),
        lambda: text(_request(chance, "nonsense")),
        lambda: text(bytes(chance.choices(b'{}[]":,0e\\u', k=chance.randint(0, 300)))),
        lambda: text(b"[" * chance.randint(1, 9000)),
        lambda: text(chance.randbytes(50)),
        lambda: text(b"x" * 10_001),
        lambda: masked(2, b"binary"),
        lambda: raw_frame(chance.randrange(256), chance.randbytes(chance.randint(0, 125))),
        lambda: raw_frame(0x81, b"not masked", masked=False),
        lambda: text(b'{"a":', fin=False) + more(b"1") * chance.choice([1, 70]) + more(b"}", fin=True),
        lambda: raw_frame(0x89, b"ping") * chance.choice([1, 5, 60]),
        lambda: b"\x81\xff" + b"\xff" * 8 + bytes(4),
        lambda: b"\x81\xfe\x20\x00" + bytes(4) + b" " * 100,
        lambda: close_frame(chance.choice([1000, 1001, 3000])),
        lambda: chance.randbytes(chance.randint(1, 400)),
    ]
    weights = [12, 12, 4, 4, 1, 1, 1, 1, 1, 1, 2, 2, 1, 1, 1, 1]
    return chance.choices(kinds, weights)[0]()


def _request(chance: random.Random, token: str) -> bytes:
    data = {"token": token, "client": f"c{chance.randrange(3)}", "seq": chance.choice([1, 50, 2**53 - 1])}
    data |= {"count": chance.choice([1, 5, 1000]), "id": chance.choice([1, 2, -1, 10**18])}
    for name in list(data)[1:]:
        if chance.random() < 0.4:
            del data[name]
    request_id = chance.choice(["1", "x" * 128, '"', "\\u0000"])
    message = {"message_type": "request", "request_id": request_id, "data": data}
    return json.dumps({**message, "request_type": chance.choice(FUZZED_TYPES)}).encode()


if __name__ == "__main__":
    sys.exit(main())
