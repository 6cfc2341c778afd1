"""What a trace can follow: parts that are wrapped where they are built."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from persistence.live.sources import ColdStore
    from persistence.writeback.batch import BatchSaver
    from server.http.routes import Route
    from server.ws.responder import Start


class Tracing:
    """Traces nothing: each part is handed back as it was given.

    A part is wrapped where it is built, so its users are given what traces.
    """

    def requests(self, start: Start) -> Start:
        """Return what begins a request, traced."""
        return start

    def cold_store(self, store: ColdStore) -> ColdStore:
        """Return what loads sessions, traced."""
        return store

    def saver(self, saver: BatchSaver) -> BatchSaver:
        """Return what saves batches, traced."""
        return saver

    def routes(self, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        """Return the routes to serve, traced."""
        return routes
