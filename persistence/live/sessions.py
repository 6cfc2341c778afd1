"""The typed door to the sessions in Redis: packs a command, sends it on the player's lane, recovers.

The way of a click is `send`: three byte strings joined, one callback. Everything that goes wrong (no
session in Redis, an
older catalogue, another run of Redis, a moved slot) goes through `recover`, beside that way.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, cast

import hiredis

from game.catalogue import UpgradeType
from persistence.live.keys import bucket_of, channel, dirty_key, session_key
from persistence.live.lane_contract import LaneDown, LaneError, LaneFull, OnReply, ReplyLost, pack
from persistence.live.snapshots import PASSIVE_FIELDS, SNAPSHOT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from game.catalogue import Catalogue
    from game.session import UserId
    from persistence.live.lane import Lane
    from persistence.live.lanes import Lanes
    from persistence.live.scripts import Script

RETRY_FOR_S: Final = 2.0
MARK_AFTER_MS: Final = 30_000
"""What ticks alone have changed is marked dirty this long after the last save: it can be computed again.
Until then it is in Redis' memory only."""
_RETRY_EVERY_S: Final = 0.05
_RETRIED_ERRORS: Final = ("TRYAGAIN", "LOADING", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "NOREPLICAS")


class Unavailable(Exception):  # noqa: N818 - named after its wire code
    """Redis or the cold load failed: answer `unavailable`. `maybe_applied`: sent, and its reply was lost."""

    def __init__(self, why: str, *, maybe_applied: bool = False) -> None:
        super().__init__(why)
        self.maybe_applied = maybe_applied


class NoSession(Exception):  # noqa: N818 - named after its wire code
    """The player never had a session: answer `session required`."""


Command = tuple[bytes, bytes]
"""A call of one script but for whose it is: what stands before a player's head, and what after it."""


class SessionRef:
    """A player's address in Redis, as packed bytes. One for each player connected to this process."""

    __slots__ = ("channel", "epoch", "head", "lane", "subscribed", "user_id")

    def __init__(self, user_id: UserId, lane: Lane) -> None:
        self.user_id = user_id
        self.channel = channel(user_id).encode()
        self.lane = lane
        self.head = b""
        self.epoch = -1
        self.subscribed = False


class ColdStore(Protocol):
    """Brings sessions that Redis lacks, or holds in an older state, from PostgreSQL."""

    async def load(self, ref: SessionRef, *, create: bool) -> bool:
        """Load a session, or create one; False when the player never had one. Raises Unavailable."""

    async def verify(self, ref: SessionRef) -> None:
        """Replace the session in Redis where PostgreSQL has a newer one. Raises Unavailable."""


class CatalogueSource(Protocol):
    """Knows the catalogue in force."""

    current: Catalogue

    async def reload(self) -> None:
        """Read the catalogue again: a session was found derived from a newer one. Raises Unavailable."""


def bulk(*words: bytes | str | float) -> bytes:
    """Pack words as RESP bulk strings, without the array's head."""
    parts = []
    for word in words:
        text = word if isinstance(word, bytes) else (word if isinstance(word, str) else repr(word)).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(parts)


_COMMON_ARGS: Final = 5


