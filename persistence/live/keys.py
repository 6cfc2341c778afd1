"""The names of everything in Redis.

`{b}` is the player's bucket in braces: Redis Cluster hashes only what stands in braces, so one player's
keys share a slot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NewType

if TYPE_CHECKING:
    from game.session import UserId

Bucket = NewType("Bucket", int)

BUCKETS: Final = 1024
SLOTS: Final = 16384
FLUSHERS_KEY: Final = "flushers:{0}"
"""The sorted set of living flushers."""


def bucket_of(user_id: UserId) -> Bucket:
    """Return the bucket that a player's keys live in."""
    return Bucket(user_id % BUCKETS)


def session_key(user_id: UserId) -> str:
    """Name the hash that holds a player's session."""
    return f"session:{{{user_id % BUCKETS}}}:{user_id}"


def dirty_key(bucket: Bucket) -> str:
    """Name the sorted set of a bucket's players with unsaved changes."""
    return f"dirty:{{{bucket}}}"


def load_key(user_id: UserId) -> str:
    """Name the claim of a player's cold load."""
    return f"load:{{{user_id % BUCKETS}}}:{user_id}"


def channel(user_id: UserId) -> str:
    """Name the sharded channel that carries a player's publications."""
    return f"user:{{{user_id % BUCKETS}}}:{user_id}"


def bucket_of_channel(channel: bytes) -> int:
    """Return the bucket in a channel's name."""
    return int(channel[channel.index(b"{") + 1 : channel.index(b"}")])


def revoked_key(user_id: UserId, family: str) -> str:
    """Name the mark of a revoked family of tokens."""
    return f"revoked:{{{user_id % BUCKETS}}}:{family}"


def lease_key(lease: int) -> str:
    """Name the lease on a range of buckets; it lives where the bucket of the same number does."""
    return f"lease:{{{lease}}}"


def _crc16(text: bytes) -> int:
    """CRC16-XMODEM, as the Redis Cluster specification has it."""
    crc = 0
    for byte in text:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
            crc &= 0xFFFF
    return crc


SLOT_OF_BUCKET: Final[tuple[int, ...]] = tuple(
    _crc16(str(bucket).encode()) % SLOTS for bucket in range(BUCKETS)
)
"""The Redis Cluster slot of each bucket."""
