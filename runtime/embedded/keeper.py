"""Keeps one embedded server running: starts it again when it dies."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

import structlog

from runtime.settings import StartupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.embedded.processes import Running

MOST_DEATHS = 5
DEATHS_WITHIN_S = 60.0
_JOIN_WITHIN_S = 5.0
"""A process that even SIGKILL does not end keeps no stop waiting; the thread is a daemon."""

_log = structlog.get_logger(__name__)


class Embedded(Protocol):
    """A server that runs beside this one."""

    name: str

    def launch(self) -> None:
        """Adopt or start it."""

    def wait_until_ready(self) -> Running:
        """Wait for it, and return what runs; raises StartupError where it ends before."""

    def stop(self) -> None:
        """Stop it in order."""


class Keeper:
    """Owns one embedded server and the thread that waits for its end.

    MOST_DEATHS within DEATHS_WITHIN_S, or a start that fails, are a loss: `on_loss` is called, once.
    """

    def __init__(self, server: Embedded, on_loss: Callable[[], None]) -> None:
        self._server = server
        self._on_loss = on_loss
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._running: Running | None = None
        self._thread: threading.Thread | None = None
        self._deaths_s: list[float] = []

    def launch(self) -> None:
        """Adopt or start the server."""
        self._server.launch()

    def wait_until_ready(self) -> None:
        """Wait for the server and watch over it from then on; raises StartupError where it does not start."""
        self._running = self._server.wait_until_ready()
        self._thread = threading.Thread(target=self._keep, name=f"keeper of {self._server.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the server and the watching."""
        self._stopping.set()
        with self._changing:
            self._server.stop()
        if self._thread is not None:
            self._thread.join(_JOIN_WITHIN_S)

    def _keep(self) -> None:
        while self._running is not None:
            self._running.wait()
            with self._changing:
                if self._stopping.is_set():
                    return
                _log.warning("embedded_server_died", server=self._server.name, pid=self._running.pid)
                if not self._start_again():
                    self._on_loss()
                    return

    def _start_again(self) -> bool:
        now_s = time.monotonic()
        self._deaths_s = [at_s for at_s in self._deaths_s if now_s - at_s < DEATHS_WITHIN_S] + [now_s]
        if len(self._deaths_s) >= MOST_DEATHS:
            _log.error("embedded_server_abandoned", server=self._server.name, deaths=len(self._deaths_s))
            return False
        try:
            self._server.launch()
            self._running = self._server.wait_until_ready()
        except StartupError as error:
            _log.error("embedded_server_restart_failed", server=self._server.name, reason=str(error))
            return False
        _log.info("embedded_server_restarted", server=self._server.name, pid=self._running.pid)
        return True
