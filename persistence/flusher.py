"""A flusher alone, in a process of its own: settings, signals, a last drain."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from persistence.durable.reach import reach_postgres
from persistence.durable.sessions import SessionWriter
from persistence.errors import DurableRefused, DurableUnavailable, LiveUnavailable
from persistence.heartbeat import beating
from persistence.live.reach import reach_redis
from persistence.live.scripts import load_scripts
from persistence.live.store import open_store
from persistence.outages import line_of, waiting_helps
from persistence.writeback.batch import Saver
from persistence.writeback.flusher import Flusher, Pace
from persistence.writeback.leases import Leases
from runtime.embedded.reached import reached_servers
from runtime.exit_codes import INTERRUPTED, REFUSED, UNFINISHED
from runtime.log_output import LOG_OUTPUT
from runtime.logs import configure_logs
from runtime.settings import Settings, StartupError, read_settings
from runtime.stopping import StoppedWhileStartingError, end_tasks, interruptible_start, run_to_end

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = structlog.get_logger(__name__)

NO_TOKENS: Final[Mapping[str, str]] = {
    # What signs no tokens needs no secrets, whatever an operator set for those who do.
    "ACCESS_TOKEN_SECRET": "not-needed-where-no-token-is-signed",
    "REFRESH_TOKEN_SECRET": "not-needed-where-no-token-is-signed",
}


def main() -> int:
    """Flush until SIGTERM or SIGINT, then drain; returns the exit code.

    0: stopped on request, everything saved. 1: Redis did not answer at the start, or something stayed
    unsaved in it at the end. 2: the settings make no sense, or a database refuses what they say. 130: stopped
    before Redis answered.
    """
    heartbeat = _parser().parse_args().heartbeat
    try:
        settings = read_settings(os.environ | NO_TOKENS)
        configure_logs(settings)
        with reached_servers(settings, on_loss=_end_at_once) as reached:
            return run_to_end(_flush(reached, heartbeat))
    except StartupError as error:
        return _fail(REFUSED, str(error))
    except (DurableRefused, LiveUnavailable) as error:
        return _fail(UNFINISHED if waiting_helps(error) else REFUSED, line_of(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m persistence.flusher",
        description="Write dirty sessions to PostgreSQL until SIGTERM, in the place of servers with "
        "FLUSHER=off. It is configured by environment variables or .env; see .env.example.",
    )
    parser.add_argument(
        "--heartbeat",
        type=Path,
        metavar="FILE",
        help="touch this file once a second; `python -m persistence.heartbeat FILE` is the health check",
    )
    return parser


def owner_name() -> str:
    """Make a name for a flusher that no other has, and that tells an operator where it runs."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


async def _flush(settings: Settings, heartbeat: Path | None) -> int:
    stop = asyncio.Event()
    owner = owner_name()
    writer = SessionWriter(settings.db_connection.reveal())
    async with AsyncExitStack() as stack:
        stack.callback(writer.close)
        try:
            async with interruptible_start(stop):
                await _reach(settings)
                opening = open_store(
                    settings.redis_connection.reveal(), owner, load_scripts(), prefix=settings.redis_prefix
                )
                store = await stack.enter_async_context(opening)
        except StoppedWhileStartingError:
            return INTERRUPTED
        flusher = Flusher(
            Saver(store, writer, settings.session_ttl_s),
            Leases(store, owner),
            Pace(interval_s=settings.flush_interval_ms / 1000),
        )
        _log.info("flusher_ready", owner=owner)
        async with beating(heartbeat):
            running = asyncio.create_task(flusher.run(stop), name="flusher")
            running.add_done_callback(lambda _: stop.set())
            await stop.wait()
            left = await flusher.drain(settings.drain_s)
            if running.done():
                await running  # raises what it died of
            await end_tasks([running])
        _log.info("flusher_drained", unsaved=left, written=flusher.totals.written)
        return UNFINISHED if left else 0


async def _reach(settings: Settings) -> None:
    """Try both databases once, so that what the settings get wrong ends the start with its reason.

    A PostgreSQL that does not answer is waited for later: sessions wait in Redis meanwhile.
    """
    await reach_redis(settings.redis_connection.reveal(), settings.redis_prefix)
    try:
        await reach_postgres(settings.db_connection.reveal())
    except DurableRefused:
        raise
    except DurableUnavailable as error:
        _log.warning("database_unavailable", name="PostgreSQL", error=str(error))


def _end_at_once() -> None:
    os._exit(_fail(UNFINISHED, "an embedded database was lost"))  # from a thread, which cannot raise here


def _fail(code: int, line: str) -> int:
    LOG_OUTPUT.write(f"{line}\n")  # logs may not be set up yet
    return code


if __name__ == "__main__":
    sys.exit(main())
