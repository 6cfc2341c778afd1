"""The tasks that run as long as the server does, and the one who reads how they ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from runtime.stopping import end_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_log = structlog.get_logger(__name__)


class Background:
    """Owns the endless tasks. When one ends by itself, `on_death` is called once: end in order."""

    def __init__(self, on_death: Callable[[], None]) -> None:
        self._on_death = on_death
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self.error: BaseException | None = None

    def start(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Run an endless task."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._stopping or task.cancelled():
            return
        error = task.exception() or RuntimeError(f"{task.get_name()} ended")
        if self.error is None:
            self.error = error
            _log.error("background_task_died", task=task.get_name(), exc_info=error)
            self._on_death()

    async def stop(self) -> None:
        """Cancel every task and wait for their ends."""
        self._stopping = True
        await end_tasks(self._tasks)
