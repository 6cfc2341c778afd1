"""Replies of the scripts that save, load, share and delete: for many sessions at once, beside the clicks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

from persistence.live.replies.status import Status, statuses_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from game.session import UserId


class Done(NamedTuple):
    """A reply whose status says all."""

    status: bytes


class Looked(NamedTuple):
    """`look` read a session: `fields` (name, value, …), its `mark` (ms, as text; empty: none), `ttl` (ms)."""

    status: bytes
    fields: list[bytes]
    mark: bytes
    ttl: int

    @property
    def hash(self) -> dict[bytes, bytes]:
        """The session's hash; empty where there is none."""
        words = iter(self.fields)
        return dict(zip(words, words, strict=True))


class Unreadable(NamedTuple):
    """`look` found something that is no session, for `reason`."""

    status: bytes
    reason: bytes


class AttemptRefused(NamedTuple):
    """`throttle` did not count the attempt; there is room for it after `retry_after_ms`."""

    status: bytes
    retry_after_ms: int


class DueMark(NamedTuple):
    """A session that waits to be saved since a moment of Redis' time."""

    user_id: UserId
    since_ms: int


class DueBucket(NamedTuple):
    """The marks of one bucket: how many, the moment of the oldest, and the oldest of them.

    `ahead` of them are of a time to come: the clock ran back.
    """

    dirty: int
    oldest_ms: int
    ahead: int
    marks: list[DueMark]


class DueRead(NamedTuple):
    """What `due` read as of `now_ms`, Redis' time: the buckets with any mark."""

    now_ms: int
    buckets: list[DueBucket]


UpkeepReply: TypeAlias = Done | Looked | Unreadable | AttemptRefused

UPKEEP_SHAPES: Final[Mapping[str, Mapping[bytes, type[UpkeepReply]]]] = {
    "load": {Status.LOADED: Done, Status.EXISTS: Done, Status.UNCLAIMED: Done},
    "restore": {Status.LOADED: Done, Status.EXISTS: Done, Status.BEHIND: Done},
    "clean": {Status.CLEAN: Done, Status.DIRTY: Done, Status.GONE: Done},
    "release": {Status.CLEAN: Done, Status.DIRTY: Done, Status.GONE: Done},
    "mark": {Status.MARKED: Done, Status.GONE: Done},
    "delete": {Status.DELETED: Done, Status.GONE: Done},
    "set_email": {Status.CHANGED: Done, Status.GONE: Done},
    "raise_above": {Status.AHEAD: Done, Status.SUSPECTED: Done, Status.MISSING: Done},
    "revoke": {Status.REVOKED: Done},
    "look": {Status.OK: Looked, Status.UNREADABLE: Unreadable},
    "throttle": {Status.COUNTED: Done, Status.REFUSED: AttemptRefused},
}
"""By script."""

UPKEEP_LISTS: Final[Mapping[str, Mapping[str, type[DueRead | DueBucket | DueMark]]]] = {
    "due": {"": DueRead, "bucket": DueBucket, "mark": DueMark}
}
"""Replies that start with no status, by script; what a list repeats has a name."""


def status_of(reply: Sequence[bytes]) -> Status:
    """Read a reply that is one status."""
    (status,) = statuses_of(reply)
    return status


def look_reply(reply: Sequence[Any]) -> Looked | Unreadable:
    """Name what `look` replied."""
    return cast("Looked | Unreadable", _shaped("look", reply))


def throttle_reply(reply: Sequence[Any]) -> Done | AttemptRefused:
    """Name what `throttle` replied."""
    return cast("Done | AttemptRefused", _shaped("throttle", reply))


def _shaped(script: str, reply: Sequence[Any]) -> UpkeepReply:
    status, *_ = reply
    return UPKEEP_SHAPES[script][status]._make(reply)


# What `DueMark._make` does, in half its time: a flush makes one for each session.
_due_mark: Final = cast("Callable[[tuple[int, int]], DueMark]", partial(tuple.__new__, DueMark))


def due_reply(reply: Sequence[Any]) -> DueRead:
    """Name what `due` replied."""
    now_ms, *buckets = reply
    return DueRead(now_ms, [_due_bucket(*bucket) for bucket in buckets])


def _due_bucket(dirty: int, oldest_ms: int, ahead: int, *words: int) -> DueBucket:
    pairs = iter(words)
    return DueBucket(dirty, oldest_ms, ahead, list(map(_due_mark, zip(pairs, pairs, strict=True))))


def lease_reply(reply: Sequence[int], leases: Iterable[int]) -> set[int]:
    """Read which of the leases asked for the owner holds now."""
    return {lease for lease, held in zip(leases, reply, strict=True) if held}
