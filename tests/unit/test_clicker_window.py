"""The window of unanswered requests: what is numbered, what may be sent, what is sent again."""

from __future__ import annotations

import pytest

from scripts.clicker.window import Window


async def test_state_changing_requests_are_numbered_in_order_and_others_are_not() -> None:
    """Numbers belong to what changes state; `session` names the client, so that it receives `last_seq`."""
    window = Window("tab")
    sent = [window.add(kind, {}, 0.0) for kind in ("session", "cook", "level_check", "sell")]
    assert [pending.seq for pending in sent] == [0, 1, 0, 2]
    assert [pending.data for pending in sent] == [
        {"client": "tab"},
        {"client": "tab", "seq": 1},
        {},
        {"client": "tab", "seq": 2},
    ]


async def test_there_is_room_for_sixty_four_unanswered() -> None:
    """The sixty-fifth waits until one is answered."""
    window = Window("tab")
    sent = [window.add("cook", {}, 0.0) for _ in range(64)]
    assert not window.has_room
    window.settle(sent[0])
    assert window.has_room


async def test_numbers_sixty_four_apart_wait_for_the_oldest() -> None:
    """However many were answered since: the server no longer knows what is 64 below the highest."""
    window = Window("tab")
    oldest = window.add("cook", {}, 0.0)
    for _ in range(63):
        window.settle(window.add("cook", {}, 0.0))
    assert len(window) == 1
    assert not window.has_room
    window.settle(oldest)
    assert window.has_room


async def test_what_is_unanswered_keeps_its_order() -> None:
    """A new connection sends it first, as it was sent before."""
    window = Window("tab")
    sent = [window.add("cook", {"count": count}, 0.0) for count in (1, 2, 3)]
    window.settle(sent[1])
    assert window.unanswered() == [sent[0], sent[2]]


@pytest.mark.parametrize("request_id", ["", "99"])
async def test_an_answer_that_nobody_waits_for_is_nobodys(request_id: str) -> None:
    """Pushes and second answers find no request."""
    window = Window("tab")
    window.add("cook", {}, 0.0)
    assert window.find(request_id) is None
