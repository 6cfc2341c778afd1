"""What a script replies and publishes for an outcome of the Python model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from game import errors, outcomes
from game.arithmetic import EXACT

if TYPE_CHECKING:
    from game.session import Offline, Session


def on_wire(amount: float) -> int | bytes:
    """Return an amount as a script replies it."""
    return int(amount) if abs(amount) < EXACT else f"{amount:.17g}".encode()


def words(*values: float | str) -> str:
    """Join what a publication says."""
    return " ".join(value if isinstance(value, str) else f"{value:.17g}" for value in values)


def replied(outcome: object, state: Session, saved: float, email: str) -> list[Any]:
    """Return the reply of a script whose outcome this is."""
    match outcome:
        case outcomes.Cooked(version, dishes, xp, applied, duplicate, _):
            return [_status(duplicate), version, *map(on_wire, (dishes, xp, applied))]
        case outcomes.Sold(version, dishes, money, xp, applied, duplicate, _):
            return [_status(duplicate), version, *map(on_wire, (dishes, money, xp, applied))]
        case outcomes.Bought(version, money, xp, upgrade_id, times, passive, applied, duplicate, _):
            return [
                _status(duplicate),
                version,
                on_wire(money),
                on_wire(xp),
                upgrade_id,
                times,
                int(passive),
                applied,
            ]
        case outcomes.Risen(version, rank, xp, following, duplicate, _):
            return [_status(duplicate), version, rank, on_wire(xp), on_wire(following)]
        case outcomes.Unrisen(version, rank, xp, paid, money, dishes, accumulated):
            amounts = map(on_wire, (money, dishes, accumulated))
            return [b"unchanged", version, rank, on_wire(xp), int(paid), *amounts]
        case outcomes.Reset(version, money, dishes, rank, xp, stars, boost, accumulated, duplicate, _):
            amounts = map(on_wire, (money, dishes, rank, xp, stars, boost, accumulated))
            return [_status(duplicate), version, *amounts]
        case outcomes.Paid():
            return _income(outcome)
        case outcomes.Shown(version, last_seq, offline, paid, passive):
            amounts = map(
                on_wire, (state.money, state.dishes, state.rank, state.xp, state.stars, state.boost)
            )
            bought = ",".join(f"{upgrade}:{times}" for upgrade, times in sorted(state.bought.items()))
            return [
                b"ok",
                version,
                int(saved),
                email.encode(),
                *amounts,
                on_wire(state.accumulated),
                bought.encode(),
                last_seq,
                *map(on_wire, _shown(offline)),
                int(paid),
                int(passive),
            ]
        case outcomes.Achieved(version, newly):
            return [b"ok", version, ",".join(map(str, newly)).encode()]
    raise AssertionError(outcome)


def _income(outcome: outcomes.Paid) -> list[Any]:
    amounts = outcome.money, outcome.dishes, outcome.rank, outcome.xp, outcome.accumulated
    reply = [outcome.version, *map(on_wire, amounts), int(outcome.changed)]
    if not isinstance(outcome, outcomes.GoldenGuest):
        return [b"ok", *reply]
    times = outcome.id, outcome.comes_in_ms, outcome.leaves_in_ms
    return [_status(outcome.duplicate), *reply, on_wire(outcome.gain), *times]


def _shown(offline: Offline | None) -> tuple[float, ...]:
    if offline is None:
        return (0, 0, 0, 0, 0, 0)
    return (
        offline.seconds,
        offline.money,
        offline.dishes,
        offline.xp,
        offline.away_seconds,
        offline.stars,
    )


def published(outcome: object, state: Session) -> str | None:
    """Return what a script says to the player's other connections, None when it says nothing."""
    version = state.version
    match outcome:
        case outcomes.Cooked(_, dishes, xp, applied, False):
            said = words("cook", version, dishes, xp, applied)
        case outcomes.Sold(_, dishes, money, xp, applied, False):
            said = words("sell", version, dishes, money, xp, applied)
        case outcomes.Bought(_, money, xp, upgrade_id, times, passive, applied, False):
            said = words("upgrade_buy", version, money, xp, upgrade_id, times, int(passive), applied)
        case outcomes.Risen(_, rank, xp, following, False):
            said = words("level_up", version, rank, xp, following)
        case outcomes.Reset(_, money, dishes, rank, xp, stars, boost, accumulated, False):
            said = words("session_reset", version, money, dishes, rank, xp, stars, boost, accumulated)
        case outcomes.Achieved(_, newly) if newly:
            said = words("achieved", version, ",".join(map(str, newly)))
        case outcomes.Refreshed(passive=False, pays=True):
            said = words("reloaded", version)
        case (
            outcomes.Paid(changed=True)
            | outcomes.Shown(paid=True)
            | outcomes.Unrisen(paid=True)
            | outcomes.Refreshed(pays=True)
            | outcomes.Cooked(paid=True)
            | outcomes.Sold(paid=True)
            | outcomes.Bought(paid=True)
            | outcomes.Risen(paid=True)
            | outcomes.Reset(paid=True)
        ):
            said = words(
                "passive", version, state.money, state.dishes, state.rank, state.xp, state.accumulated
            )
        case _:
            return None
    return said


def _status(duplicate: bool) -> bytes:
    return b"duplicate" if duplicate else b"ok"


def refused(refusal: errors.Refusal) -> list[Any]:
    """Return the reply of a script that refused so."""
    match refusal:
        case errors.SeqTooOld(highest=highest):
            return [b"seq_too_old", highest]
        case errors.UpgradeLocked(level=level):
            return [b"upgrade_locked", level]
        case errors.NotEnoughMoney(have=have, need=need):
            return [b"not_enough_money", on_wire(have), on_wire(need)]
        case errors.RateLimited(retry_after_ms=retry_after_ms):
            return [b"rate_limited", retry_after_ms]
        case (
            errors.NoDish()
            | errors.NoDishes()
            | errors.UpgradeNotFound()
            | errors.NotEnoughPrestige()
            | errors.NoGoldenGuest()
        ):
            return [refusal.code.encode()]
    raise AssertionError(refusal)
