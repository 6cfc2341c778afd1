"""What the seed commands share: find the database, write, say what changed in plain lines."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from persistence.durable.catalogue import CatalogueError
from persistence.durable.migrate import migrate
from persistence.durable.pool import connect
from persistence.durable.reach import reach_postgres
from persistence.errors import DurableError, DurableRefused
from persistence.outages import line_of
from runtime.embedded import embedded_servers
from runtime.exit_codes import REFUSED, UNFINISHED
from runtime.logs import configure_logs
from runtime.settings import Settings, StartupError, read_settings
from seeds.files import SeedFileError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from persistence.durable.pool import Connection

# A seed signs no tokens and opens no Redis: what an operator set for them, or did not, is of no concern here.
_NOT_NEEDED: Final = {
    "ACCESS_TOKEN_SECRET": "not-needed-by-a-seed-that-signs-no-tokens",
    "REFRESH_TOKEN_SECRET": "not-needed-by-a-seed-that-signs-no-tokens",
    "REDIS_CONNECTION": "unix:///not-needed-by-a-seed",
}
_POSTMASTER_SOCKET_LINE: Final = 4  # of postmaster.pid, from 0


def options(module: str, description: str, default_file: Path | None = None) -> argparse.ArgumentParser:
    """Make the parser of the seed that `python -m module` runs, with `--file` where it reads one."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        epilog="The database is DB_CONNECTION (environment or .env), or else the embedded one in DATA_DIR, "
        "whether its server runs or not. Tables that are missing are made first. Safe to repeat.",
    )
    if default_file is not None:
        parser.add_argument("--file", type=Path, default=default_file, help=f"default: {default_file}")
    return parser


def run(write: Callable[[Connection], Awaitable[list[str]]]) -> int:
    """Run one seed, print a line for each change or fault, and return the exit code.

    1: the file or the change was refused, or PostgreSQL is away; nothing was changed. 2: the settings make no
    sense, or PostgreSQL refuses what they say.
    """
    try:
        settings = read_settings(os.environ | _NOT_NEEDED)
        configure_logs(settings)
        with _database(settings) as dsn:
            changes = asyncio.run(_write(dsn, write))
    except (SeedFileError, CatalogueError) as error:
        return _fail(UNFINISHED, error.faults)
    except DurableError as error:
        return _fail(REFUSED if isinstance(error, DurableRefused) else UNFINISHED, [line_of(error)])
    except StartupError as error:
        return _fail(REFUSED, [str(error)])
    print("\n".join(changes) if changes else "nothing to change")
    return 0


async def _write(dsn: str, write: Callable[[Connection], Awaitable[list[str]]]) -> list[str]:
    await reach_postgres(dsn)
    await migrate(dsn)
    connection = await connect(dsn, application_name="click-and-cook seeds")
    try:
        return await write(connection)
    finally:
        connection.terminate()  # committed by now; a graceful close could wait for a dead server


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """Give the address of the database; the embedded one is started for the command if it does not run."""
    if not settings.embeds_postgres:
        yield settings.db_connection.reveal()
    elif running := _running_embedded(settings.data_dir):
        yield running
    else:
        with embedded_servers(settings, on_loss=_end_at_once) as filled:
            yield filled.db_connection.reveal()


def _running_embedded(data_dir: Path) -> str | None:
    """Return the address of the PostgreSQL that a running server embeds, or None when it is not ready."""
    try:
        lines = (data_dir / "postgres" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        os.kill(int(lines[0]), 0)
        folder, state = quote(lines[_POSTMASTER_SOCKET_LINE]), lines[-1].strip()
    except (OSError, ValueError, IndexError):
        return None
    return f"postgresql://postgres@/postgres?host={folder}" if state == "ready" else None


def _end_at_once() -> None:
    print("the embedded PostgreSQL was lost", file=sys.stderr, flush=True)
    os._exit(UNFINISHED)  # called from a thread, which cannot raise in the main one


def _fail(code: int, lines: Sequence[str]) -> int:
    for line in lines:
        print(line, file=sys.stderr)
    return code
