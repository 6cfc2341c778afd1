"""The workers of one machine ask each other for their figures, over Unix sockets in a folder of their own.

Each connection is sent all metrics and closed; nothing is read. Only this user may enter
the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

_ANSWER_WITHIN_S: Final = 1.0
_MOST_BYTES: Final = 4 * 1024 * 1024


class Siblings:
    """The sockets of `count` workers in `folder`; this one is `own` and answers with `figures`."""

    def __init__(self, folder: Path, own: int, count: int, figures: Callable[[], Awaitable[bytes]]) -> None:
        self._folder = folder
        self._own = own
        self._others = [index for index in range(count) if index != own]
        self._figures = figures
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Answer the others from now on. Takes the place of an earlier worker of the same index."""
        # The last worker that ends removes the folder; one that is started again meanwhile makes it again.
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._path(self._own)
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._tell, path)

    async def stop(self) -> None:
        """Answer nobody any more, and remove the folder with the last socket."""
        if self._server is None:
            return
        self._server.close()
        self._path(self._own).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    async def ask(self) -> dict[int, bytes | None]:
        """Return what each of the others says; None for one that is gone or does not answer in a second."""
        answers = await asyncio.gather(*map(self._ask, self._others))
        return dict(zip(self._others, answers, strict=True))

    async def _ask(self, index: int) -> bytes | None:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                reader, writer = await asyncio.open_unix_connection(self._path(index), limit=_MOST_BYTES)
                try:
                    return await reader.read() or None
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return None

    async def _tell(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                writer.write(await self._figures())
                await writer.drain()
        writer.close()

    def _path(self, index: int) -> Path:
        return self._folder / f"{index}.sock"
