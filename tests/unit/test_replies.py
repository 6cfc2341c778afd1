"""Replies and publications of the scripts come out with names."""

from __future__ import annotations

import pytest

from game.session import UserId
from persistence.live.replies.play import Bought, Cooked, Income
from persistence.live.replies.play_shapes import PLAY_SHAPES, play_reply
from persistence.live.replies.publications import FamilyRevoked, publication_of, revoked_text
from persistence.live.replies.refusals import RateLimited
from persistence.live.replies.status import Status, statuses_of
from persistence.live.replies.upkeep import (
    DueBucket,
    DueMark,
    DueRead,
    Looked,
    due_reply,
    look_reply,
    throttle_reply,
)


def test_a_reply_is_named_by_its_status() -> None:
    """The first word decides of which type a reply is; the type has the rest by name."""
    shapes = PLAY_SHAPES["cook"]
    assert play_reply(shapes, [b"ok", 7, 10, b"1e+20", 2]) == Cooked(b"ok", 7, 10, b"1e+20", 2)
    limited = play_reply(shapes, [b"rate_limited", 40])
    assert isinstance(limited, RateLimited)
    assert limited.retry_after_ms == 40
    with pytest.raises(KeyError):
        play_reply(shapes, [b"not_enough_money", 1, 2])


def test_a_duplicate_has_the_shape_of_a_success() -> None:
    """The status alone tells a duplicate from a success."""
    reply = play_reply(PLAY_SHAPES["cook"], [b"duplicate", 7, 10, 100, 0])
    assert isinstance(reply, Cooked)
    assert reply.status == Status.DUPLICATE


def test_a_publication_is_named_by_its_kind() -> None:
    """A publication has the type of the reply that it repeats; its version and flags are integers."""
    bought = publication_of(b"upgrade_buy 12 100 5 3 2 1 1".split(b" "))
    assert bought == Bought(b"upgrade_buy", 12, b"100", b"5", b"3", b"2", 1, b"1")
    assert publication_of(b"passive 12 1 2 3 4 5".split(b" ")) == Income(
        b"passive", 12, b"1", b"2", b"3", b"4", b"5"
    )


def test_a_revocation_is_read_as_it_is_written() -> None:
    """The publication of a revoked family comes out with the family that was put in."""
    _origin, *words = revoked_text("auth", "abc").encode().split(b" ")
    assert publication_of(words) == FamilyRevoked(b"revoked", 0, b"abc")


def test_a_publication_of_another_release_is_left_out_or_refused() -> None:
    """A kind that is not known is no publication; a known kind with other words is an error."""
    assert publication_of([b"sang", b"12"]) is None
    with pytest.raises(ValueError, match="a publication of 1 words after b'cook'"):
        publication_of([b"cook", b"12", b"1"])


def test_due_marks_are_paired() -> None:
    """What `due` lists flat, user id and moment in turn, becomes marks of each bucket."""
    assert due_reply([50, [1, 20, 0], [3, 20, 1, 7, 20, 8, 21]]) == DueRead(
        50, [DueBucket(1, 20, 0, []), DueBucket(3, 20, 1, [DueMark(UserId(7), 20), DueMark(UserId(8), 21)])]
    )


def test_looks_and_attempts_are_named() -> None:
    """`look` gives the hash as a mapping, `throttle` the wait."""
    looked = look_reply([b"ok", [b"now", b"1", b"life", b"2"], b"", -1])
    assert isinstance(looked, Looked)
    assert looked.hash == {b"now": b"1", b"life": b"2"}
    assert throttle_reply([b"refused", 40]) == (Status.REFUSED, 40)


def test_statuses_are_members() -> None:
    """Each word of a list becomes its status; a word that no script replies is an error."""
    assert statuses_of([b"clean", b"dirty"]) == [Status.CLEAN, Status.DIRTY]
    assert statuses_of([b"gone"])[0] is Status.GONE
    with pytest.raises(ValueError, match="no script replies b'lost'"):
        statuses_of([b"lost"])
