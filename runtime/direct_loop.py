"""asyncio's event loop, which also watches sockets: it calls the reader of each that is readable directly.

asyncio makes a list of the sockets that are ready and a callback of each entry, and runs these one by one;
its transport then calls three more functions for each read. docs/decisions/0016-reads-without-a-transport.md
says what calling the readers directly saves.
"""

from __future__ import annotations

import asyncio
import math
import select
import selectors
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from selectors import SelectorKey

_MOST_A_PASS: Final = 512
"""So many are read at most before what they caused goes on: some five milliseconds of clicks."""


class DirectSelector(selectors.BaseSelector):
    """Waits for what asyncio registers, as its own selector does, and for watched sockets.

    asyncio's selector stays as it is; its own descriptor is one more that is waited for here. So a socket may
    be watched for reading here and by asyncio for writing. Needs `select.epoll`.
    """

    def __init__(self) -> None:
        self._registered = selectors.EpollSelector()
        self._watched: dict[int, Callable[[], None]] = {}
        self._epoll = select.epoll()
        self._epoll.register(self._registered.fileno(), select.EPOLLIN)

    def watch(self, fd: int, on_readable: Callable[[], None]) -> None:
        """Call back whenever a socket has bytes, an error, or its end is reached, until it is unwatched.

        It is called from within `select`, which other callbacks wait for: it must neither block nor raise.
        """
        self._epoll.register(fd, select.EPOLLIN)
        self._watched[fd] = on_readable

    def unwatch(self, fd: int) -> None:
        """End what `watch` began, before the socket is closed."""
        del self._watched[fd]
        self._epoll.unregister(fd)

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Wait for anything, call the watched sockets' readers, and return what is ready of the others."""
        wait_s = -1.0  # epoll's word for no limit
        if timeout is not None:
            # Rounded up as asyncio's selector does: a shorter wait would be repeated for the rest.
            wait_s = math.ceil(timeout * 1e3) * 1e-3 if timeout > 0 else 0.0
        reader_of = self._watched.get
        others = False
        for fd, _ in self._epoll.poll(wait_s, _MOST_A_PASS):
            on_readable = reader_of(fd)
            if on_readable is not None:
                on_readable()
            else:
                others = True
        return self._registered.select(0) if others else []

    # What asyncio registers.

    def register(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        """Register a file as any selector does."""
        return self._registered.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> SelectorKey:
        """Unregister a file as any selector does."""
        return self._registered.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        """Change what a file is registered for."""
        return self._registered.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, SelectorKey]:
        """Return what is registered."""
        return self._registered.get_map()

    def close(self) -> None:
        """Close both descriptors."""
        self._watched.clear()
        self._epoll.close()
        self._registered.close()


class DirectLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop on a `DirectSelector`, which is its `direct`."""

    def __init__(self) -> None:
        self.direct = DirectSelector()
        super().__init__(self.direct)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make a loop that can watch sockets, or asyncio's own where the system has no epoll."""
    return DirectLoop() if hasattr(select, "epoll") else asyncio.new_event_loop()
