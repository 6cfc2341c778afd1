"""What is done about a player's command that was not executed, before it is sent again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import hiredis
import pytest

from game.session import UserId
from persistence.errors import LiveUnavailable, NoSession, NotSent
from persistence.live.lane_contract import LaneDown, LaneFull, ReplyLost
from persistence.live.lanes import REFRESH_AT_MOST_EVERY_S
from persistence.live.session_addresses import SessionAddresses
from persistence.live.session_recovery import SessionRecovery
from tests.support.plain_keys import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persistence.live.lane_contract import OnReply
    from persistence.live.lanes import Lanes
    from persistence.live.session_commands import SessionCommands
    from persistence.live.session_ref import SessionRef
    from persistence.live.sources import CatalogueSource, ColdStore

RUN = "a" * 40
TRYAGAIN = hiredis.ReplyError("TRYAGAIN Multiple keys request during rehashing of slot")
MOST_S = 0.5
"""So long a click waits at most where a slot has moved and its new master serves."""


@dataclass(eq=False)
class FakeLane:
    """A lane of one run of Redis that passes on what is sent."""

    send: Callable[[bytes, OnReply], None]
    run_id: str = RUN

    def send_all(self, commands: Sequence[bytes], on_reply: OnReply, on_last: OnReply) -> None:
        """Send each."""
        *others, last = commands
        for command in others:
            self.send(command, on_reply)
        self.send(last, on_last)

    def subscribe(self, _: bytes) -> None:
        """Have nothing to say."""


class World:
    """A recovery whose parts note what is asked of them."""

    def __init__(self, *, cluster: bool = False, has_session: bool = True) -> None:
        self.done: list[str] = []
        self.has_session = has_session
        self.failures: list[Exception] = []
        self.refresh_fails = False
        self.lane = FakeLane(self._send)
        lanes = cast(
            "Lanes",
            SimpleNamespace(
                cluster=cluster,
                replaces_masters=cluster,
                keys=PLAIN,
                origin=b"here",
                scripts={},
                lane_for=lambda _: self.lane,
                lane_of=lambda _: self.lane,
                refreshed=self._refreshed,
            ),
        )
        catalogues = cast(
            "CatalogueSource", SimpleNamespace(current=SimpleNamespace(generation=3), reload=self._reload)
        )
        commands = cast(
            "SessionCommands",
            SimpleNamespace(refresh=lambda *_, apart: b"refresh" + b" apart" * apart, note=lambda _: b"note"),
        )
        self.addresses = SessionAddresses(lanes, catalogues)
        self.recovery = SessionRecovery(lanes, self.addresses, commands, catalogues, cast("ColdStore", self))

    @property
    def ref(self) -> SessionRef:
        """The player."""
        return self.addresses.ref(UserId(7))

    def _send(self, command: bytes, on_reply: OnReply) -> None:
        self.done.append(command.decode())
        if command == b"refresh" and self.refresh_fails:
            on_reply(TRYAGAIN)
        else:
            on_reply(1 if command == b"note" else [b"ok", 9, 0])

    async def _refreshed(self) -> None:
        self.done.append("topology")

    async def _reload(self) -> None:
        self.done.append("catalogue")

    async def load(self, ref: SessionRef, *, create: bool) -> bool:
        """Note a load."""
        self.done.append(f"{'create' if create else 'load'} {ref.user_id}")
        return self.has_session or create

    async def verify(self, ref: SessionRef) -> None:
        """Note a comparison with PostgreSQL."""
        self.done.append(f"verify {ref.user_id}")

    def again(self) -> None:
        """Send the command again; fails as `failures` say."""
        if self.failures:
            raise NotSent(self.failures.pop(0))
        self.done.append("again")


async def recovered(world: World, reply: object, *, create: bool = False) -> list[str]:
    """Recover from a reply; returns what was done."""
    until_s = asyncio.get_running_loop().time() + 60
    await world.recovery.repeat(world.ref, reply, world.again, until_s, create=create)
    return world.done


async def test_a_missing_session_is_loaded_or_created() -> None:
    """Redis has no session: it comes from PostgreSQL, or is made where the request may make one."""
    assert await recovered(World(), [b"missing"]) == ["load 7", "again"]
    assert await recovered(World(has_session=False), [b"missing"], create=True) == ["create 7", "again"]


async def test_a_player_without_a_session_is_told_so() -> None:
    """A player who never had a session is not sent to Redis again."""
    world = World(has_session=False)
    with pytest.raises(NoSession):
        await recovered(world, [b"missing"])
    assert world.done == ["load 7"]


@pytest.mark.parametrize(
    ("stamp", "done"),
    [
        (f"3.{RUN}", []),
        (f"2.{RUN}", []),
        (f"4.{RUN}", ["catalogue"]),
        (f"3.{'b' * 40}", ["verify 7"]),
        (f"4.{'b' * 40}", ["catalogue", "verify 7"]),
    ],
)
async def test_a_stale_session_is_refreshed(stamp: str, done: list[str]) -> None:
    """A newer catalogue is read and another run compared first; then the session is derived again."""
    assert await recovered(World(), [b"stale", stamp.encode()]) == [*done, "refresh", "again"]


async def test_recoveries_are_counted_by_their_reason() -> None:
    """The metrics count what was done by the script's status or Redis' word; lost connections not at all."""
    world = World(cluster=True)
    for reply in ([b"missing"], hiredis.ReplyError("MOVED 1 a:1"), LaneDown("redis")):
        await recovered(world, reply)
    assert world.recovery.counts == {"load": 1, "moved": 1}


async def test_a_command_that_could_not_be_sent_again_is_decided_on_anew() -> None:
    """On a cluster a lane that went down is waited for; one that is full is answered for at once."""
    world = World(cluster=True)
    world.failures = [LaneDown("a"), LaneDown("a")]
    assert await recovered(world, [b"missing"]) == ["load 7", "topology", "topology", "again"]

    world = World(cluster=True)
    world.failures = [LaneFull("a")]
    with pytest.raises(LiveUnavailable, match="too much waits"):
        await recovered(world, [b"missing"])


@pytest.mark.parametrize(
    ("reply", "maybe_applied"),
    [(ReplyLost("redis"), True), (LaneDown("redis"), False), (hiredis.ReplyError("OOM full"), False)],
)
async def test_what_nothing_helps_against_is_given_up(reply: Exception, maybe_applied: bool) -> None:
    """The command is not sent again; its error has the cause, and whether it may have been executed."""
    world = World()
    with pytest.raises(LiveUnavailable) as given_up:
        await recovered(world, reply)
    assert world.done == []
    assert given_up.value.__cause__ is reply
    assert given_up.value.maybe_applied == maybe_applied


async def test_time_runs_out() -> None:
    """Past its time a command is not sent again, whatever was done for it."""
    world = World()
    with pytest.raises(LiveUnavailable, match="in time"):
        await world.recovery.repeat(world.ref, [b"missing"], world.again, 0.0)
    assert world.done == ["load 7"]


def test_a_session_that_moved_is_addressed_anew() -> None:
    """What was packed for the lane of before is not used again."""
    world = World()
    ref = world.ref
    ref.epoch = world.addresses.epoch
    world.addresses.move(ref)
    assert ref.epoch != world.addresses.epoch


async def test_a_command_whose_keys_are_split_names_the_session_alone() -> None:
    """The player is marked first; commands after this one are sent as usual."""
    world = World(cluster=True)
    ref, heads = world.ref, []
    until_s = asyncio.get_running_loop().time() + 60

    await world.recovery.repeat(ref, TRYAGAIN, lambda: heads.append(ref.head), until_s)

    assert world.done == ["note"]
    assert [(head.count(b"session:{7}:7"), head.count(b"dirty:{7}")) for head in (*heads, ref.head)] == [
        (2, 0),
        (1, 1),
    ]
    assert ref.lane.run_id == RUN
    assert ref.lane.send == world.lane.send


async def test_a_command_that_is_sent_apart_counts_on_no_subscription() -> None:
    """It may be executed where this process does not listen, and another one does."""
    world = World(cluster=True)
    ref, counted = world.ref, []
    ref.heard = True
    until_s = asyncio.get_running_loop().time() + 60

    def note_own() -> None:
        _, _, behind = ref.head.partition(ref.channel)
        counted.append(behind.split(b"\r\n")[2])

    await world.recovery.repeat(ref, TRYAGAIN, note_own, until_s)
    note_own()

    assert counted == [b"0", b"1"]


async def test_a_session_whose_keys_are_split_is_refreshed() -> None:
    """It is derived again under the session's key alone, and marked before and after."""
    world = World(cluster=True)
    world.refresh_fails = True
    assert await recovered(world, [b"stale", f"3.{RUN}".encode()]) == [
        "refresh",
        "note",
        "refresh apart",
        "note",
        "again",
    ]


@pytest.mark.parametrize(
    ("reply", "failures"),
    [
        (hiredis.ReplyError("MOVED 1 a:1"), []),
        (hiredis.ReplyError("MOVED 1 a:1"), [LaneDown("not open yet")]),
        (LaneDown("between two masters"), [LaneDown("not open yet")]),
    ],
)
async def test_a_click_finds_the_new_master_within_half_a_second(
    monkeypatch: pytest.MonkeyPatch, reply: Exception, failures: list[Exception]
) -> None:
    """Counted in pauses and readings: the topology is read once more, and the new lane waited for once."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", pause)
    world = World(cluster=True)
    world.failures = list(failures)

    done = await recovered(world, reply)

    assert done[-1:] == ["again"]
    assert sum(pauses) + done.count("topology") * REFRESH_AT_MOST_EVERY_S <= MOST_S
