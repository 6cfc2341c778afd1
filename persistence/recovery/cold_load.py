"""Cold loads: sessions that Redis lacks, or holds in an older state, come from PostgreSQL.

Players who ask at the same time share the work: one load for each player and process, one SELECT for many
players.
Several processes are kept apart by a claim in Redis; a stalled loader's claim runs out, and its late write
is refused.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import structlog

from persistence.errors import DurableUnavailable, KeysApart, StorageUnavailable
from persistence.live.hashes import fields_of, joined_texts
from persistence.live.keys import bucket_of
from persistence.live.replies.status import Status
from persistence.live.replies.upkeep import status_of
from persistence.live.retries import request

if TYPE_CHECKING:
    from game.session import UserId
    from persistence.durable.sessions import Saved
    from persistence.live.lanes import Lanes
    from persistence.live.scripts import Script
    from persistence.live.session_ref import SessionRef

_log = structlog.get_logger(__name__)

CLAIM_MS: Final = 5000
_LOAD_WITHIN_S: Final = 2.0
_LOOK_AGAIN_S: Final = 0.02
_ORIGIN: Final = "load"
"""Nobody's: that a session was replaced, the connections of this process are to hear as well."""

ReadRows = Callable[[Sequence["UserId"]], Awaitable[dict["UserId", "Saved"]]]


@dataclass(frozen=True, slots=True)
class LoadingLimits:
    """`max_waiting` players may wait, `batch` of them share a SELECT, of which `readers` run at once.

    A batch is small, since its rows arrive in one pass of the event loop: those who play wait for it.
    """

    max_waiting: int = 10_000
    batch: int = 50
    readers: int = 2


@dataclass(slots=True)
class LoadingTotals:
    """What was loaded since the start; plain integers, read by the metrics."""

    loaded: int = 0
    created: int = 0
    replaced: int = 0
    verified: int = 0
    failed: int = 0
    refused_full: int = 0


