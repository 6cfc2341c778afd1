"""Frames of a page in which something moves: how evenly they come, and what drawing one costs."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

_FRAME_MS: Final = 1000 / 60
_SLACK: Final = 1.05
"""A frame counts as late past this many of its own times: the clock of a page is cut to 0.1 ms."""
_WATCH: Final = """
globalThis.framesMs = [];
const step = (ms) => { if (framesMs) { framesMs.push(ms); requestAnimationFrame(step); } };
requestAnimationFrame(step);
"""
_STOP: Final = "(() => { const seen = framesMs; framesMs = null; return seen; })()"
_DRAWN: Final = "Display::DrawAndSwap"
_PICTURE: Final = "DirectRenderer::DrawRenderPass"
_CHUNK_BYTES: Final = 1 << 20


async def watched(page: Page, seconds: float) -> dict[str, float]:
    """Watch a page for so long; return figures of its frames.

    `frames_per_s`, `frame_ms` (the median between two) and `late` (the share of more than 1/60 s) are as the
    page sees them: they follow the machine. `draw_ms`, CPU of the thread that puts a frame together, and
    `passes`, how many pictures it makes for one, follow the page; both are 0 where Chromium names its events
    otherwise.
    """
    devtools = await page.context.new_cdp_session(page)
    categories = {"includedCategories": ["viz"]}
    await devtools.send("Tracing.start", {"traceConfig": categories, "transferMode": "ReturnAsStream"})
    await page.evaluate(_WATCH)
    await asyncio.sleep(seconds)
    framed_ms: list[float] = await page.evaluate(_STOP)
    gaps_ms = [after - before for before, after in itertools.pairwise(framed_ms)] or [0.0]
    events = await _traced(devtools)
    drawn_ms = [each["tdur"] / 1000 for each in events if each["name"] == _DRAWN]
    passes = sum(each["name"] == _PICTURE for each in events)
    return {
        "frames_per_s": len(gaps_ms) / seconds,
        "frame_ms": statistics.median(gaps_ms),
        "late": sum(gap > _FRAME_MS * _SLACK for gap in gaps_ms) / len(gaps_ms),
        "draw_ms": statistics.fmean(drawn_ms or [0.0]),
        "passes": passes / max(len(drawn_ms), 1),
    }


async def _traced(devtools: CDPSession) -> list[dict[str, Any]]:
    """End the trace and return its events that took time of a thread."""
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    devtools.once("Tracing.tracingComplete", lambda event: ended.set_result(event["stream"]))
    await devtools.send("Tracing.end")
    stream = await ended
    text, is_read = "", False
    while not is_read:
        part = await devtools.send("IO.read", {"handle": stream, "size": _CHUNK_BYTES})
        text += part["data"]
        is_read = part["eof"]
    await devtools.send("IO.close", {"handle": stream})
    events: list[dict[str, Any]] = json.loads(text)["traceEvents"]
    return [event for event in events if "tdur" in event]
