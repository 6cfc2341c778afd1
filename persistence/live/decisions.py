"""What a reply that is no answer asks for: the one place where that is decided. Pure: nothing is done here.

`persistence.live.retries` does it, for the commands of players and for bulk work alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import hiredis

from persistence.live.lane_contract import LaneDown, LaneError, LaneFull, ReplyLost
from persistence.live.replies.status import Status


class Step(Enum):
    """What is to be done before a command is sent again; after `GIVE_UP` it is not."""

    LOAD = "load the session from PostgreSQL"
    REFRESH = "derive the session again under the present stamp"
    LOAD_SCRIPTS = "give Redis the scripts that it lacks"
    FOLLOW = "find the slot's new master"
    ASK = "send this once to the master that the slot is on its way to"
    APART = "mark the player where the marks are, then send this with the session's key alone"
    WAIT = "wait a moment, then find the slot's master"
    GIVE_UP = "answer that it failed"


class Caller(Enum):
    """On whose behalf a command is sent, which decides how long its failure may be waited for."""

    PLAYER = "player"
    """Waits for the answer. The command must not be executed twice."""
    BULK = "bulk"
    """Nobody waits. The command may be executed twice: the scripts of bulk work are safe to repeat."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one reply.

    `reason` is the word under which it is counted; "" where it is not. `why` is for the log, where the
    command is given up. `maybe_applied`: it may have been executed.
    """

    step: Step
    reason: str = ""
    why: str = ""
    maybe_applied: bool = False


SCRIPT_WORDS: Final[dict[bytes, Decision]] = {
    Status.MISSING: Decision(Step.LOAD, "load"),
    Status.STALE: Decision(Step.REFRESH, "refresh"),
}
"""The first words with which a script of a player's command says that it could not be executed."""

REDIS_WORDS: Final[dict[str, Step]] = {
    "NOSCRIPT": Step.LOAD_SCRIPTS,
    "MOVED": Step.FOLLOW,
    # The slot is on its way, and the command's keys have arrived.
    "ASK": Step.ASK,
    # The slot is on its way, and the command's keys are in two places, or one is in none.
    "TRYAGAIN": Step.APART,
    # The cluster is choosing a master, or this one was demoted and does not know its own yet.
    "CLUSTERDOWN": Step.WAIT,
    "MASTERDOWN": Step.WAIT,
    "READONLY": Step.WAIT,
    "LOADING": Step.WAIT,
    # A replica that fell behind may be back soon.
    "NOREPLICAS": Step.WAIT,
    # An operator has to act: memory is full, or the disk.
    "OOM": Step.GIVE_UP,
    "MISCONF": Step.GIVE_UP,
}
"""What each of Redis' errors, named by its first word, asks for. Others are faults: they are given up.

Redis executes nothing of a command that it answers with one of these, so sending it again is safe.
"""

REPLICA_WORDS: Final = frozenset({"READONLY"})
"""The errors that say that a connection leads to a replica, which its master became meanwhile."""


def is_failure(reply: object) -> bool:
    """Tell whether a reply is an error of Redis or of the lane, and not what a command answered."""
    return isinstance(reply, hiredis.ReplyError | LaneError)


def error_word(reply: object) -> str:
    """Return the word that an error of Redis begins with; "" where the reply is none."""
    return str(reply).partition(" ")[0] if isinstance(reply, hiredis.ReplyError) else ""


def decide(reply: object, caller: Caller, *, cluster: bool, replaces: bool = False) -> Decision:
    """Decide what a reply asks for that is not the answer to a command.

    `reply` is a list of a script that could not execute a player's command, an error of Redis or of the lane.
    What is neither, or has another word, is given up. `replaces`: a lost master is replaced by itself, as
    on a cluster.
    """
    if isinstance(reply, LaneError):
        return _lane_failed(reply, caller, replaces=cluster or replaces)
    if isinstance(reply, hiredis.ReplyError):
        word, text = error_word(reply), str(reply)
        step = REDIS_WORDS.get(word, Step.GIVE_UP)
        if step in {Step.FOLLOW, Step.ASK} and not cluster:
            # One node of a cluster, reached as if it were alone: there is no topology to read meanwhile.
            step = Step.WAIT
        if step is Step.APART and not (cluster and caller is Caller.PLAYER):
            step = Step.WAIT
        return Decision(step, word.lower(), f"Redis refused: {text:.200}")
    match reply:
        case [bytes(status), *_] if status in SCRIPT_WORDS:
            return SCRIPT_WORDS[status]
        case _:
            pass
    return Decision(Step.GIVE_UP, why=f"unexpected reply {reply!r:.100}")


def _lane_failed(failure: LaneError, caller: Caller, *, replaces: bool) -> Decision:
    """Decide about a command that got no reply."""
    match failure:
        case ReplyLost():
            if caller is Caller.PLAYER:
                return Decision(Step.GIVE_UP, why="the reply was lost", maybe_applied=True)
            return Decision(Step.WAIT, why="the reply was lost")
        case LaneFull():
            step = Step.GIVE_UP if caller is Caller.PLAYER else Step.WAIT
            return Decision(step, why="too much waits for Redis")
        case LaneDown():
            # A cluster or Sentinels replace a lost master in time; a single Redis is answered for at once.
            waits = replaces or caller is Caller.BULK
            return Decision(Step.WAIT if waits else Step.GIVE_UP, why="Redis does not answer")
        case _:
            return Decision(Step.GIVE_UP, why=f"{type(failure).__name__}: {failure}")
