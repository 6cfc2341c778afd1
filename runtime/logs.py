"""One structured line an event, on standard error: for people (`console`) or for machines (`json`).

The same keys everywhere: `conn`, `user`, `request`, `version`, `ms`. What libraries say through `logging`
comes out in the same form, from WARNING on. Events have names in the past tense, `like_this`. A state, such
as `server_ready` or `redis_not_durable`, ends with the word for the state.

Writing a line never raises: one that cannot be written is counted (`runtime/log_output.py`). Many errors of
one kind become a few lines and a count (`runtime/log_limits.py`).
"""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Final, TextIO

import structlog

from runtime.log_limits import StormLimits
from runtime.log_output import LOG_OUTPUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import EventDict, Processor, WrappedLogger

    from runtime.settings import Settings

_log = structlog.get_logger(__name__)

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

STORM_LIMITS: Final = StormLimits()
"""The limits of this process' lines."""

HIDDEN_KEYS = frozenset({"access_token", "email", "key", "password", "refresh_token", "secret", "token"})


def configure_logs(settings: Settings, stream: TextIO | None = None) -> None:
    """Set up the logs of this process; the last call counts. `stream` defaults to standard error."""
    target = sys.stderr if stream is None else stream
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    LOG_OUTPUT.use(target, _tell_lost)
    STORM_LIMITS.reset()
    structlog.configure(
        processors=[_Unfailing(_processors(settings, target))],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(),
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


def tend_logs() -> None:
    """Say what was lost or left out and that no later line has said; call it every second or so."""
    LOG_OUTPUT.tell()
    for event, lines in STORM_LIMITS.untold().items():
        _log.warning("lines_left_out", of=event, lines=lines)


def _tell_lost(lines: int) -> None:
    _log.warning("log_lines_lost", lines=lines, since_start=LOG_OUTPUT.lost)


def _processors(settings: Settings, target: TextIO | None) -> list[Processor]:
    shared: list[Processor] = [
        STORM_LIMITS,
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
        colors=target is not None and target.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return [*shared, console]


class _Lines:
    """The logger below structlog's: it takes the text of a line, whatever its level."""

    __slots__ = ()

    def msg(self, line: str) -> None:
        LOG_OUTPUT.write(line + "\n")

    debug = info = warning = error = critical = msg


class _Unfailing:
    """Runs the processors of a line. What they cannot render becomes a line that says so."""

    __slots__ = ("_processors",)

    def __init__(self, processors: Sequence[Processor]) -> None:
        self._processors = processors

    def __call__(self, logger: WrappedLogger, level: str, event: EventDict) -> str:
        name = event["event"]
        line: object = event
        try:
            for process in self._processors:
                # Each takes what the one before gave; the last gives the text.
                line = process(logger, level, line)  # type: ignore[arg-type]
        except structlog.DropEvent:
            raise
        except Exception as error:  # noqa: BLE001 - a log line must never end what it tells of
            line = json.dumps({"event": str(name), "level": level, "not_rendered": type(error).__name__})
        return str(line)


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
        """Write one record. `logging` would report one that cannot be formatted past `LOG_OUTPUT`."""
        try:
            text = record.getMessage()
        except Exception as error:  # noqa: BLE001  # a log line must never end what it tells of
            text = f"not formatted: {type(error).__name__} at {record.pathname}:{record.lineno}"
        log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        log.log(record.levelno, "library_reported", library=record.name, text=text, exc_info=record.exc_info)
