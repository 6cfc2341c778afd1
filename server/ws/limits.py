"""What one connection may take of us, in bytes, frames and seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The bounds of a connection. The defaults are the wire contract's; tests widen them to a plain echo.

    `max_message_bytes`: a longer message, as declared by its frames, closes with 1009.
    `max_fragments`: a message in more frames closes with 1008.
    `max_controls_per_s`: more pings and pongs within a second close with 1008.
    `allow_binary`: else a binary message closes with 1003.
    `ping_interval_s`: how often an open connection is pinged. `silence_s`: a peer of which nothing was heard
    for that long is dropped without a close frame, for nobody would read it.
    `high_water_bytes`: unsent bytes from which on only the newest droppable message is kept.
    `max_unsent_bytes`: more than that closes with 4000. `close_timeout_s`: how long a peer may take to
    answer a close, any close, before it is cut off.
    """

    max_message_bytes: int = 10_000
    max_fragments: int = 64
    max_controls_per_s: int = 20
    allow_binary: bool = False
    ping_interval_s: float = 54.0
    silence_s: float = 60.0
    high_water_bytes: int = 16 * 1024
    max_unsent_bytes: int = 256 * 1024
    close_timeout_s: float = 5.0
