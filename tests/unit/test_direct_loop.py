"""The event loop that calls readers of watched sockets itself."""

from __future__ import annotations

import asyncio
import select
import socket
from typing import TYPE_CHECKING, TypeAlias

import pytest

import runtime.direct_loop
from runtime.direct_loop import DirectLoop, new_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

Pairs: TypeAlias = list[tuple[socket.socket, socket.socket]]

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="this system has no epoll")


@pytest.fixture
def pairs() -> Iterator[Pairs]:
    """Four pairs of sockets that do not block."""
    made = [socket.socketpair() for _ in range(4)]
    for ours, _ in made:
        ours.setblocking(False)
    yield made
    for ours, theirs in made:
        ours.close()
        theirs.close()


def run(work: Callable[[DirectLoop], Coroutine[None, None, None]]) -> None:
    """Run on a loop of its own."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DirectLoop)
        await work(loop)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


async def passes(number: int) -> None:
    """Let the loop look for what is ready so many times."""
    for _ in range(number):
        await asyncio.sleep(0)


def test_a_watched_socket_calls_back_until_it_is_unwatched(pairs: Pairs) -> None:
    """It is called for bytes and for the end, again while something is left to read; unwatched, never."""
    (ours, theirs), *_ = pairs
    read: list[bytes] = []

    async def work(loop: DirectLoop) -> None:
        loop.direct.watch(ours.fileno(), lambda: read.append(ours.recv(2)))
        await passes(2)
        assert read == []
        theirs.send(b"abc")
        await passes(3)
        assert read == [b"ab", b"c"]
        theirs.shutdown(socket.SHUT_WR)
        await passes(2)
        assert read[2:] == [b"", b""]
        loop.direct.unwatch(ours.fileno())
        await passes(2)
        assert len(read) == 4

    run(work)


def test_a_watched_socket_may_be_written_to_by_asyncio(pairs: Pairs) -> None:
    """Reading here and writing there are told apart, whichever begins and ends first."""
    (ours, theirs), *_ = pairs
    calls: list[str] = []

    async def work(loop: DirectLoop) -> None:
        loop.direct.watch(ours.fileno(), lambda: calls.append(f"read {ours.recv(9)!r}"))
        loop.add_writer(ours.fileno(), lambda: calls.append("may write"))
        await passes(2)
        assert calls[:1] == ["may write"]
        loop.remove_writer(ours.fileno())
        calls.clear()
        theirs.send(b"x")
        await passes(2)
        assert calls == ["read b'x'"]
        loop.direct.unwatch(ours.fileno())

    run(work)


def test_a_reader_that_ends_another_is_not_followed_by_it(pairs: Pairs) -> None:
    """Both were ready in the same pass."""
    (one, to_one), (two, to_two), *_ = pairs
    called: list[int] = []

    async def work(loop: DirectLoop) -> None:
        def end_both(own: socket.socket) -> None:
            called.append(own.fileno())
            for each in (one, two):
                loop.direct.unwatch(each.fileno())

        for own, theirs in ((one, to_one), (two, to_two)):
            theirs.send(b"x")
            loop.direct.watch(own.fileno(), lambda own=own: end_both(own))  # type: ignore[misc]
        await passes(3)
        assert len(called) == 1

    run(work)


def test_a_pass_reads_so_many_and_the_next_reads_the_others(
    pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is left out where more are ready than a pass takes."""
    monkeypatch.setattr(runtime.direct_loop, "_MOST_A_PASS", 3)
    called: list[socket.socket] = []

    async def work(loop: DirectLoop) -> None:
        for ours, theirs in pairs:
            theirs.send(b"x")
            loop.direct.watch(ours.fileno(), lambda ours=ours: called.append(ours))  # type: ignore[misc]
        await passes(1)
        assert len(called) == 3
        await passes(1)
        assert set(called) == {ours for ours, _ in pairs}
        for ours, _ in pairs:
            loop.direct.unwatch(ours.fileno())

    run(work)


def test_it_waits_for_timers_and_threads_as_asyncio_does() -> None:
    """A loop with nothing to read sleeps, and wakes for a timer and for another thread."""

    async def work(loop: DirectLoop) -> None:
        began_s = loop.time()
        await asyncio.sleep(0.02)
        assert loop.time() - began_s >= 0.02
        assert await asyncio.to_thread(int, "7") == 7

    run(work)


def test_without_epoll_it_is_asyncios_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.delattr(select, "epoll")
    loop = new_event_loop()
    try:
        assert not isinstance(loop, DirectLoop)
    finally:
        loop.close()
