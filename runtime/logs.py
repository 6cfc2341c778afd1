"""One structured line an event, on standard error: for people (`console`) or for machines (`json`).

The same keys everywhere: `conn`, `user`, `request`, `version`, `ms`. What libraries say through `logging`
comes out in the same form, from WARNING on. Events have names in the past tense, `like_this`. A state, such
as `server_ready` or `redis_not_durable`, ends with the word for the state.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

    from runtime.settings import Settings

_QUIETER = {
    # A trace every other second while PostgreSQL is away; `postgresql_lost` has said it in one line.
    "asyncpg.pool": logging.ERROR,
}

ROUTINE_EVENTS = frozenset(
    {
        "embedded_servers_started",
        "redis_restart_reconcile_delayed",
        "redis_restart_reconciled",
        "lane_closed",
        "lane_opened",
        "migration_applied",
        "tracing_started",
    }
)
"""What goes as it should, at a start above all. It is kept from a person at a console, unless LOG_LEVEL=debug
asks for it; a start ends with the one line that names the address."""

HIDDEN_KEYS = frozenset({"access_token", "email", "key", "password", "refresh_token", "secret", "token"})


def configure_logs(settings: Settings, stream: TextIO | None = None) -> None:
    """Set up the logs of this process; the last call counts. `stream` defaults to standard error."""
    target = sys.stderr if stream is None else stream
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=_processors(settings, target),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _ToStructlog):
            root.removeHandler(handler)
    root.addHandler(_ToStructlog(logging.WARNING))
    root.setLevel(logging.WARNING)
    for name, least in _QUIETER.items():
        logging.getLogger(name).setLevel(least)


def _processors(settings: Settings, target: TextIO) -> list[Processor]:
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_secrets,
    ]
    if settings.worker_index is not None:
        shared.append(_AddWorker(settings.worker_index))
    if settings.log_format == "json":
        # Plain traces: a renderer that shows the values of locals would show tokens.
        return [*shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    if settings.log_level != "debug":
        shared.insert(0, _LeaveRoutineOut(settings))
    console = structlog.dev.ConsoleRenderer(
        colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return [*shared, console]


class _LeaveRoutineOut:
    """Keeps routine from the console, but not what follows a loss (`again`)."""

    __slots__ = ("_hidden",)

    def __init__(self, settings: Settings) -> None:
        # A worker's readiness is its supervisor's to say, once for all.
        of_worker = {"server_ready"} if settings.worker_index is not None else set()
        self._hidden = ROUTINE_EVENTS | of_worker

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if event["event"] in self._hidden and not event.get("again"):
            raise structlog.DropEvent
        return event


def _hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Cover what must never be logged, where a caller passed it all the same."""
    for key in HIDDEN_KEYS & event.keys():
        event[key] = "***"
    return event


class LogLimiter:
    """Lets the first `most` lines of each `window_s` pass, for events that a whole crowd causes at once."""

    __slots__ = ("_left_out", "_most", "_window", "_window_s", "_written")

    def __init__(self, most: int = 10, window_s: float = 10.0) -> None:
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
        left_out, self._left_out = self._left_out, 0
        return left_out


class _AddWorker:
    """Names the process among those that share the port."""

    __slots__ = ("_index",)

    def __init__(self, index: int) -> None:
        self._index = index

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["worker"] = self._index
        return event


class _ToStructlog(logging.Handler):
    """Passes on what libraries report."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a record that cannot be formatted is reported as `logging` does."""
        try:
            text, trace = record.getMessage(), record.exc_info
            log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
            log.log(record.levelno, "library_reported", library=record.name, text=text, exc_info=trace)
        except Exception:  # noqa: BLE001  # a log line must never end what it tells of
            self.handleError(record)
