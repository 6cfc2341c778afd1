"""TLS in front of servers that have none: a certificate made for the test, and doors that end the TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""

    file: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """Make a certificate of its own; a client that is not given its file trusts it not."""
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    command += ["-keyout", str(made.key), "-out", str(made.file)]
    subprocess.run(command, check=True, capture_output=True)
    return made


@contextlib.contextmanager
def tls_doors(certificate: Certificate, doors: Mapping[int, int]) -> Iterator[None]:
    """Until the block ends, speak TLS on each port of loopback and pass on to the plain port behind it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.file, certificate.key)
    loop = asyncio.new_event_loop()
    opened, closing = threading.Event(), asyncio.Event()

    async def keep_open() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for door, behind in doors.items():
                handler = partial(_pass_on, behind)
                server = await asyncio.start_server(handler, "127.0.0.1", door, ssl=context)
                await stack.enter_async_context(server)
            opened.set()
            await closing.wait()
            passing = asyncio.all_tasks() - {asyncio.current_task()}
            for task in passing:
                task.cancel()
            await asyncio.gather(*passing, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(keep_open(),), name="tls doors")
    thread.start()
    try:
        if not opened.wait(LIMIT_S):
            raise TimeoutError("the doors did not open")
        yield
    finally:
        loop.call_soon_threadsafe(closing.set)
        thread.join()
        loop.close()


async def _pass_on(behind: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes both ways until either side ends."""
    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", behind)
    except OSError:
        writer.close()
        return
    ways = [
        asyncio.ensure_future(_carry(reader, inner_writer)),
        asyncio.ensure_future(_carry(inner_reader, writer)),
    ]
    # Cancelled when the doors close; asyncio takes a handler that ends so for a fault.
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)
    for each in (writer, inner_writer):
        each.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.CancelledError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
