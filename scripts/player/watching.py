"""One player live: each change as the player's tabs are sent it, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

from persistence.errors import LiveUnavailable
from persistence.flusher import owner_name
from persistence.live.keys import bucket_of
from persistence.live.lane_contract import LaneDown
from persistence.live.lanes import Lanes
from persistence.live.replies.publications import (
    ALL_FAMILIES,
    KIND_OF_CHANGE,
    FamilyRevoked,
    NewlyAchieved,
    Reloaded,
    publication_of,
)
from persistence.live.snapshots import SNAPSHOT_FIELDS, snapshot_of
from persistence.live.store import LiveStore, call
from server.protocol import results
from server.protocol.messages import PUSH, response

if TYPE_CHECKING:
    from game.catalogue import Catalogue
    from game.session import UserId
    from persistence.durable.find_player import Found
    from persistence.live.lane import Lane
    from persistence.live.lanes import FirstCommand
    from scripts.databases import Databases
    from server.desk.operations import Operations

_WAIT_S: Final = 5.0
_MOST_WAITING: Final = 1000


class _Ear:
    """Hears one channel. What comes faster than it is shown gives way to the whole session."""

    def __init__(self, lanes: Lanes, user_id: UserId) -> None:
        self._lanes = lanes
        self._user_id = user_id
        self.heard: asyncio.Queue[list[bytes] | None] = asyncio.Queue(_MOST_WAITING)
        """Publications; None: the whole session is to be shown, since some may have been missed."""

    def channels_of(self, lane: Lane) -> list[bytes]:
        """Name the channel on the lane to the master that has it."""
        own = self._lanes.lane_of(self._user_id)
        return [self._lanes.keys.channel(self._user_id).encode()] if lane is own else []

    def first_commands(self, lane: Lane) -> list[FirstCommand]:  # noqa: ARG002 - the contract of Hearer
        """Nothing is to be sent."""
        return []

    def lane_ready(self, lane: Lane) -> None:
        """Nothing is known before the channel is heard."""

    def subscribed(self, lane: Lane, channel: bytes) -> None:  # noqa: ARG002 - the contract of Hearer
        """Show the session: what was published before was not heard."""
        self._put(None)

    def published(self, channel: bytes, words: list[bytes]) -> None:  # noqa: ARG002 - the contract of Hearer
        """Keep a publication until it is shown."""
        self._put(words)

    def _put(self, words: list[bytes] | None) -> None:
        if self.heard.full():
            while not self.heard.empty():
                self.heard.get_nowait()
            words = None
        self.heard.put_nowait(words)


class _Screen:
    """Prints messages, a line each, in the order of their versions."""

    def __init__(self, store: LiveStore, user_id: UserId, *, as_json: bool) -> None:
        self._store = store
        self._user_id = user_id
        self._as_json = as_json
        self._version = 0

    async def show(self, words: list[bytes] | None, catalogue: Catalogue) -> None:
        """Print a publication as the message that tabs get, or the whole session."""
        publication = None if words is None else publication_of(words)
        match publication:
            case FamilyRevoked():
                which = "every" if publication.family.decode() == ALL_FAMILIES else "one"
                self._print("closed", f'{{"code":4001,"log_ins":"{which}"}}')
            case NewlyAchieved():
                self._say(
                    publication.version,
                    results.achievement_push(publication.version, publication.newly, catalogue),
                )
            case None if words is not None:
                return  # of a newer release
            case None | Reloaded():
                await self._session(catalogue)
            case _ if publication.version > self._version:
                kind = KIND_OF_CHANGE[publication.__class__]
                self._say(publication.version, response(PUSH, kind, f"{{{results.written(publication)}}}"))
            case _:
                return  # the session that was shown has it

    async def _session(self, catalogue: Catalogue) -> None:
        key = self._store.keys.session(self._user_id)
        [reply] = await self._store.run([call(bucket_of(self._user_id), "HMGET", key, *SNAPSHOT_FIELDS)])
        snapshot = snapshot_of(reply)
        if snapshot is None:
            self._print("session", '"not in Redis: the player is away, or has never played"')
        else:
            data = results.snapshot(self._user_id, snapshot, catalogue)
            self._say(snapshot.version, response(PUSH, "session", data))

    def _say(self, version: int, message: bytes) -> None:
        self._version = version
        if self._as_json:
            self._print("", message.decode())
        else:
            head, _, data = message.decode().partition('"data":')
            kind = head.partition('"request_type":"')[2].partition('"')[0]
            self._print(kind, data.removesuffix("}"))

    def _print(self, kind: str, data: str) -> None:
        if self._as_json:
            line = f'{{"{kind}":{data}}}' if kind else data
        else:
            line = f"{time.strftime('%H:%M:%S')}  {kind:13}  {data}"
        print(line, flush=True)


async def watch_player(databases: Databases, operations: Operations, found: Found, *, as_json: bool) -> None:
    """Print the session and then each change until Ctrl-C; raises LiveUnavailable where Redis is away."""
    settings, store, user_id = databases.settings, databases.store, found.user_id
    lanes = Lanes(
        settings.redis_connection.reveal(), owner_name(), store.lanes.scripts, prefix=settings.redis_prefix
    )
    ear = _Ear(lanes, user_id)
    screen = _Screen(store, user_id, as_json=as_json)
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a task is needed")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        try:
            await lanes.start(ear)
        except LaneDown as error:
            raise LiveUnavailable(str(error)) from error
        if not await lanes.wait_up(_WAIT_S):
            raise LiveUnavailable(f"no answer within {_WAIT_S:g} s")
        while True:
            await screen.show(await ear.heard.get(), operations.catalogue)
    except asyncio.CancelledError:
        print(file=sys.stderr)  # after the ^C of a terminal
        task.uncancel()
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads any more
    finally:
        await lanes.stop()
