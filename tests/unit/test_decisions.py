"""What an error of Redis asks for, as a table; and that bulk work and single requests act on it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, cast

import hiredis
import pytest

from persistence.errors import LiveUnavailable
from persistence.live.decisions import REDIS_WORDS, Caller, Step, decide
from persistence.live.keys import Bucket
from persistence.live.lane_contract import LaneDown, LaneError, LaneFull, OnReply, ReplyLost
from persistence.live.retries import request
from persistence.live.store import LiveStore, call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persistence.live.lanes import Lanes

WAIT, GIVE_UP, FOLLOW = Step.WAIT, Step.GIVE_UP, Step.FOLLOW

WORDS: Final = {
    "NOSCRIPT No matching script.": Step.LOAD_SCRIPTS,
    "MOVED 3999 127.0.0.1:6381": FOLLOW,
    "ASK 3999 127.0.0.1:6381": Step.ASK,
    "TRYAGAIN Multiple keys request during rehashing of slot": Step.APART,
    "CLUSTERDOWN The cluster is down": WAIT,
    "MASTERDOWN Link with MASTER is down": WAIT,
    "READONLY You can't write against a read only replica.": WAIT,
    "LOADING Redis is loading the dataset in memory": WAIT,
    "NOREPLICAS Not enough good replicas to write.": WAIT,
    "OOM command not allowed when used memory > 'maxmemory'.": GIVE_UP,
    "MISCONF Errors writing to the AOF file: No space left on device": GIVE_UP,
    "ERR user_script:7: Script attempted to access nonexistent global variable": GIVE_UP,
    "WRONGTYPE Operation against a key holding the wrong kind of value": GIVE_UP,
}


@pytest.mark.parametrize("caller", Caller)
@pytest.mark.parametrize(("text", "step"), WORDS.items(), ids=lambda value: str(value).split(" ", 1)[0])
def test_redis_errors(text: str, step: Step, caller: Caller) -> None:
    """Each word asks for one step, by which it is counted; bulk work waits until keys are together."""
    decision = decide(hiredis.ReplyError(text), caller, cluster=True)

    assert decision.step is (WAIT if step is Step.APART and caller is Caller.BULK else step)
    assert text.partition(" ")[0].lower() == decision.reason
    assert text[:100] in decision.why
    assert not decision.maybe_applied


def test_the_table_has_every_word() -> None:
    """No word that is decided on is missing above."""
    assert {text.partition(" ")[0] for text in WORDS} == REDIS_WORDS.keys() | {"ERR", "WRONGTYPE"}


@pytest.mark.parametrize("word", ["MOVED", "ASK", "TRYAGAIN"])
@pytest.mark.parametrize("caller", Caller)
def test_a_move_without_a_topology_is_waited_out(caller: Caller, word: str) -> None:
    """A node of a cluster that is reached as if it were alone is asked again after a pause."""
    assert WAIT is decide(hiredis.ReplyError(f"{word} 1 a:1"), caller, cluster=False).step


def test_sentinels_replace_a_lost_master_too() -> None:
    """A player who meets no connection there waits for the next master, as on a cluster."""
    assert WAIT is decide(LaneDown("redis"), Caller.PLAYER, cluster=False, replaces=True).step
    assert GIVE_UP is decide(ReplyLost("redis"), Caller.PLAYER, cluster=False, replaces=True).step


@pytest.mark.parametrize(
    ("failure", "cluster", "player", "bulk"),
    [
        (LaneDown("redis"), False, GIVE_UP, WAIT),
        (LaneDown("redis"), True, WAIT, WAIT),
        (LaneFull("redis"), False, GIVE_UP, WAIT),
        (LaneFull("redis"), True, GIVE_UP, WAIT),
        (ReplyLost("redis"), False, GIVE_UP, WAIT),
        (ReplyLost("redis"), True, GIVE_UP, WAIT),
    ],
)
def test_failures_of_the_lane(failure: LaneError, cluster: bool, player: Step, bulk: Step) -> None:
    """A player is answered at once where waiting helps nobody, bulk work waits; neither is counted."""
    decisions = [decide(failure, caller, cluster=cluster) for caller in (Caller.PLAYER, Caller.BULK)]

    assert [player, bulk] == [decision.step for decision in decisions]
    assert [isinstance(failure, ReplyLost), False] == [decision.maybe_applied for decision in decisions]
    assert {""} == {decision.reason for decision in decisions}


@pytest.mark.parametrize(
    ("reply", "step", "reason"),
    [
        ([b"missing"], Step.LOAD, "load"),
        ([b"stale", b"3.run"], Step.REFRESH, "refresh"),
        ([b"something"], GIVE_UP, ""),
        ([], GIVE_UP, ""),
        (b"OK", GIVE_UP, ""),
        (None, GIVE_UP, ""),
    ],
)
def test_replies_of_scripts(reply: object, step: Step, reason: str) -> None:
    """No session asks for a load, another stamp for a refresh; anything else is a fault."""
    decision = decide(reply, Caller.PLAYER, cluster=False)

    assert (step, reason) == (decision.step, decision.reason)


class ScriptedLane:
    """A lane whose replies are given; the last of them repeats. An error of the lane's own is raised."""

    def __init__(self, *replies: object) -> None:
        self.replies = list(replies)
        self.sent: list[bytes] = []

    def send(self, command: bytes, on_reply: OnReply) -> None:
        """Answer a command at once; what loads a script is answered on the side."""
        self.sent.append(command)
        if b"SCRIPT" in command:
            on_reply(b"sha")
            return
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, LaneDown | LaneFull):
            raise reply
        on_reply(reply)

    def send_all(self, commands: Sequence[bytes], on_reply: OnReply, on_last: OnReply) -> None:
        """Answer some commands."""
        *others, last = commands
        for command in others:
            self.send(command, on_reply)
        self.send(last, on_last)


