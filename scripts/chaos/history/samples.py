"""What is looked at from outside while players play: PostgreSQL, `/readyz`, logs."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

import asyncpg

from persistence.durable.pool import open_pool
from persistence.durable.sessions import load_rows
from persistence.errors import StorageUnavailable
from scripts.chaos.history.events import Health, Logged, Saved

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from game.session import UserId
    from scripts.chaos.history.recorder import Recorder

AWAY: Final = (StorageUnavailable, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What asking a database raises that is away for the moment."""

_SAVED_EVERY_S: Final = 0.5
_HEALTH_EVERY_S: Final = 1.0
_LOGS_EVERY_S: Final = 1.0
_ANSWER_WITHIN_S: Final = 5.0


async def watch_saved(recorder: Recorder, dsn: str, users: Mapping[str, UserId]) -> None:
    """Sample the versions in PostgreSQL until cancelled; one that does not answer is asked again."""
    pool = None
    while pool is None:
        try:
            pool = await open_pool(dsn)
        except AWAY:
            await asyncio.sleep(_SAVED_EVERY_S)
    try:
        while True:
            at_s = recorder.now_s
            try:
                rows = await load_rows(pool, list(users.values()))
            except AWAY:
                rows = {}
            for name, user_id in users.items():
                row = rows.get(user_id)
                if row is not None and row.session is not None:
                    recorder.add(Saved(at_s, name, row.session.version))
            await asyncio.sleep(_SAVED_EVERY_S)
    finally:
        pool.terminate()


async def watch_health(recorder: Recorder, ports: Mapping[str, int]) -> None:
    """Ask each server how it is, until cancelled."""
    while True:
        for server, port in ports.items():
            at_s = recorder.now_s
            status = await asyncio.to_thread(_status, port)
            recorder.add(Health(at_s, server, status))
        await asyncio.sleep(_HEALTH_EVERY_S)


def _status(port: int) -> str:
    url = f"http://127.0.0.1:{port}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_WITHIN_S) as answer:
            return str(json.loads(answer.read())["status"])
    except urllib.error.HTTPError as error:
        with error:
            return "unavailable"
    except (OSError, ValueError, EOFError):
        return ""


async def watch_logs(recorder: Recorder, logs: Mapping[str, Path]) -> None:
    """Count what programs write, until cancelled."""
    at_bytes = dict.fromkeys(logs, 0)
    since_s = recorder.now_s
    while True:
        await asyncio.sleep(_LOGS_EVERY_S)
        now_s = recorder.now_s
        for program, path in logs.items():
            with path.open("rb") as log:
                log.seek(at_bytes[program])
                written = log.read()
            at_bytes[program] += len(written)
            if written:
                tracebacks = written.count(b"Traceback (most recent call last)")
                recorder.add(Logged(since_s, now_s, program, written.count(b"\n"), tracebacks))
        since_s = now_s
