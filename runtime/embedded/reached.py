"""Databases for commands: those that a running server embeds, or ones that last as long as the command."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from runtime.embedded import embedded_servers
from runtime.embedded.folder import FolderInUseError, seen_folder
from runtime.embedded.postgres import EmbeddedPostgres
from runtime.embedded.valkey import EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.settings import Settings


@contextlib.contextmanager
def reached_servers(settings: Settings, *, on_loss: Callable[[], None]) -> Iterator[Settings]:
    """Give settings that name both databases: external ones, a running server's, or started until the end.

    Raises StartupError where DATA_DIR cannot be used or a server does not start. Those of a server that is
    just starting or stopping may not answer: connecting shows it.
    """
    with contextlib.ExitStack() as stack:
        try:
            reached = stack.enter_context(embedded_servers(settings, on_loss=on_loss))
        except FolderInUseError:
            reached = _running(settings)
        yield reached


def _running(settings: Settings) -> Settings:
    folder = seen_folder(settings.data_dir)
    redis, db = settings.redis_connection, settings.db_connection
    return dataclasses.replace(
        settings,
        redis_connection=EmbeddedValkey(folder).connection if settings.embeds_redis else redis,
        db_connection=EmbeddedPostgres(folder).connection if settings.embeds_postgres else db,
    )
