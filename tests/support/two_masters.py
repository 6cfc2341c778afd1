"""A game in this process over two Redis servers, of which the test says which has the slots.

Connections are objects; everything between them and Redis is the server's own.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import orjson
import redis

from game.session import UserId
from persistence.live.keys import SLOT_OF_BUCKET, bucket_of
from persistence.live.lane_contract import LaneLimits
from persistence.live.lanes import Lanes
from persistence.live.retries import request
from persistence.live.scripts import load_scripts
from persistence.live.session_commands import PlayLimits, SessionCommands
from persistence.live.sessions import Sessions
from persistence.recovery.cold_load import Loader
from runtime.turns import Turns
from scripts.ports import free_port
from server.auth.tokens import AccessClaims
from server.observability.metrics import RequestMetrics
from server.ws.dispatch import Dispatch
from server.ws.gathering import Gathering
from server.ws.handlers import Handlers
from server.ws.hub import Hub
from server.ws.identity import Identity
from tests.support.game_catalogue import CATALOGUE, SANDWICH
from tests.support.limits import LIMIT_S
from tests.support.live_hash import with_values
from tests.support.plain_keys import dirty_key, session_key
from tests.support.redis_proxy import redis_proxy
from tests.support.servers import POLL_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from persistence.durable.current_catalogue import Catalogues
    from persistence.durable.sessions import Saved
    from persistence.live.lane import Lane
    from persistence.live.session_ref import SessionRef
    from persistence.live.sources import ColdStore
    from runtime.url_parts import Node
    from server.ws.connection import Connection
    from server.ws.handlers import Community
    from tests.support.redis_proxy import RedisProxy
    from tests.support.servers import ValkeyServer

USER = UserId(7)


class TwoMasters(Lanes):
    """Lanes to two servers: the player's slot is at `port`, the others at `rest_port`."""

    port = 0
    rest_port = 0

    async def _cluster_slots(self) -> tuple[Node, object]:
        slot = SLOT_OF_BUCKET[bucket_of(USER)]
        ranges = ((0, slot - 1, self.rest_port), (slot, slot, self.port), (slot + 1, 16383, self.rest_port))
        return ("127.0.0.1", self.port), [
            [first, last, [b"127.0.0.1", port, b"id"]] for first, last, port in ranges
        ]


class Cold:
    """What PostgreSQL has: `saved`, the values of the player's session; None where it has none.

    Where `newer` is set, a session in Redis is compared with it as with a row of PostgreSQL.
    """

    def __init__(self, lanes: Lanes) -> None:
        self.newer: Saved | None = None
        self._lanes = lanes
        self.saved: dict[str, object] | None = None
        self.verified = False
        self.write: Callable[[dict[str, object]], None] = lambda _: None

    async def load(self, ref: object, *, create: bool) -> bool:  # noqa: ARG002 - the contract of ColdStore
        """Load what is saved."""
        if self.saved is None:
            return False
        self.write(self.saved)
        return True

    async def verify(self, ref: SessionRef) -> None:
        """Replace what is older than `newer`, and keep that it was asked for."""
        self.verified = True
        if self.newer is None:
            return
        row = self.newer

        async def rows(_users: Sequence[UserId]) -> dict[UserId, Saved]:
            return {USER: row}

        loader = Loader(self._lanes, self._lanes.scripts, rows, 60)
        running = asyncio.create_task(loader.run())
        await loader.verify(ref)
        running.cancel()


