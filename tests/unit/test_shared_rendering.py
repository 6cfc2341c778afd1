"""All who ask for figures at once share one rendering; nobody gets an old one."""

from __future__ import annotations

import asyncio

from server.observability.shared import SharedRendering


async def test_those_who_ask_at_once_share_one_rendering_that_begins_after_they_asked() -> None:
    """A hundred ask, and while that is rendered a hundred more: it is rendered twice."""
    asked = 0
    seen: list[int] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def render() -> bytes:
        seen.append(asked)
        begun.set()
        await go_on.wait()
        return b"%d" % seen[-1]

    shared = SharedRendering(render, every_s=0)
    asked = 1
    first = [asyncio.ensure_future(shared()) for _ in range(100)]
    await begun.wait()
    asked = 2
    second = [asyncio.ensure_future(shared()) for _ in range(100)]
    go_on.set()
    await asyncio.gather(*first)
    assert set(await asyncio.gather(*second)) == {b"2"}
    assert seen == [1, 2]


async def test_the_next_rendering_waits_out_the_interval() -> None:
    """One begins at once, the next not before the interval is over."""
    loop = asyncio.get_running_loop()
    began_s: list[float] = []

    async def render() -> bytes:
        began_s.append(loop.time())
        return b""

    shared = SharedRendering(render, every_s=0.05)
    await shared()
    await shared()
    first_s, second_s = began_s
    assert second_s - first_s >= 0.05


async def test_a_fault_reaches_everybody_who_asked_and_nobody_after() -> None:
    """What rendering raises is raised for each; the next rendering is tried."""
    answers = iter((KeyError("broken"), b"fine"))

    async def render() -> bytes:
        answer = next(answers)
        if isinstance(answer, KeyError):
            raise answer
        return answer

    shared = SharedRendering(render, every_s=0)
    for failed in await asyncio.gather(shared(), shared(), return_exceptions=True):
        assert isinstance(failed, KeyError)
    assert await shared() == b"fine"
