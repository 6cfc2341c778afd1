"""What every test shares: real servers, and the rule that nothing goes wrong unseen.

An exception that reaches an event loop's handler fails the test in which it does.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.support import servers
from tests.support.game_server import GameServer, running_game
from tests.support.players import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

FOLDERS = ("unit", "integration")

_loop_errors: list[str] = []
_database_numbers = itertools.count(1)


def _record_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _loop_errors.append(f"{context.get('message')}: {context.get('exception')!r}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the quick ones first: what fails, fails early."""
    ranks = {folder: rank for rank, folder in enumerate(FOLDERS)}

    def rank(item: pytest.Item) -> int:
        folder = item.path.relative_to(config.rootpath / "tests").parts[0]
        return ranks.get(folder, len(ranks))

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Fail a test whose loop had to handle an exception that nobody awaited."""
    yield
    if item.get_closest_marker("asyncio") is not None:
        gc.collect()  # a task's exception is reported when the task is dropped
    errors, _loop_errors[:] = list(_loop_errors), []
    if errors:
        pytest.fail("an exception reached the event loop's handler: " + "; ".join(errors), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _watched_loops() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.BaseEventLoop, "default_exception_handler", _record_loop_error)
        yield


@pytest.fixture
def loop_errors() -> list[str]:
    """The exceptions that reached a loop's handler so far; a test that expects one clears the list."""
    return _loop_errors


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[servers.ValkeyServer]:
    """One Valkey for all tests: not to be stopped or emptied; each test uses users of its own."""
    with servers.running_valkey() as server:
        yield server


@pytest.fixture(scope="session")
def valkey_url(valkey_server: servers.ValkeyServer) -> str:
    """The address of the Valkey that all tests share."""
    return valkey_server.url


@pytest.fixture
def own_valkey() -> Iterator[servers.ValkeyServer]:
    """A Valkey for one test alone, which may empty, stop, kill and start it."""
    with servers.running_valkey() as server:
        yield server


@pytest.fixture(scope="session")
def cluster_nodes() -> Iterator[list[servers.ValkeyServer]]:
    """Three masters that all tests share."""
    with servers.running_cluster() as nodes:
        yield nodes


@pytest.fixture(scope="session")
def cluster_url(cluster_nodes: list[servers.ValkeyServer]) -> str:
    """The address of the cluster that all tests share."""
    return servers.cluster_url(cluster_nodes)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    """One PostgreSQL for all tests: not to be stopped."""
    with servers.running_postgres() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[servers.PostgresServer]:
    """A PostgreSQL for one test alone, which may stop, kill and start it."""
    with servers.running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def empty_databases(postgres_server: servers.PostgresServer) -> Iterator[Callable[[], str]]:
    """Gives the name of a new, empty database each time; the next one is made while a test uses this one."""

    def create() -> str:
        name = f"test_{next(_database_numbers)}"
        asyncio.run(_execute(postgres_server.dsn(), f"CREATE DATABASE {name} TEMPLATE template0"))
        return name

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(create)

        def take() -> str:
            nonlocal coming
            name, coming = coming.result(), ahead.submit(create)
            return name

        yield take


@pytest.fixture
async def postgres_dsn(
    postgres_server: servers.PostgresServer, empty_databases: Callable[[], str]
) -> AsyncIterator[str]:
    """A new, empty database, dropped after the test."""
    name = empty_databases()
    yield postgres_server.dsn(name)
    await _execute(postgres_server.dsn(), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def module_databases(
    postgres_server: servers.PostgresServer, empty_databases: Callable[[], str]
) -> Iterator[dict[str, str]]:
    """A Valkey and a database of the module's own, as settings of a server."""
    with servers.running_valkey() as valkey:
        yield {"REDIS_CONNECTION": valkey.url, "DB_CONNECTION": postgres_server.dsn(empty_databases())}


@pytest.fixture(scope="module")
def game(module_databases: dict[str, str]) -> Iterator[GameServer]:
    """One server of the game for a module."""
    with running_game({**EXTERNAL, **module_databases}) as server:
        yield server


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