class Tab:
    """A connection of the player: keeps what it was sent."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.received: list[dict[str, Any]] = []
        self.state: object = None
        self.closing = False
        self._dispatch = dispatch
        dispatch.opened(cast("Connection", self), lambda: None)

    def send(self, payload: bytes, _frame: bytes = b"") -> None:
        """Keep a message."""
        self.received.append(orjson.loads(payload))

    send_latest = send
    direct_fd = -1

    def ask(self, request_id: str, request_type: str, **data: object) -> None:
        """Send a request."""
        message = {"message_type": "request", "request_id": request_id, "request_type": request_type}
        payload = orjson.dumps(message | {"data": {"token": "good", **data}})
        self._dispatch.message_received(cast("Connection", self), payload)

    async def answer(self, request_id: str) -> dict[str, Any]:
        """Wait for the data of a request's answer."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for message in self.received:
                    if message["request_id"] == request_id:
                        return cast("dict[str, Any]", message["data"])
                await asyncio.sleep(POLL_S)

    async def pushed(self, request_type: str) -> dict[str, Any]:
        """Wait for the data of a push."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for message in self.received:
                    if (message["request_id"], message["request_type"]) == ("", request_type):
                        return cast("dict[str, Any]", message["data"])
                await asyncio.sleep(POLL_S)

    @property
    def versions(self) -> list[int]:
        """The versions of all that it was sent, in order."""
        data = [message["data"] for message in self.received]
        return [each["version"] for each in data if "version" in each]


class World:
    """The game, the two servers and what stands in front of each."""

    def __init__(self, lanes: TwoMasters, servers: list[ValkeyServer], proxies: list[RedisProxy]) -> None:
        self.lanes = lanes
        self.servers = servers
        self.proxies = proxies
        self.first: Lane
        catalogues = SimpleNamespace(current=CATALOGUE, watch=lambda _: None)
        commands = SessionCommands(lanes.scripts, lanes.keys, PlayLimits(0, 1000, 28_800), "")
        self.cold = Cold(lanes)
        self.cold.write = lambda values: self.put(1, **values)
        self.sessions = Sessions(
            lanes, commands, cast("Catalogues", catalogues), cast("ColdStore", self.cold)
        )
        loop = asyncio.get_running_loop()
        gathering = Gathering(asyncio.get_running_loop(), 0.0)
        self.hub = Hub(self.sessions, cast("Catalogues", catalogues), 20, 60, gathering)
        handlers = Handlers(self.sessions, self.hub, cast("Catalogues", catalogues), cast("Community", None))
        identity = Identity(lambda _: AccessClaims(USER, "family", 2**40), self._is_revoked)
        self.dispatch = Dispatch(
            self.hub, handlers.start, identity, RequestMetrics(), turns=Turns(loop), max_count=1000
        )

    async def _is_revoked(self, user_id: UserId, family: str) -> bool:
        key = self.lanes.keys.revoked(user_id, family)
        return bool(await request(self.lanes, bucket_of(user_id), "EXISTS", key))

    def put(self, server: int = 0, **values: object) -> None:
        """Write the player's session, with the sandwich, into a server."""
        fields = with_values({}, {"version": 1, "rank": 0, "bought": f"{SANDWICH}:1", **values})
        with _client(self.servers[server]) as client:
            client.hset(session_key(USER), mapping=cast("dict[str | bytes, bytes]", fields))

    async def joined(self) -> Tab:
        """Open a connection and show it the session."""
        tab = Tab(self.dispatch)
        tab.ask("join", "session")
        assert "session" in await tab.answer("join")
        return tab

    async def until_executed(self, server: int, before: bytes) -> None:
        """Wait until a server's session is another than before."""
        async with asyncio.timeout(LIMIT_S):
            while self.session_of(server) == before:  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(POLL_S)

    def session_of(self, server: int) -> bytes:
        """Read the session as it is moved between servers."""
        with _client(self.servers[server]) as client:
            return cast("bytes", client.dump(session_key(USER)))

    async def move(self, *, replaced: bool, lost: bool = False) -> None:
        """Give the player's slot and keys to the second server, and let the game hear of it.

        `replaced`: with all other slots, as a replica takes over. `lost`: without the keys.
        """
        for key in () if lost else (session_key(USER), dirty_key(bucket_of(USER))):
            with _client(self.servers[0]) as source, _client(self.servers[1]) as target:
                value = source.dump(key)
                if value is not None:
                    target.restore(key, 0, cast("bytes", value), replace=True)
        self.first = self.lanes.lane_of(USER)
        self.lanes.port = self.proxies[1].port
        if replaced:
            self.lanes.rest_port = self.lanes.port
        await self.lanes.refreshed()

    def stamp_of(self, server: int) -> str:
        """Return the stamp of a session that was refreshed by some process at a server."""
        with _client(self.servers[server]) as client:
            return f"{CATALOGUE.generation}.{client.info('server')['run_id']}"

    async def open_second_lane(self) -> None:
        """Give the second server the slots that are not the player's."""
        self.lanes.rest_port = self.proxies[1].port
        await self.lanes.refreshed()
        await self.until_second_lane_is_up()

    async def until_second_lane_is_up(self) -> None:
        """Wait until the second server may be asked."""
        name = f"127.0.0.1:{self.proxies[1].port}"
        async with asyncio.timeout(LIMIT_S):
            while not any(lane.up for lane in self.lanes.all if lane.name == name):  # noqa: ASYNC110 - no event
                await asyncio.sleep(POLL_S)

    async def until_first_lane_is_down(self) -> None:
        """Wait until the first server is asked no more."""
        async with asyncio.timeout(LIMIT_S):
            while self.first.up:  # noqa: ASYNC110 - lanes have no event of their own
                await asyncio.sleep(POLL_S)

    async def settled(self) -> None:
        """Let everything have its turn that Redis could answer by now."""
        for _ in range(2):
            await self.lanes.refreshed()


def _client(server: ValkeyServer) -> redis.Redis:
    """Open a client that leaves values as they are."""
    return redis.Redis.from_url(server.url)


@contextlib.asynccontextmanager
async def two_masters(servers: list[ValkeyServer]) -> AsyncIterator[World]:
    """Run the game over two servers; the first has all slots. No reply that is held back is given up."""
    async with contextlib.AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(redis_proxy(server, free_port())) for server in servers]
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{proxy.port}" for proxy in proxies)
        lanes = TwoMasters(url, "here", load_scripts(), LaneLimits(reply_timeout_s=LIMIT_S))
        lanes.port = lanes.rest_port = proxies[0].port
        stack.push_async_callback(lanes.stop)
        world = World(lanes, servers, proxies)
        await lanes.start(world.hub)
        assert await lanes.wait_up(LIMIT_S)
        stack.push_async_callback(world.dispatch.stop)
        stack.push_async_callback(world.hub.catching_up.stop)
        yield world
