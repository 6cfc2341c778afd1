"""Redis for everything that is not a click: the same commands for many players at once.

On one Redis a script takes many players in one call; on a cluster one call takes players of one bucket, since
a call's keys share a slot.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

import hiredis

from game.session import UserId
from persistence.errors import LiveUnavailable
from persistence.live.decisions import Caller, Step
from persistence.live.keys import Bucket, bucket_of
from persistence.live.lane_contract import LaneDown, LaneError, pack
from persistence.live.lanes import FirstCommand, Lanes
from persistence.live.retries import RETRY_FOR_S, exchange, exchange_over, judge, prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from persistence.live.decisions import Decision
    from persistence.live.keys import Keys
    from persistence.live.lane import Lane
    from persistence.live.scripts import Script

Item = TypeVar("Item")

_CALLS_A_LANE: Final = 16
"""At least so many calls of a batch go over one connection."""


class _NoSubscriber:
    """Hears nothing: these lanes subscribe to no channel. Sets `back` when one is connected (again)."""

    def __init__(self, back: asyncio.Event) -> None:
        self._back = back

    def channels_of(self, lane: Lane) -> list[bytes]:  # noqa: ARG002 - the contract of Hearer
        return []

    def first_commands(self, lane: Lane) -> list[FirstCommand]:  # noqa: ARG002 - as above
        return []

    def lane_ready(self, lane: Lane) -> None:  # noqa: ARG002 - as above
        """Nothing was missed; what was written over the connection before may be lost."""
        self._back.set()

    def subscribed(self, lane: Lane, channel: bytes) -> None:
        """Nothing is subscribed to."""

    def unheard(self, lane: Lane, channel: bytes) -> None:
        """Nothing is to be heard."""

    def published(self, channel: bytes, words: list[bytes]) -> None:
        """Nothing is published to a lane without subscriptions."""


class Call(NamedTuple):
    """One packed command for the master that holds a bucket."""

    bucket: Bucket
    packed: bytes


def call(bucket: Bucket, *words: bytes | str | float) -> Call:
    """Prepare one command."""
    return Call(bucket, pack(*words))


class LiveStore:
    """Sends batches of commands over lanes; one connection for each master.

    With `more` lanes the batches that `run` is given take turns on them, large ones several at once. Redis
    reads at most 16 KB of a connection before it syncs its file: several fill a sync that one leaves half
    empty.

    `back` is set whenever one of its connections was made (again): the Redis may be another one by then.
    """

    def __init__(self, lanes: Lanes, more: Sequence[Lanes] = (), back: asyncio.Event | None = None) -> None:
        self.back = back or asyncio.Event()
        self._lanes = lanes
        self._turns = itertools.cycle((lanes, *more))
        self.connections = 1 + len(more)

    @property
    def lanes(self) -> Lanes:
        """The connections it uses."""
        return self._lanes

    @property
    def keys(self) -> Keys:
        """The names of the game in this Redis."""
        return self._lanes.keys

    @property
    def origin(self) -> str:
        """The name under which this store publishes; its own process hears these publications."""
        return self._lanes.origin.decode()

    def groups(
        self, items: Iterable[Item], bucket_of_item: Callable[[Item], Bucket], most: int
    ) -> list[tuple[Bucket, list[Item]]]:
        """Split items into groups of at most `most` for one call each, with the bucket to send it to."""
        by_bucket: dict[Bucket, list[Item]] = {}
        if self._lanes.cluster:
            for item in items:
                by_bucket.setdefault(bucket_of_item(item), []).append(item)
        else:
            by_bucket[Bucket(0)] = list(items)
        return [
            (bucket, listed[at : at + most])
            for bucket, listed in by_bucket.items()
            for at in range(0, len(listed), most)
        ]

    def script(
        self, name: str, bucket: Bucket, keys: Sequence[str], args: Sequence[bytes | str | float]
    ) -> Call:
        """Prepare a call of a script."""
        return call(bucket, "EVALSHA", self._lanes.scripts[name].sha, len(keys), *keys, *args)

    async def run(self, calls: Sequence[tuple[Bucket, bytes]]) -> list[object]:
        """Send all at once; return the replies in order, a refusal as a `hiredis.ReplyError` in its place.

        Calls that meet a moving slot, a loading or a lost Redis are repeated for up to 2 s, so each must be
        safe to repeat. Raises LiveUnavailable when some still have no reply then.
        """
        sets = [next(self._turns) for _ in range(max(1, min(self.connections, len(calls) // _CALLS_A_LANE)))]
        size = -(-len(calls) // len(sets))
        replies = await exchange_over(
            [(lanes, calls[at * size : (at + 1) * size]) for at, lanes in enumerate(sets)]
        )
        lanes, *_ = sets
        waiting: Sequence[int] = range(len(calls))
        end_s = asyncio.get_running_loop().time() + RETRY_FOR_S
        while True:
            again: dict[int, Decision] = {}
            for index in waiting:
                if isinstance(reply := replies[index], Exception):
                    decision = judge(lanes, reply, Caller.BULK)
                    if decision.step is not Step.GIVE_UP:
                        again[index] = decision
            if not again:
                return replies
            if asyncio.get_running_loop().time() > end_s:
                reason = cast("Exception", replies[next(iter(again))])
                raise LiveUnavailable(f"{type(reason).__name__}: {reason}") from reason
            waiting = list(again)
            once_more = [calls[index] for index in waiting]
            buckets = [bucket for bucket, _ in once_more]
            await prepare(lanes, zip(buckets, again.values(), strict=True))
            for index, reply in zip(waiting, await exchange(lanes, once_more), strict=True):
                replies[index] = reply

    async def hashes(self, user_ids: Sequence[UserId]) -> list[dict[bytes, bytes] | str]:
        """Read whole sessions: an empty dict where there is none, a text where the key is no session.

        Raises LiveUnavailable.
        """
        key_of = self.keys.session
        calls = [(bucket_of(user_id), _hgetall(key_of(user_id).encode())) for user_id in user_ids]
        return [
            reply
            if isinstance(reply, dict)
            else str(reply)
            if isinstance(reply, hiredis.ReplyError)
            else expect(reply, dict)
            for reply in await self.run(calls)
        ]

    def runs(self) -> list[tuple[str, str]]:
        """Name each Redis that is up, and its run."""
        return [(lane.name, lane.run_id) for lane in self._lanes.all if lane.up]

    async def scan_sessions(self, count: int = 1000, name: str = "") -> AsyncIterator[list[UserId]]:
        """Find all sessions, or those of one Redis, some `count` at a time.

        One that stays meanwhile is found at least once. Keys that name no player are nobody's: they are
        left alone. Raises LiveUnavailable.
        """
        pattern = self.keys.sessions_pattern
        for lane in [each for each in self._lanes.all if name in ("", each.name)]:
            cursor = b"0"
            while True:
                try:
                    reply = await lane.call("SCAN", cursor, "MATCH", pattern, "COUNT", count)
                except (LaneError, hiredis.ReplyError) as error:
                    raise LiveUnavailable(f"{type(error).__name__}: {error}") from error
                cursor, keys = cast("tuple[bytes, list[bytes]]", reply)
                names = [key.rpartition(b":")[2] for key in keys]
                yield [UserId(int(name)) for name in names if name.isdigit()]
                if cursor == b"0":
                    break


def _hgetall(key: bytes) -> bytes:
    """Pack HGETALL: in half the time of `call`, which a flush feels for each session."""
    return b"*2\r\n$7\r\nHGETALL\r\n$%d\r\n%b\r\n" % (len(key), key)


def expect(reply: object, kind: type[Item]) -> Item:
    """Return a reply that must be of one kind; raises LiveUnavailable with what came instead."""
    if isinstance(reply, kind):
        return reply
    raise LiveUnavailable(f"{type(reply).__name__}: {reply}")


@asynccontextmanager
async def open_store(
    url: str,
    origin: str,
    scripts: Mapping[str, Script],
    *,
    prefix: str = "",
    wait_s: float = 5.0,
    connections: int = 1,
) -> AsyncIterator[LiveStore]:
    """Open lanes of their own to Redis, so many to each master, for the game whose keys begin with `prefix`.

    Raises LiveUnavailable when it does not answer within `wait_s`.
    """
    back = asyncio.Event()
    opened = [Lanes(url, origin, scripts, prefix=prefix) for _ in range(connections)]
    try:
        for lanes in opened:
            try:
                await lanes.start(_NoSubscriber(back))
            except LaneDown as error:
                raise LiveUnavailable(str(error)) from error
        for lanes in opened:
            if not await lanes.wait_up(wait_s):
                raise LiveUnavailable(f"no answer within {wait_s:g} s")
        first, *more = opened
        yield LiveStore(first, more, back)
    finally:
        for lanes in opened:
            await lanes.stop()
