"""What an event loop reports of a library's task that nobody awaits any more."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from asyncpg import pool as asyncpg_pool
from structlog.testing import capture_logs

from runtime.loop_errors import report_loop_errors

if TYPE_CHECKING:
    import pytest


async def test_a_connection_that_cannot_be_reset_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Who had it was cancelled; asyncpg gives it back all the same, meets a dead server, and ends it."""

    async def reset(**_options: object) -> None:
        raise TimeoutError

    ended: list[bool] = []
    connection = SimpleNamespace(
        is_closed=lambda: False,
        terminate=lambda: ended.append(True),
        reset=reset,
        _protocol=SimpleNamespace(queries_count=0, _is_cancelling=lambda: False),
    )
    holder: Any = SimpleNamespace(
        _in_use=True,
        _con=connection,
        _max_queries=1,
        _generation=0,
        _pool=SimpleNamespace(_generation=0, _reset=None),
    )
    report_loop_errors(asyncio.get_running_loop())
    with capture_logs() as lines:
        giving_back = asyncio.ensure_future(asyncpg_pool.PoolConnectionHolder.release(holder, None))
        await asyncio.wait([giving_back])
        del giving_back
        gc.collect()
    assert ended == [True]
    assert [(line["event"], line["reason"]) for line in lines] == [
        ("postgresql_connection_ended", "TimeoutError")
    ]
    assert not caplog.records
