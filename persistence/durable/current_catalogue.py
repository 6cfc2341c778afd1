"""The catalogue in force: read from PostgreSQL, watched for changes, swapped as a whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from persistence.durable import catalogue as store
from persistence.durable.pool import check_writable
from persistence.errors import DurableUnavailable, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from game.catalogue import Catalogue
    from persistence.durable.pool import Pool

_log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 1.0
_RELOAD_WITHIN_S: Final = 2.0


class Catalogues:
    """Holds the catalogue of the newest generation this process has seen. Make one with `open_catalogues`.

    `trouble` says why PostgreSQL did not answer the last look, empty when it did; then `away_since_s` is the
    loop's time of the first that failed.
    """

    def __init__(self, pool: Pool, language: str, current: Catalogue) -> None:
        self._pool = pool
        self._language = language
        self._reading = asyncio.Lock()
        self.current = current
        self.trouble = ""
        self.away_since_s = 0.0
        self._watchers: list[Callable[[], None]] = []

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever a newer catalogue has come into force."""
        self._watchers.append(changed)

    async def reload(self) -> None:
        """Read the catalogue again, once for all who ask meanwhile. Raises DurableUnavailable: ask later."""
        try:
            async with asyncio.timeout(_RELOAD_WITHIN_S):
                await self._reload()
        except (DurableUnavailable, TimeoutError) as error:
            raise DurableUnavailable("the newer catalogue can't be read") from error

    async def _reload(self) -> None:
        """Swap in what PostgreSQL has where it is newer; raises DurableUnavailable."""
        known = self.current.generation
        async with self._reading:
            if self.current.generation > known:
                return
            read = await store.read(self._pool, self._language)
            if read.generation > self.current.generation:
                self.current = read
                _log.info("catalogue_changed", generation=read.generation, upgrades=len(read.upgrades))
                for changed in self._watchers:
                    changed()

    async def run(self) -> None:
        """Look for a newer generation every second until cancelled; wait for a PostgreSQL that is away."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await check_writable(self._pool)
                if await store.read_generation(self._pool) > self.current.generation:
                    await self._reload()
            except DurableUnavailable as error:
                if not self.trouble:
                    self.away_since_s = asyncio.get_running_loop().time()
                    _log.warning("postgresql_lost", error=one_line(error))
                self.trouble = one_line(error)
            else:
                if self.trouble:
                    _log.info("postgresql_recovered")
                self.trouble = ""


async def open_catalogues(pool: Pool, language: str) -> Catalogues:
    """Read the catalogue in force; raises DurableUnavailable."""
    return Catalogues(pool, language, await store.read(pool, language))