class Loader:
    """Loads sessions from PostgreSQL into Redis. Call `run` in a supervised task."""

    def __init__(
        self,
        lanes: Lanes,
        scripts: Mapping[str, Script],
        read_rows: ReadRows,
        session_ttl_s: int,
        limits: LoadingLimits | None = None,
    ) -> None:
        self._lanes = lanes
        self._scripts = scripts
        self._read_rows = read_rows
        self._ttl_s = session_ttl_s
        self._limits = limits or LoadingLimits()
        self._loads: dict[tuple[str, UserId], asyncio.Task[bool]] = {}
        self._wanted: dict[UserId, asyncio.Future[Saved | None]] = {}
        self._wake = asyncio.Event()
        self.totals = LoadingTotals()

    @property
    def waiting(self) -> int:
        """How many players wait for a load."""
        return len(self._loads)

    async def run(self) -> None:
        """Serve the SELECTs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._limits.readers):
                group.create_task(self._read())

    async def load(self, ref: SessionRef, *, create: bool) -> bool:
        """Bring a session into Redis; with `create`, make a new player's. False: the player never had one.

        Raises StorageUnavailable when PostgreSQL or Redis does not serve it in time, or too many wait: ask
        again later.
        """
        return await self._shared("create" if create else "load", ref, self._load)

    async def verify(self, ref: SessionRef) -> None:
        """Replace the session in Redis where PostgreSQL's is newer; Redis came back as another run.

        Raises StorageUnavailable when PostgreSQL can't be asked, unless this Redis keeps every answer: then
        it is believed.
        """
        await self._shared("verify", ref, self._verify)

    async def _shared(
        self, what: str, ref: SessionRef, work: Callable[[SessionRef, str], Awaitable[bool]]
    ) -> bool:
        key = (what, ref.user_id)
        task = self._loads.get(key)
        if task is None:
            if len(self._loads) >= self._limits.max_waiting:
                self.totals.refused_full += 1
                raise StorageUnavailable("too many sessions wait to be loaded")
            task = asyncio.get_running_loop().create_task(self._bounded(ref, what, work))
            self._loads[key] = task
            task.add_done_callback(lambda _: self._loads.pop(key, None))
        return await asyncio.shield(task)

    async def _bounded(
        self, ref: SessionRef, what: str, work: Callable[[SessionRef, str], Awaitable[bool]]
    ) -> bool:
        try:
            async with asyncio.timeout(_LOAD_WITHIN_S):
                return await work(ref, what)
        except (TimeoutError, StorageUnavailable) as error:
            self.totals.failed += 1
            # The player's own command was not sent yet, whatever became of the load's.
            raise StorageUnavailable(f"cold load: {error or type(error).__name__}") from error

    async def _load(self, ref: SessionRef, what: str) -> bool:
        """Claim, select, write while the claim is ours; or wait for the process that has the claim."""
        claim, keys = secrets.token_hex(8), self._lanes.keys
        while True:
            if await self._ask(ref, "SET", keys.load(ref.user_id), claim, "NX", "PX", CLAIM_MS) is not None:
                row = await self._row(ref.user_id)
                if row is None or (row.session is None and what == "load"):
                    # Were the claim another's by now, its write would be refused and tried again: no harm.
                    await self._ask(ref, "DEL", keys.load(ref.user_id))
                    return False
                if row.session is None:
                    status = await self._write(ref, "create", claim, row)
                    self.totals.created += status is Status.LOADED
                else:
                    status = await self._write(ref, "claimed", claim, row)
                    self.totals.loaded += status is Status.LOADED
                if status is not Status.UNCLAIMED:
                    return True
            elif await self._ask(ref, "HEXISTS", keys.session(ref.user_id), "now"):
                return True
            elif cast("int", await self._ask(ref, "PTTL", keys.load(ref.user_id))) > CLAIM_MS:
                # No claim lasts as long: the clock ran back. Of another's new claim the write is tried again.
                await self._ask(ref, "DEL", keys.load(ref.user_id))
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _verify(self, ref: SessionRef, _what: str) -> bool:
        lane = self._lanes.lane_of(ref.user_id)
        durability = self._lanes.durability.get(lane.name)
        try:
            async with asyncio.timeout(_LOAD_WITHIN_S / 2):
                row = await self._row(ref.user_id)
        except (TimeoutError, DurableUnavailable):
            if durability is not None and durability.keeps_every_answer and not self._lanes.cluster:
                return True
            raise
        self.totals.verified += 1
        if row is not None and row.session is not None:
            status = await self._write(ref, "newer", "", row)
            if status is Status.LOADED:
                self.totals.replaced += 1
                _log.warning("session_replaced_by_newer", user=ref.user_id, version=row.session.version)
        return True

    async def _write(self, ref: SessionRef, mode: str, claim: str, row: Saved) -> Status:
        """Call `load` for one session; returns what became of it."""
        user_id, keys = ref.user_id, self._lanes.keys
        marks = keys.dirty(bucket_of(user_id))
        try:
            return await self._call(ref, (keys.session(user_id), keys.load(user_id), marks), mode, claim, row)
        except KeysApart:
            return await self._write_apart(ref, mode, claim, row)

    async def _write_apart(self, ref: SessionRef, mode: str, claim: str, row: Saved) -> Status:
        """Call `load` while the slot is on its way, without the marks, which may be elsewhere.

        The session's key, which is nowhere, is made before. A claim from before the move may be elsewhere
        too: then it is given up, and the caller tries again.
        """
        user_id, keys = ref.user_id, self._lanes.keys
        session = keys.session(user_id)
        if mode == "newer":
            return await self._call(ref, (session, session, session), mode, claim, row)
        note = ("EVALSHA", self._scripts["note"].sha, 1, keys.dirty(bucket_of(user_id)), user_id)
        if mode == "create":
            await self._ask(ref, *note)
        await self._ask(ref, "EVALSHA", self._scripts["reserve"].sha, 1, session, CLAIM_MS)
        try:
            status = await self._call(ref, (session, keys.load(user_id), session), mode, claim, row)
        except KeysApart:
            await self._ask(ref, "DEL", keys.load(user_id))
            return Status.UNCLAIMED
        if mode == "create":
            # A flush may have cleared it in between.
            await self._ask(ref, *note)
        return status

    async def _call(
        self, ref: SessionRef, call_keys: tuple[str, str, str], mode: str, claim: str, row: Saved
    ) -> Status:
        user_id = ref.user_id
        if row.session is None:
            fields = [b"texts", joined_texts("", "", row.email)]
        else:
            fields = fields_of(row.session, row.email)
        fields += row.derived
        reply = await self._ask(
            ref,
            "EVALSHA",
            self._scripts["load"].sha,
            3,
            *call_keys,
            mode,
            self._ttl_s,
            _ORIGIN,
            user_id,
            ref.channel,
            claim,
            0 if row.session is None else row.session.version,
            len(fields),
            *fields,
        )
        return status_of(cast("list[bytes]", reply))

    async def _ask(self, ref: SessionRef, *words: bytes | str | float) -> object:
        """Send one command to the master that holds a player's keys. Raises LiveUnavailable."""
        return await request(self._lanes, bucket_of(ref.user_id), *words)

    async def _row(self, user_id: UserId) -> Saved | None:
        """Read a player's row in the next shared SELECT; None when there is no such account."""
        future = self._wanted.get(user_id)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._wanted[user_id] = future
            self._wake.set()
        return await asyncio.shield(future)

    async def _read(self) -> None:
        while True:
            await self._wake.wait()
            batch = {
                user_id: self._wanted.pop(user_id) for user_id in list(self._wanted)[: self._limits.batch]
            }
            if not self._wanted:
                self._wake.clear()
            if not batch:
                continue
            try:
                rows = await self._read_rows(list(batch))
            except (DurableUnavailable, OSError, TimeoutError) as error:
                for future in batch.values():
                    if not future.done():
                        future.set_exception(DurableUnavailable(str(error)))
                        # Nobody may be waiting any more; the failure is counted where someone is.
                        future.exception()
                continue
            for user_id, future in batch.items():
                if not future.done():
                    future.set_result(rows.get(user_id))