class Sessions:
    """Commands on the sessions of players, over the lanes."""

    def __init__(
        self,
        lanes: Lanes,
        scripts: Mapping[str, Script],
        catalogues: CatalogueSource,
        cold: ColdStore,
        offline_cap_s: int,
    ) -> None:
        self._lanes = lanes
        self._scripts = scripts
        self._catalogues = catalogues
        self._cold = cold
        self._epoch = 0
        self._offline_cap_s = offline_cap_s
        self._prefixes: dict[tuple[str, int], bytes] = {}
        self._packed_catalogue: tuple[Catalogue, bytes] | None = None
        self.recoveries: dict[str, int] = {}

    # The way of a click.

    def ref(self, user_id: UserId) -> SessionRef:
        """Address a player's session."""
        return SessionRef(user_id, self._lanes.lane_of(user_id))

    def lane_of(self, ref: SessionRef) -> Lane:
        """Return the lane that a session's commands take now."""
        return self._lanes.lane_of(ref.user_id)

    def send(self, ref: SessionRef, command: Command, on_reply: OnReply) -> None:
        """Send a command; `on_reply` gets what the lane got. LaneDown, LaneFull: nothing was sent."""
        if ref.epoch != self._epoch:
            self._address(ref)
        prefix, tail = command
        ref.lane.send(b"".join((prefix, ref.head, tail)), on_reply)

    def place(self, user_id: UserId) -> int:
        """Name where a session lies: those of one place may share a call."""
        return bucket_of(user_id) if self._lanes.cluster else 0

    def tick(self, refs: Sequence[SessionRef], on_reply: OnReply) -> None:
        """Pay the passive income of players of one place in one call; they are replied to in a list.

        LaneDown, LaneFull: nothing was sent. Each call holds up whoever comes behind it: keep it short.
        """
        lane = self._lanes.lane_of(refs[0].user_id)
        keys: list[str] = []
        args: list[str | bytes | int] = [
            self.stamp(lane),
            self._lanes.origin,
            self._offline_cap_s,
            MARK_AFTER_MS,
        ]
        for ref in refs:
            keys += (session_key(ref.user_id), dirty_key(bucket_of(ref.user_id)))
            args += (ref.user_id, ref.channel, "1" if ref.subscribed else "0")
        lane.send(pack("EVALSHA", self._scripts["tick"].sha, len(keys), *keys, *args), on_reply)

    def command(self, script: str, *args: bytes | str | float) -> Command:
        """Pack a call of a state-changing script: its arguments after the five common ones."""
        return self._prefix(script, _COMMON_ARGS + len(args)), bulk(*args)

    def epoch_ended(self) -> None:
        """Address every session anew at its next command: catalogue, run of Redis or topology changed."""
        self._epoch += 1

    def _prefix(self, script: str, args: int) -> bytes:
        prefix = self._prefixes.get((script, args))
        if prefix is None:
            sha = self._scripts[script].sha.encode()
            prefix = b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n$1\r\n2\r\n" % (5 + args, sha)
            self._prefixes[script, args] = prefix
        return prefix

    def _address(self, ref: SessionRef) -> None:
        """Pack a session's keys and the common arguments for the lane and catalogue of now."""
        user_id = ref.user_id
        lane = self._lanes.lane_of(user_id)
        if lane is not ref.lane:
            ref.lane = lane
        ref.head = bulk(
            session_key(user_id),
            dirty_key(bucket_of(user_id)),
            self.stamp(lane),
            user_id,
            ref.channel,
            "1" if ref.subscribed else "0",
            self._lanes.origin,
        )
        ref.epoch = self._epoch

    def stamp(self, lane: Lane) -> str:
        """Name the catalogue generation and the run of Redis that derived fields hold under."""
        return f"{self._catalogues.current.generation}.{lane.run_id}"

    # Subscriptions.

    def subscribe(self, ref: SessionRef) -> None:
        """Hear a player's publications from before the next command on."""
        ref.subscribed = True
        ref.epoch = -1
        ref.lane = self._lanes.lane_of(ref.user_id)
        ref.lane.subscribe(ref.channel)

    def release(self, ref: SessionRef, ttl_s: int) -> None:
        """Stop hearing a player's publications and let a clean session expire `ttl_s` from now."""
        ref.subscribed = False
        ref.epoch = -1
        if ref.lane.up:
            ref.lane.unsubscribe(ref.channel)
            self._expire(ref, ttl_s)

    def touch(self, ref: SessionRef, ttl_s: int) -> None:
        """Give a connected player's clean session its whole time to live again."""
        if ref.lane.up:
            self._expire(ref, ttl_s)

    def _expire(self, ref: SessionRef, ttl_s: int) -> None:
        sha = self._scripts["release"].sha
        keys = session_key(ref.user_id), dirty_key(bucket_of(ref.user_id))
        command = pack("EVALSHA", sha, 2, *keys, ref.user_id, ttl_s)
        try:
            ref.lane.send(command, _nobody)
        except LaneError:
            return

    # Beside the way of a click.

    def snapshot_command(self, ref: SessionRef) -> bytes:
        """Pack the command that reads a snapshot; `snapshot_of` takes its reply."""
        return pack("HMGET", session_key(ref.user_id), *SNAPSHOT_FIELDS)

    def passive_command(self, ref: SessionRef) -> bytes:
        """Pack the command that reads whether a player has passive income; `passive_of` takes its reply."""
        return pack("HMGET", session_key(ref.user_id), *PASSIVE_FIELDS)

    async def repeat(
        self,
        ref: SessionRef,
        reply: object,
        send: Callable[[], None],
        until_s: float,
        *,
        create: bool = False,
    ) -> None:
        """Do what a reply that is no answer asks for (load, refresh, follow the slot), then `send` again.

        `send` takes its reply as it comes off the lane: told by a task, a publication that Redis made after
        it would overtake it. Only what certainly was not executed is sent again. Raises Unavailable (also
        past `until_s`, loop time), or NoSession when the player never had one and `create` is False.
        """
        while True:
            if isinstance(reply, list):
                if reply[0] == b"stale":
                    self._count("refresh")
                    await self._freshen(ref, cast("bytes", reply[1]).decode())
                else:
                    self._count("load")
                    if not await self._cold.load(ref, create=create):
                        raise NoSession
            else:
                await self._mend(ref, reply)
            if asyncio.get_running_loop().time() > until_s:
                raise Unavailable("Redis did not serve the command in time")
            try:
                send()
            except LaneError as error:
                reply = error
            else:
                return

    def _count(self, what: str) -> None:
        self.recoveries[what] = self.recoveries.get(what, 0) + 1

    async def _exchange_raw(self, ref: SessionRef, packed: bytes) -> object:
        """Send packed bytes; return the reply or the error as a value."""
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def settle(reply: object) -> None:
            if not future.done():
                future.set_result(reply)

        try:
            ref.lane.send(packed, settle)
        except LaneError as error:
            return error
        return await future

    async def _mend(self, ref: SessionRef, failure: object) -> None:
        """Do what an error asks for before the next attempt; raises Unavailable where nothing helps."""
        if isinstance(failure, ReplyLost):
            raise Unavailable("the reply was lost", maybe_applied=True)
        if isinstance(failure, LaneDown | LaneFull):
            # A cluster replaces a lost master within the time; a single Redis is answered for at once.
            if self._lanes.cluster and isinstance(failure, LaneDown):
                await asyncio.sleep(_RETRY_EVERY_S)
                await self._follow(ref)
                return
            raise Unavailable(
                "Redis does not answer" if isinstance(failure, LaneDown) else "too much waits for Redis"
            )
        if not isinstance(failure, hiredis.ReplyError):
            raise Unavailable(f"unexpected reply {failure!r:.100}")
        text = str(failure)
        word = text.partition(" ")[0]
        self._count(word.lower())
        if word == "NOSCRIPT":
            for script in self._scripts.values():
                await self._exchange_raw(ref, pack("SCRIPT", "LOAD", script.source))
        elif word == "MOVED":
            await self._follow(ref)
        elif word == "ASK" or word in _RETRIED_ERRORS:
            # The slot is on its way: until it has arrived, the keys of one command may be in two places.
            await asyncio.sleep(_RETRY_EVERY_S)
            await self._follow(ref)
        else:
            if word == "OOM":
                self._lanes.full_s = asyncio.get_running_loop().time()
            raise Unavailable(f"Redis refused: {text:.200}")

    async def _follow(self, ref: SessionRef) -> None:
        """Find out which master holds the session now."""
        await self._lanes.refreshed()
        lane = self._lanes.lane_of(ref.user_id)
        if lane is not ref.lane and ref.subscribed:
            lane.subscribe(ref.channel)
        ref.lane = lane
        ref.epoch = -1

    async def _freshen(self, ref: SessionRef, stamp: str) -> None:
        """Bring a session with another stamp to ours: its run verified, its boosts derived again."""
        generation, _, run = stamp.partition(".")
        if generation and int(generation) > self._catalogues.current.generation:
            await self._catalogues.reload()
            self.epoch_ended()
        if run and run != ref.lane.run_id:
            await self._cold.verify(ref)
        prefix, tail = self._prefix_refresh(), self._refresh_tail()
        for _ in range(3):
            packed = b"".join((prefix, self._refresh_head(ref), tail))
            reply = await self._exchange_raw(ref, packed)
            if not isinstance(reply, list):
                await self._mend(ref, reply)
            elif reply[0] == b"behind":
                await self._catalogues.reload()
                self.epoch_ended()
                prefix, tail = self._prefix_refresh(), self._refresh_tail()
            else:
                return

    def _prefix_refresh(self) -> bytes:
        return self._prefix("refresh", _REFRESH_ARGS)

    def _refresh_head(self, ref: SessionRef) -> bytes:
        keys = session_key(ref.user_id), dirty_key(bucket_of(ref.user_id))
        return bulk(*keys, self.stamp(ref.lane), ref.user_id, self._offline_cap_s, MARK_AFTER_MS, ref.channel)

    def _refresh_tail(self) -> bytes:
        catalogue = self._catalogues.current
        if self._packed_catalogue is None or self._packed_catalogue[0] is not catalogue:
            self._packed_catalogue = (
                catalogue,
                bulk(packed_boosts(catalogue), packed_levels(catalogue), packed_changes(catalogue)),
            )
        return self._packed_catalogue[1]


_REFRESH_ARGS: Final = 8


def packed_boosts(catalogue: Catalogue) -> str:
    """Pack what each upgrade raises for `refresh`: `id:boost_type:value_hundredths:is_dish,…`."""
    return ",".join(
        f"{u.id}:{u.boost.boost_type}:{u.boost.value_hundredths}:{int(u.upgrade_type is UpgradeType.DISH)}"
        for u in catalogue.upgrades
    )


def packed_levels(catalogue: Catalogue) -> str:
    """Pack the xp of ranks 1 to the last, comma-separated."""
    return ",".join(str(xp) for xp in catalogue.level_xp[1:])


def packed_changes(catalogue: Catalogue) -> str:
    """Pack since when generations hold: `generation:ms,…`."""
    return ",".join(f"{generation}:{since_ms}" for generation, since_ms in catalogue.changes)


def _nobody(_reply: object) -> None:
    """Take a reply that changes nothing for anybody."""
