"""Does what decisions ask for, and sends commands until they are answered or given up.

What is decided, `persistence.live.decisions` says. First the decisions on all replies, then the I/O: one
reading of the topology serves a whole batch.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from persistence.errors import KeysApart, LiveUnavailable
from persistence.live.decisions import Caller, Decision, Step, decide, is_failure
from persistence.live.lane_contract import LaneError, pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import hiredis

    from persistence.live.keys import Bucket
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
    done = asyncio.Event()
    replies: list[object] = [None] * len(calls)
    missing = len(calls)

    def take_first(index: int, packed: bytes, reply: object) -> None:
        if is_failure(reply) and decide(reply, Caller.BULK, cluster=lanes.cluster).step is Step.ASK:
            target = lanes.asked(cast("hiredis.ReplyError", reply))
            try:
                target.send_asking(packed, partial(take, index))
            except LaneError:
                take(index, reply)
        else:
            take(index, reply)

    def take(index: int, reply: object) -> None:
        nonlocal missing
        replies[index] = reply
        missing -= 1
        if missing == 0:
            done.set()

    for index, (bucket, packed) in enumerate(calls):
        try:
            lanes.lane_for(bucket).send(packed, partial(take_first, index, packed))
        except LaneError as error:
            take(index, error)
    await done.wait()
    return replies


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
