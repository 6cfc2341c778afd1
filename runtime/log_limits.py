"""A crowd of lines at once becomes a few and a count, for the events of one kind."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import EventDict, WrappedLogger

_MOST_LINES: Final = 10
_MOST_KINDS: Final = 1000
_LIMITED_LEVELS: Final = frozenset({"warning", "error", "critical"})
_KEYS: Final = ("library", "route", "lane", "index", "part", "task", "server")
"""Where these differ, the events are not of one kind."""

ONE_LINE: Final = frozenset({"connection_not_accepted"})
"""Events that are all alike: one line is as good as ten."""

EVERY_LINE: Final = frozenset(
    {
        "lines_left_out",
        "log_lines_lost",
        "saved_session_unreadable",
        "session_replaced_by_newer",
        "session_quarantined",
    }
)
"""Events whose every line is needed: most name the players whom an operator has to look after."""


class LogLimiter:
    """Lets the first `most` lines of each `window_s` pass, for events that a whole crowd causes at once."""

    __slots__ = ("_left_out", "_most", "_window", "_window_s", "_written")

    def __init__(self, most: int = _MOST_LINES, window_s: float = 10.0) -> None:
        self._most = most
        self._window_s = window_s
        self._window = 0
        self._written = 0
        self._left_out = 0

    def left_out(self, now_s: float) -> int | None:
        """Return how many lines were left out since the last one, or None where this one is to be too."""
        window = int(now_s / self._window_s)
        if window != self._window:
            self._window, self._written = window, 0
        if self._written >= self._most:
            self._left_out += 1
            return None
        self._written += 1
        return self._take()

    def ended(self, now_s: float) -> int:
        """Return how many lines were left out in a window that is over, and forget them."""
        return self._take() if int(now_s / self._window_s) != self._window else 0

    def _take(self) -> int:
        left_out, self._left_out = self._left_out, 0
        return left_out


class StormLimits:
    """A processor of structlog: of warnings and errors of one kind only the first few pass.

    Ten in ten seconds, of those with a traceback one. The next that passes says in `left_out` how many did
    not; `untold` names those that nothing followed. `left_out` is their number since the start.
    """

    def __init__(self) -> None:
        self._limiters: dict[tuple[object, ...], LogLimiter] = {}
        self.left_out = 0

    def reset(self) -> None:
        """Forget what was counted."""
        self._limiters.clear()

    def __call__(self, _logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
        """Pass an event on, or raise DropEvent."""
        if level not in _LIMITED_LEVELS or event["event"] in EVERY_LINE:
            return event
        trace = event.get("trace") or _place(event.get("exc_info"))
        text = str(event.get("text", "")).partition("\n")[0]
        kind = (event["event"], text, trace, *(event.get(key) for key in _KEYS))
        limiter = self._limiters.get(kind)
        if limiter is None:
            if len(self._limiters) >= _MOST_KINDS:
                self._limiters.clear()
            most = 1 if trace or event["event"] in ONE_LINE else _MOST_LINES
            limiter = self._limiters[kind] = LogLimiter(most)
        left_out = limiter.left_out(time.monotonic())
        if left_out is None:
            self.left_out += 1
            raise structlog.DropEvent
        if left_out:
            event["left_out"] = event.get("left_out", 0) + left_out
        return event

    def untold(self) -> dict[str, int]:
        """Return how many lines of each event were left out at the end of a storm, once."""
        found: dict[str, int] = {}
        now_s = time.monotonic()
        for kind, limiter in list(self._limiters.items()):
            if number := limiter.ended(now_s):
                found[str(kind[0])] = found.get(str(kind[0]), 0) + number
        return found


def _place(exc_info: object) -> tuple[object, ...] | None:
    """Name the error and the line that it comes from; None without an error."""
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if error is True:
        error = sys.exception()
    if not isinstance(error, BaseException):
        return None
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else ()
    return (type(error).__name__, *where)
