"""The refusals on the wire: their codes and texts, and which a script's reply is."""

from __future__ import annotations

from typing import Final

import pytest

from game import errors as refusals
from persistence.live.replies.refusals import Refused, SeqTooOld
from persistence.live.replies.status import Status
from server.protocol import errors

REFUSALS: Final = {
    "invalid_message": (errors.InvalidMessage("no"), "invalid message: no", {}),
    "unknown_request": (errors.UnknownRequest(), "unknown request_type", {}),
    "missing_token": (errors.MissingToken(), "missing token", {}),
    "token_invalid": (errors.TokenInvalid(), "token invalid", {}),
    "session_required": (errors.SessionRequired(), "session required", {}),
    "no_dish": (refusals.NoDish(), "can't perform this action", {}),
    "no_dishes": (refusals.NoDishes(), "not enough dishes", {}),
    "upgrade_not_found": (refusals.UpgradeNotFound(), "upgrade not found", {}),
    "upgrade_locked": (refusals.UpgradeLocked(7), "upgrade locked, needs level 7", {}),
    "not_enough_money": (
        refusals.NotEnoughMoney(9007199254740991.0, 1e300),
        "not enough money, you have: 9007199254740991, you need: 1e+300",
        {},
    ),
    "not_enough_prestige": (refusals.NotEnoughPrestige(), "not enough prestige points", {}),
    "no_golden_guest": (refusals.NoGoldenGuest(), "this golden guest is not here", {}),
    "name_invalid": (
        refusals.NameInvalid(),
        "a name has 3 to 24 printable characters, no @ and no double spaces",
        {},
    ),
    "name_taken": (refusals.NameTaken(), "this name is taken", {}),
    "rate_limited": (refusals.RateLimited(20), "too many requests", {"retry_after_ms": 20}),
    "unavailable": (
        errors.Unavailable(250, maybe_applied=True),
        "service unavailable",
        {"retry_after_ms": 250, "maybe_applied": True},
    ),
}


def test_every_code_has_its_text() -> None:
    """The codes and texts are those of the wire contract, and the tree of refusals is closed."""
    for code, (refusal, message, details) in REFUSALS.items():
        assert (code, message, details) == (refusal.code, refusal.message, refusal.details())
        assert message == str(refusal)
        assert refusal.retryable == (code in {"rate_limited", "unavailable"})
    assert list(REFUSALS) == [kind.code for kind in errors.REFUSALS]
    assert set(refusals.Refusal.__subclasses__()) == {*errors.REFUSALS, refusals.SeqTooOld}
    assert errors.Unavailable(250).details() == {"retry_after_ms": 250}


def test_a_seq_that_is_too_old_is_an_invalid_message() -> None:
    """The game's refusal of an old seq has the wire's code and form for a message against the contract."""
    refusal = errors.refusal_of(SeqTooOld(Status.SEQ_TOO_OLD, 77))

    assert refusal.code == errors.InvalidMessage.code
    assert refusal.message == errors.InvalidMessage("seq is 64 or more below 77").message
    assert not refusal.retryable


def test_a_status_that_is_no_refusal_is_a_fault() -> None:
    """A word that no script refuses with is not answered as a refusal."""
    with pytest.raises(KeyError):
        errors.refusal_of(Refused(Status.OK))
