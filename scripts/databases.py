"""What the commands for operators share: both databases, a progress bar, exit codes, one line a fault."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from persistence.durable.pool import open_pool
from persistence.durable.reach import reach_postgres
from persistence.durable.sessions import SessionWriter
from persistence.errors import DurableError, LiveUnavailable
from persistence.flusher import NO_TOKENS, owner_name
from persistence.live.reach import reach_redis
from persistence.live.scripts import load_scripts
from persistence.live.store import open_store
from persistence.outages import line_of
from runtime.embedded.reached import reached_servers
from runtime.exit_codes import INTERRUPTED, REFUSED
from runtime.logs import configure_logs
from runtime.settings import StartupError, read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from persistence.durable.pool import Pool
    from persistence.live.store import LiveStore
    from runtime.settings import Settings

_LINE_EVERY_S: Final = 2.0
_EPILOG: Final = (
    "The databases are DB_CONNECTION and REDIS_CONNECTION (environment or .env), or else the embedded ones "
    "in DATA_DIR, whether their server runs or not. Safe to repeat and to interrupt."
)


@dataclass(frozen=True, slots=True)
class Databases:
    """Redis, PostgreSQL, and the settings that concern what is kept in them."""

    settings: Settings
    store: LiveStore
    pool: Pool
    writer: SessionWriter


class Progress:
    """Counts towards a total: a bar on a terminal, else a line every other second."""

    def __init__(self, title: str, total: int | None, bar: Bar | None) -> None:
        self._title = title
        self._total = total
        self._bar = bar
        self._task = None if bar is None else bar.add_task(title, total=total)
        self._next_line_s = time.monotonic() + _LINE_EVERY_S
        self.done = 0

    def advance(self, count: int) -> None:
        """Show that `count` more are done."""
        self.done += count
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=count)
        elif time.monotonic() >= self._next_line_s:
            of = "" if self._total is None else f" of {self._total}"
            print(f"{self._title}: {self.done}{of}", flush=True)
            self._next_line_s = time.monotonic() + _LINE_EVERY_S


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Progress]:
    """Show progress on standard output until the block ends."""
    if not sys.stdout.isatty():
        yield Progress(title, total, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns) as bar:
        yield Progress(title, total, bar)


def parser_for(module: str, description: str) -> argparse.ArgumentParser:
    """Make the parser of the command that `python -m module` runs."""
    return argparse.ArgumentParser(prog=f"python -m {module}", description=description, epilog=_EPILOG)


def run(work: Callable[[Databases], Awaitable[int]], *, connections: int = 1) -> int:
    """Open both databases, with so many connections to Redis, do the work, and return its exit code.

    2, with one line: a setting makes no sense or a database does not answer. 130: interrupted. What was
    done until then stays.
    """
    try:
        settings = read_settings(os.environ | NO_TOKENS)
        configure_quiet_logs(settings)
        with reached_servers(settings, on_loss=_end_at_once) as reached:
            return asyncio.run(_work(reached, work, connections))
    except StartupError as error:
        return fail(REFUSED, str(error))
    except (DurableError, LiveUnavailable) as error:
        return fail(REFUSED, line_of(error))
    except KeyboardInterrupt:
        return fail(INTERRUPTED, "interrupted; what was done stays, start again for the rest")


def configure_quiet_logs(settings: Settings) -> None:
    """Log only what is wrong, in containers too: a command's answer is what it prints."""
    configure_logs(replace(settings, log_level="warning") if settings.log_level == "info" else settings)


def fail(code: int, line: str) -> int:
    """Print a line on standard error; returns the code."""
    print(line, file=sys.stderr, flush=True)
    return code


async def _work(settings: Settings, work: Callable[[Databases], Awaitable[int]], connections: int) -> int:
    async with open_databases(settings, connections) as databases:
        return await work(databases)


@asynccontextmanager
async def open_databases(settings: Settings, connections: int = 1) -> AsyncIterator[Databases]:
    """Open what settings name, with so many connections to Redis.

    Raises DurableUnavailable or LiveUnavailable.
    """
    dsn = settings.db_connection.reveal()
    await reach_postgres(dsn)
    await reach_redis(settings.redis_connection.reveal(), settings.redis_prefix)
    pool = await open_pool(dsn, min_size=1, max_size=4)
    writer = SessionWriter(dsn)
    try:
        async with open_store(
            settings.redis_connection.reveal(),
            owner_name(),
            load_scripts(),
            prefix=settings.redis_prefix,
            connections=connections,
        ) as store:
            yield Databases(settings, store, pool, writer)
    finally:
        writer.close()
        pool.terminate()


def _end_at_once() -> None:
    os._exit(fail(REFUSED, "an embedded database was lost"))  # from a thread, which cannot raise here
