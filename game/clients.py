"""Exactly once: which of a client's last 64 numbers were applied.

Twin of `persistence/live/lua/lib/place.lua`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from game.errors import SeqTooOld
from game.session import ClientWindow

if TYPE_CHECKING:
    from game.session import Session

WINDOW: Final = 64
"""Numbers remembered for a client: its highest and those below."""
CLIENTS: Final = 32
"""Clients remembered for a player."""
MAX_NAME: Final = 64
"""Characters of a client's name, at most. The game's own windows have longer names."""
FORGOTTEN_AFTER_MS: Final = 604_800_000
"""A client unused for a week counts as unknown."""

_MASK: Final = (1 << WINDOW) - 1


def window_of(session: Session, client: str, version: int) -> ClientWindow:
    """Return what is remembered of a client; an unknown one has applied nothing.

    `version` is the one that the next change takes. It grows with each, and at least as fast as the time in
    ms: so it tells who was used last, whatever the clock does, and for how long a client was not.
    """
    window = session.clients.get(client)
    if window is None or version - window.used_version >= FORGOTTEN_AFTER_MS:
        return ClientWindow(0, 0, version)
    return window


def place(session: Session, client: str, seq: int, version: int) -> ClientWindow | None:
    """Return the client's window once `seq` is applied with `version`, None when it was applied before.

    Changes nothing.

    Raises SeqTooOld 64 or more below the highest number: nobody remembers.
    """
    known = window_of(session, client, version)
    back = known.highest - seq
    if back >= WINDOW:
        raise SeqTooOld(known.highest)
    if back < 0:
        shift = min(-back, WINDOW)
        return ClientWindow(seq, known.applied << shift & _MASK | 1, version)
    if known.applied >> back & 1:
        return None
    return ClientWindow(known.highest, known.applied | 1 << back, version)


def is_players(name: str) -> bool:
    """Tell a player's client from a window of the game's own."""
    return len(name) <= MAX_NAME


def remember(session: Session, client: str, window: ClientWindow) -> None:
    """Store a client's window; a new one takes the place of the longest unused.

    All that were unused for a week go then. The game's own windows take nobody's place, and nobody theirs.
    """
    if client not in session.clients and is_players(client):
        known = filter(is_players, session.clients)
        by_age = sorted(known, key=lambda name: (session.clients[name].used_version, name.encode()))
        for forgotten, name in enumerate(by_age):
            unused_ms = window.used_version - session.clients[name].used_version
            if unused_ms >= FORGOTTEN_AFTER_MS or len(by_age) - forgotten >= CLIENTS:
                del session.clients[name]
    session.clients[client] = window
