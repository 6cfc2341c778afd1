"""The names of everything in Redis, made once from the connection's database and the setting REDIS_PREFIX.

`{b}` is the player's bucket in braces: Redis Cluster hashes only what stands in braces, so one player's
keys share a slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NewType

if TYPE_CHECKING:
    from game.session import UserId

Bucket = NewType("Bucket", int)

BUCKETS: Final = 1024
SLOTS: Final = 16384


def bucket_of(user_id: UserId) -> Bucket:
    """Return the bucket that a player's keys live in."""
    return Bucket(user_id % BUCKETS)


@dataclass(frozen=True, slots=True)
class Keys:
    """The names that one game uses in its Redis: those of another prefix or database are never the same.

    `prefix` begins each key and channel. Pub/sub knows no databases, so a channel also carries the number of
    the `database`, unless that is 0.
    """

    prefix: str = ""
    database: int = 0

    def session(self, user_id: UserId) -> str:
        """Name the hash that holds a player's session."""
        return f"{self.prefix}session:{{{user_id % BUCKETS}}}:{user_id}"

    @property
    def sessions_pattern(self) -> str:
        """The glob-style pattern that SCAN finds this game's sessions by, and no other game's."""
        return f"{self.prefix}session:{{*"

    def dirty(self, bucket: Bucket) -> str:
        """Name the sorted set of a bucket's players with unsaved changes."""
        return f"{self.prefix}dirty:{{{bucket}}}"

    def load(self, user_id: UserId) -> str:
        """Name the claim of a player's cold load."""
        return f"{self.prefix}load:{{{user_id % BUCKETS}}}:{user_id}"

    def channel(self, user_id: UserId) -> str:
        """Name the sharded channel that carries a player's publications."""
        database = f"{self.database}:" if self.database else ""
        return f"{self.prefix}user:{database}{{{user_id % BUCKETS}}}:{user_id}"

    def revoked(self, user_id: UserId, family: str) -> str:
        """Name the mark of a revoked family of tokens."""
        return f"{self.prefix}revoked:{{{user_id % BUCKETS}}}:{family}"

    def lease(self, lease: int) -> str:
        """Name the lease on a range of buckets; it lives where the bucket of the same number does."""
        return f"{self.prefix}lease:{{{lease}}}"

    @property
    def flushers(self) -> str:
        """The sorted set of living flushers."""
        return f"{self.prefix}flushers:{{0}}"

    def throttle(self, bucket: Bucket, attempts: str) -> str:
        """Name a set of attempts to log in."""
        return f"{self.prefix}throttle:{{{bucket}}}:{attempts}"

    def reconcile(self, run_id: str) -> str:
        """Name the claim of the comparison that follows when Redis came back as another run."""
        return f"{self.prefix}reconcile:{{0}}:{run_id}"


def bucket_of_channel(channel: bytes) -> int:
    """Return the bucket in a channel's name."""
    return int(channel[channel.index(b"{") + 1 : channel.index(b"}")])


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
