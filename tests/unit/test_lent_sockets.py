"""A connection's socket in somebody else's hands: who gets it, and what takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.ws.frames import PING, text_frame
from tests.support.tabs import Tab

if TYPE_CHECKING:
    from collections.abc import Callable

ONE = b'{"number":1}'
TWO = b'{"number":2}'


class Borrower:
    """Has a tab's socket until it is taken back."""

    def __init__(self, tab: Tab) -> None:
        self.returned = 0
        self.seen: list[int] = []
        self._tab = tab
        self.fd = tab.lend(self.on_return)

    def on_return(self) -> None:
        """Note how many bytes the tab had written by then."""
        self.returned += 1
        self.seen.append(self._tab.waiting_bytes)


@pytest.fixture(name="quiet")
def _quiet() -> Tab:
    """Make a tab that was sent one message, so that the next may go straight to its socket."""
    tab = Tab()
    tab.send(ONE)
    assert tab.read() == [{"number": 1}]
    assert tab.direct_fd >= 0
    return tab


def test_a_socket_before_which_something_may_wait_is_not_lent() -> None:
    """Nothing was sent yet, and nobody knows what the transport holds."""
    tab = Tab()
    assert Borrower(tab).fd == -1
    assert not tab.lent


def test_it_is_lent_to_one(quiet: Tab) -> None:
    """The second does not get it."""
    first, second = Borrower(quiet), Borrower(quiet)
    assert (first.fd >= 0, second.fd) == (True, -1)
    assert quiet.direct_fd == -1


@pytest.mark.parametrize(
    ("writes", "arrives"),
    [
        (lambda tab: tab.send(TWO), [{"number": 2}]),
        (lambda tab: tab.send(TWO, text_frame(TWO)), [{"number": 2}]),
        (lambda tab: tab.send_latest(TWO), [{"number": 2}]),
        (lambda tab: tab.hold(TWO, text_frame(TWO)), []),
        (lambda tab: tab.drop(), []),
    ],
)
def test_it_is_taken_back_before_anything_else_is_written(
    writes: Callable[[Tab], None], arrives: list[object], quiet: Tab
) -> None:
    """Once, and nothing was written before."""
    borrower = Borrower(quiet)
    writes(quiet)
    assert (borrower.returned, borrower.seen, quiet.lent) == (1, [0], False)
    assert quiet.read() == arrives
    quiet.send(ONE)
    assert borrower.returned == 1


def test_what_is_held_leaves_in_front_of_what_comes_behind(quiet: Tab) -> None:
    """A held message does not wait for whom the socket was lent to."""
    Borrower(quiet)
    quiet.hold(TWO, text_frame(TWO))
    assert Borrower(quiet).fd == -1
    quiet.send(ONE)
    assert quiet.read() == [{"number": 2}, {"number": 1}]
    assert quiet.messages_out == 3


def test_a_ping_leaves_it_where_it_is(quiet: Tab) -> None:
    """It is whole, and goes in between two frames."""
    borrower = Borrower(quiet)
    quiet.ping()
    assert (borrower.returned, quiet.lent, quiet.raw()) == (0, True, PING)


def test_a_ping_without_room_takes_it_back(quiet: Tab) -> None:
    """It waits in the transport, and all that follows behind it."""
    borrower = Borrower(quiet)
    quiet.fill()
    quiet.ping()
    assert (borrower.returned, quiet.lent) == (1, False)
    assert Borrower(quiet).fd == -1
    quiet.send(TWO)
    assert quiet.raw().lstrip(b"-") == PING + text_frame(TWO)


def test_who_gives_it_back_is_not_asked_for_it(quiet: Tab) -> None:
    """And the connection writes straight to it again."""
    borrower = Borrower(quiet)
    quiet.get_back()
    assert (quiet.direct_fd, quiet.lent) == (borrower.fd, False)
    quiet.send(TWO)
    assert (borrower.returned, quiet.read()) == (0, [{"number": 2}])
