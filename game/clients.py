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
FORGOTTEN_AFTER_S: Final = 604_800
"""A client unused for a week counts as unknown."""

_MASK: Final = (1 << WINDOW) - 1


def window_of(session: Session, client: str, now_s: int) -> ClientWindow:
    """Return the window of a client; an unknown client has applied nothing."""
    window = session.clients.get(client)
    if window is None or now_s - window.used_s >= FORGOTTEN_AFTER_S:
        return ClientWindow(0, 0, now_s)
    return window


def place(session: Session, client: str, seq: int, now_s: int) -> ClientWindow | None:
    """Return the client's window once `seq` is applied, None when it was applied before. Changes nothing.

    Raises SeqTooOld 64 or more below the highest number: nobody remembers.
    """
    known = window_of(session, client, now_s)
    back = known.highest - seq
    if back >= WINDOW:
        raise SeqTooOld(known.highest)
    if back < 0:
        shift = min(-back, WINDOW)
        return ClientWindow(seq, known.applied << shift & _MASK | 1, now_s)
    if known.applied >> back & 1:
        return None
    return ClientWindow(known.highest, known.applied | 1 << back, now_s)


def remember(session: Session, client: str, window: ClientWindow) -> None:
    """Store a client's window; a new one takes the place of the longest unused.

    All that were unused for a week go then.
    """
    if client not in session.clients:
        by_age = sorted(session.clients, key=lambda name: (session.clients[name].used_s, name.encode()))
        for name in by_age:
            unused_s = window.used_s - session.clients[name].used_s
            if unused_s >= FORGOTTEN_AFTER_S or len(session.clients) >= CLIENTS:
                del session.clients[name]
    session.clients[client] = window
