"""The names in Redis of a game without a prefix in database 0, which most tests play."""

from __future__ import annotations

from typing import Final

from persistence.live.keys import Keys

PLAIN: Final = Keys()

session_key = PLAIN.session
dirty_key = PLAIN.dirty
load_key = PLAIN.load
channel = PLAIN.channel
revoked_key = PLAIN.revoked
FLUSHERS_KEY: Final = PLAIN.flushers