def lanes_over(lane: ScriptedLane, *, cluster: bool = False) -> Lanes:
    """Make lanes that are all the same one."""

    async def refreshed() -> None:
        """Have nothing to read."""

    scripts = {"one": SimpleNamespace(source="return 1"), "two": SimpleNamespace(source="return 2")}
    return cast(
        "Lanes",
        SimpleNamespace(
            cluster=cluster,
            replaces_masters=cluster,
            scripts=scripts,
            lane_for=lambda _: lane,
            refreshed=refreshed,
        ),
    )


RETRIED: Final = [text for text, step in WORDS.items() if step is not GIVE_UP]


@pytest.mark.parametrize("text", RETRIED, ids=lambda text: text.split(" ", 1)[0])
async def test_bulk_work_and_requests_are_repeated(text: str) -> None:
    """What Redis will execute later is sent again, by bulk work and by a request on which a player waits."""
    refused = hiredis.ReplyError(text)
    bulk, single = ScriptedLane(refused, refused, b"done"), ScriptedLane(refused, refused, b"done")

    assert await LiveStore(lanes_over(bulk)).run([call(Bucket(1), "PING")]) == [b"done"]
    assert b"done" == await request(lanes_over(single), Bucket(1), "PING")  # noqa: SIM300 - expected first
    assert sum(b"PING" in command for command in bulk.sent) == 3
    assert bulk.sent == single.sent


async def test_every_script_is_loaded_once_for_a_batch() -> None:
    """A Redis without its scripts is given all of them once, however many calls of a batch missed one."""
    missing = hiredis.ReplyError("NOSCRIPT No matching script.")
    lane = ScriptedLane(missing, missing, missing, b"done")

    assert await LiveStore(lanes_over(lane)).run([call(Bucket(n), "PING") for n in range(3)]) == [b"done"] * 3
    assert sum(b"SCRIPT" in command for command in lane.sent) == 2


async def test_a_refusal_stays_in_its_place() -> None:
    """What bulk work can do nothing about is returned in the place of the answer, beside the others."""
    refused = hiredis.ReplyError("OOM command not allowed")
    lane = ScriptedLane(b"first", refused, b"third")
    lanes = lanes_over(lane)

    assert [b"first", refused, b"third"] == await LiveStore(lanes).run([call(Bucket(1), "PING")] * 3)


@pytest.mark.parametrize("failure", [LaneDown("redis"), LaneFull("redis"), ReplyLost("redis")])
async def test_a_request_says_why_it_was_given_up(failure: LaneError) -> None:
    """A player's request over a lane that fails is given up, and says if it may have been executed."""
    with pytest.raises(LiveUnavailable) as given_up:
        await request(lanes_over(ScriptedLane(failure)), Bucket(1), "PING")

    assert given_up.value.__cause__ is failure
    assert given_up.value.maybe_applied == isinstance(failure, ReplyLost)
