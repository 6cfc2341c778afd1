"""Does what decisions ask for, and sends commands until they are answered or given up.

What is decided, `persistence.live.decisions` says. First the decisions on all replies, then the I/O: one
reading of the topology serves a whole batch.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias

import hiredis

from persistence.errors import KeysApart, LiveUnavailable
from persistence.live.decisions import Caller, Decision, Step, decide, is_failure
from persistence.live.lane_contract import LaneError, pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persistence.live.keys import Bucket
    from persistence.live.lane import Lane
    from persistence.live.lanes import Lanes

RETRY_FOR_S: Final = 2.0
"""How long a command is tried again before it is given up."""

_RETRY_EVERY_S: Final = 0.05


def judge(lanes: Lanes, reply: object, caller: Caller) -> Decision:
    """Decide what a reply that is no answer asks for."""
    return decide(reply, caller, cluster=lanes.cluster, replaces=lanes.replaces_masters)


def given_up(decision: Decision, reply: object) -> LiveUnavailable:
    """Return the error that ends a command for good, caused by what came in place of its answer."""
    error = LiveUnavailable(decision.why, maybe_applied=decision.maybe_applied)
    error.__cause__ = reply if isinstance(reply, BaseException) else None
    return error


async def prepare(lanes: Lanes, wanted: Iterable[tuple[Bucket, Decision]]) -> None:
    """Do once what the decisions on commands to some buckets ask for, before those are sent again."""
    listed = list(wanted)
    steps = {decision.step for _, decision in listed}
    lacking = {lanes.lane_for(bucket): bucket for bucket, each in listed if each.step is Step.LOAD_SCRIPTS}
    if lacking:
        loads = [pack("SCRIPT", "LOAD", script.source) for script in lanes.scripts.values()]
        await exchange(lanes, [(bucket, packed) for bucket in lacking.values() for packed in loads])
    if steps & {Step.WAIT, Step.ASK, Step.APART}:
        await asyncio.sleep(_RETRY_EVERY_S)
    if steps & {Step.WAIT, Step.ASK, Step.APART, Step.FOLLOW}:
        await lanes.refreshed()


async def exchange(lanes: Lanes, calls: Sequence[tuple[Bucket, bytes]]) -> list[object]:
    """Send packed commands to the masters of their buckets, each once; return replies and errors in order.

    One whose slot is on its way to another master is sent there.
    """
    return await exchange_over([(lanes, calls)])


async def exchange_over(parts: Sequence[tuple[Lanes, Sequence[tuple[Bucket, bytes]]]]) -> list[object]:
    """Do the same over several sets of lanes at once, each with its own commands; replies in their order."""
    sent = [(lanes, calls, _send(lanes, calls)) for lanes, calls in parts]
    replies: list[object] = []
    for lanes, calls, answers in sent:
        first = len(replies)
        if len(answers) == 1:
            for _, answered in answers:
                replies += await answered
        else:
            replies += [None] * len(calls)
            for indices, answered in answers:
                for index, reply in zip(indices, await answered, strict=True):
                    replies[first + index] = reply
        for index, (_, packed) in enumerate(calls if lanes.cluster else (), first):
            if isinstance(error := replies[index], hiredis.ReplyError) and _asks(lanes, error):
                replies[index] = await _asked(lanes, packed, error)
    return replies


def _asks(lanes: Lanes, error: hiredis.ReplyError) -> bool:
    return decide(error, Caller.BULK, cluster=lanes.cluster).step is Step.ASK


_Answers: TypeAlias = "list[tuple[Sequence[int], asyncio.Future[list[object]]]]"


def _send(lanes: Lanes, calls: Sequence[tuple[Bucket, bytes]]) -> _Answers:
    """Send commands, those of one lane together; return which these are, and what brings their replies."""
    commands = [packed for _, packed in calls]
    if commands and not lanes.cluster:
        bucket, _ = next(iter(calls))
        return [(range(len(commands)), _answered(lanes.lane_for(bucket), commands))]
    by_lane: dict[Lane, list[int]] = {}
    for index, (bucket, _) in enumerate(calls):
        by_lane.setdefault(lanes.lane_for(bucket), []).append(index)
    return [
        (indices, _answered(lane, [commands[index] for index in indices]))
        for lane, indices in by_lane.items()
    ]


def _answered(lane: Lane, commands: list[bytes]) -> asyncio.Future[list[object]]:
    """Send commands to one lane; the future brings all their replies, in order."""
    answered: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
    replies: list[object] = []

    def take_last(reply: object) -> None:
        replies.append(reply)
        if not answered.done():
            answered.set_result(replies)

    try:
        lane.send_all(commands, replies.append, take_last)
    except LaneError as error:
        answered.set_result([error] * len(commands))
    return answered


async def _asked(lanes: Lanes, packed: bytes, error: hiredis.ReplyError) -> object:
    """Send a command to the node that an ASK names; return its reply, or the ASK where it cannot be sent."""
    answered: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def take(reply: object) -> None:
        if not answered.done():
            answered.set_result(reply)

    try:
        lanes.asked(error).send_asking(packed, take)
    except LaneError:
        return error
    return await answered


async def request(lanes: Lanes, bucket: Bucket, *words: bytes | str | float) -> object:
    """Send one command on which a player waits, until it is answered; return the answer.

    Only what certainly was not executed is sent again. Raises LiveUnavailable where nothing helps, or past
    2 s; KeysApart at once.
    """
    packed = pack(*words)
    end_s = asyncio.get_running_loop().time() + RETRY_FOR_S
    while True:
        (reply,) = await exchange(lanes, [(bucket, packed)])
        if not is_failure(reply):
            return reply
        decision = judge(lanes, reply, Caller.PLAYER)
        if decision.step is Step.APART:
            raise KeysApart(decision.why)
        if decision.step is Step.GIVE_UP or asyncio.get_running_loop().time() > end_s:
            raise given_up(decision, reply)
        await prepare(lanes, [(bucket, decision)])
