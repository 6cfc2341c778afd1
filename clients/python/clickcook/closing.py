"""Why a connection ended, and when to open the next one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GOING_AWAY: Final = 1001
BROKEN: Final = 1006
POLICY: Final = 1008
TOO_BUSY: Final = 1013
SLOW_READER: Final = 4000
REVOKED: Final = 4001
CROWDED: Final = 4002

CLIENT_FAULTS: Final = frozenset({1002, 1003, 1007, 1009})
"""Closed for what this client sent: sending it again cannot help."""

_REASONS: Final = {
    GOING_AWAY: "going_away",
    POLICY: "policy",
    TOO_BUSY: "too_busy",
    SLOW_READER: "slow_reader",
    REVOKED: "revoked",
    CROWDED: "crowded",
    **dict.fromkeys(CLIENT_FAULTS, "client_fault"),
}
_BASE_FACTORS: Final = {GOING_AWAY: 0.6, TOO_BUSY: 4.0}


@dataclass(frozen=True, slots=True)
class Options:
    """How a client behaves; all times in milliseconds.

    The first attempt to connect again comes after about `retry_first_ms`, each next one after twice as long,
    up to `retry_most_ms`; after a connection that lived `stable_ms` this begins at the first again.
    `crowded_ms` is the wait where the player has too many connections. A server that owes an answer and is
    silent for `answer_timeout_ms`, or for `probe_timeout_ms` after a sleep, is left; one that owes nothing is
    asked after `probe_after_ms`. At most `most_unanswered` requests are unanswered. A failed renewal is
    repeated after `renew_again_ms`.
    """

    retry_first_ms: float = 500
    retry_most_ms: float = 15_000
    crowded_ms: float = 20_000
    stable_ms: float = 5_000
    answer_timeout_ms: float = 10_000
    probe_after_ms: float = 25_000
    probe_timeout_ms: float = 3_000
    renew_again_ms: float = 2_000
    most_unanswered: int = 64


def reason_of(code: int) -> str:
    """Name a close code by what it means for the client."""
    return _REASONS.get(code, "broken")


def delay_ms(code: int, attempt: int, options: Options, chance: float) -> float:
    """Return how long to wait before the next attempt.

    `chance` from 0 to 1 spreads them: without it all clients of a lost server come back in the same moment.
    `attempt` is 0 for the first one after a stable connection.
    """
    if code == CROWDED:
        return options.crowded_ms * (1 + chance)
    base_ms = options.retry_first_ms * _BASE_FACTORS.get(code, 1.0)
    return float(min(base_ms * 2.0 ** min(attempt, 30), options.retry_most_ms)) * (0.3 + 0.7 * chance)
