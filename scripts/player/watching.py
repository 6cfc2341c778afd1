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
from persistence.live.snapshots import SNAPSHOT_FIELDS, snapshot_of
from persistence.live.store import LiveStore, call
from server.desk.hearing import Ear, Message, message_of
from server.protocol import results
from server.protocol.messages import PUSH, response

if TYPE_CHECKING:
    from game.catalogue import Catalogue
    from game.session import UserId
    from persistence.durable.find_player import Found
    from scripts.databases import Databases
    from server.desk.operations import Operations

_WAIT_S: Final = 5.0
_MOST_WAITING: Final = 1000


class _Screen:
    """Prints messages, a line each, in the order of their versions."""

    def __init__(self, store: LiveStore, user_id: UserId, *, as_json: bool) -> None:
        self._store = store
        self._user_id = user_id
        self._as_json = as_json
        self._version = 0

    async def show(self, words: list[bytes] | None, catalogue: Catalogue) -> None:
        """Print a publication as the message that tabs get, or the whole session."""
        message = message_of(words, self._version, catalogue)
        if message is None:
            return
        if message.kind == "session":
            await self._session(catalogue)
        elif message.kind == "closed":
            self._print("closed", message.data)
        else:
            self._say(message)

    async def _session(self, catalogue: Catalogue) -> None:
        key = self._store.keys.session(self._user_id)
        [reply] = await self._store.run([call(bucket_of(self._user_id), "HMGET", key, *SNAPSHOT_FIELDS)])
        snapshot = snapshot_of(reply)
        if snapshot is None:
            self._print("session", '"not in Redis: the player is away, or has never played"')
        else:
            data = results.snapshot(self._user_id, snapshot, catalogue)
            self._say(Message("session", data, snapshot.version))

    def _say(self, message: Message) -> None:
        self._version = message.version
        if self._as_json:
            self._print("", response(PUSH, message.kind, message.data).decode())
        else:
            self._print(message.kind, message.data)

    def _print(self, kind: str, data: str) -> None:
        if self._as_json:
            line = f'{{"{kind}":{data}}}' if kind else data
        else:
            line = f"{time.strftime('%H:%M:%S')}  {kind:13}  {data}"
        print(line, flush=True)


class _Waiting:
    """What was heard and is not shown yet. What comes faster than it is shown gives way to the session."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[list[bytes] | None] = asyncio.Queue(_MOST_WAITING)

    def put(self, words: list[bytes] | None) -> None:
        """Keep a publication until it is shown; None: the whole session is to be shown."""
        if self._heard.full():
            while not self._heard.empty():
                self._heard.get_nowait()
            words = None
        self._heard.put_nowait(words)

    async def next(self) -> list[bytes] | None:
        """Return what was heard first, once there is something."""
        return await self._heard.get()


async def watch_player(databases: Databases, operations: Operations, found: Found, *, as_json: bool) -> None:
    """Print the session and then each change until Ctrl-C; raises LiveUnavailable where Redis is away."""
    settings, store, user_id = databases.settings, databases.store, found.user_id
    lanes = Lanes(
        settings.redis_connection.reveal(), owner_name(), store.lanes.scripts, prefix=settings.redis_prefix
    )
    ear, waiting = Ear(lanes), _Waiting()
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
        ear.follow(user_id, waiting.put)
        while True:
            await screen.show(await waiting.next(), operations.catalogue)
    except asyncio.CancelledError:
        print(file=sys.stderr)  # after the ^C of a terminal
        task.uncancel()
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads any more
    finally:
        await lanes.stop()
