"""What every test shares: real servers, and the rule that nothing goes wrong unseen.

An exception that reaches an event loop's handler fails the test in which it does.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from tests.support import servers
from tests.support.game_server import AS_INSTALLED, NURSERY, GameServer, running_game
from tests.support.players import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

FOLDERS = ("unit", "integration")
WORKERS_A_CORE = 5
"""Most tests wait for a server most of their time."""
LONGEST_FIRST = (
    "faults/test_long_runs.py",
    "e2e/test_start.py",
    "e2e/test_page_later.py",
    "e2e/test_page.py",
    "e2e/test_page_lighthouse.py",
    "e2e/test_workers.py",
    "security/test_revoked_connections.py",
    "integration/test_embedded.py",
    "e2e/test_http_fuzz.py",
    "e2e/test_page_people.py",
    "faults/test_replicas.py",
    "faults/test_flusher_processes.py",
    "e2e/test_quiet_start.py",
    "e2e/test_watching.py",
    "e2e/test_desk_page.py",
    "faults/test_flusher_databases.py",
    "faults/test_cluster_changes.py",
    "faults/test_split_slots.py",
    "integration/test_lanes_tls.py",
    "e2e/test_metrics.py",
    "e2e/test_page_looks.py",
    "e2e/test_many_processes.py",
    "faults/test_no_descriptors.py",
    "e2e/test_session_ttl.py",
    "faults/test_versions.py",
    "integration/test_listener.py",
    "e2e/test_page_accessible.py",
    "security/test_log_in_attacks.py",
    "integration/test_bad_settings.py",
    "integration/test_redis_refusals.py",
    "integration/test_flusher.py",
    "e2e/test_operations.py",
    "e2e/test_js_client.py",
    "e2e/test_page_damaged.py",
    "integration/test_http_accounts.py",
    "faults/test_network_fuzz.py",
    "e2e/test_desk.py",
    "e2e/test_bench_guard.py",
    "e2e/test_suspensions.py",
    "unit/test_balance.py",
    "unit/test_install.py",
    "faults/test_graceful_failover.py",
    "integration/test_lua_histories.py",
    "e2e/test_conform.py",
    "integration/test_lane_order.py",
    "integration/test_recovery.py",
    "integration/test_accounts_cut_short.py",
    "e2e/test_catalogue_change.py",
    "autobahn/test_autobahn.py",
    "integration/test_any_folder.py",
    "e2e/test_exactly_once.py",
    "e2e/test_existing_client.py",
    "e2e/test_errors.py",
    "e2e/test_clicker.py",
    "integration/test_ws_turns.py",
    "integration/test_mail.py",
    "e2e/test_top.py",
    "integration/test_client_io.py",
    "e2e/test_golden_guests.py",
    "unit/test_ticker.py",
    "integration/test_audit.py",
    "unit/test_fuzz_messages.py",
    "e2e/test_tracing.py",
    "e2e/test_python_client.py",
    "e2e/test_passive_ticks.py",
    "e2e/test_restart.py",
    "unit/test_tracing.py",
    "security/test_hostile_http.py",
    "unit/test_idle.py",
    "unit/test_passwords.py",
    "security/test_hostile_websocket.py",
    "unit/test_commands.py",
    "integration/test_guests.py",
    "integration/test_saving_commands.py",
    "integration/test_ws_connection_messages.py",
    "faults/test_limits.py",
    "integration/test_revocations.py",
    "integration/test_lane.py",
    "unit/test_acceptable.py",
    "e2e/test_rolling_restart.py",
    "unit/test_forms.py",
    "faults/test_reconnect_storm.py",
    "integration/test_clock_steps_back.py",
    "e2e/test_recovery.py",
    "unit/test_http_connection.py",
    "integration/test_own_data.py",
    "faults/test_backpressure.py",
    "integration/test_accounts.py",
    "unit/test_page_code.py",
    "e2e/test_two_games.py",
    "integration/test_durable_sessions.py",
    "integration/test_seeds.py",
    "e2e/test_offline_income.py",
)
"""Files that take longest, those that wait among those that work: page after page would share a core.

A process runs a whole file: all would wait for a long one that began last.
"""

# Some machines keep no bytecode: each process would then compile every test and every command again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# How long an example takes to make, or to run, is the machine's matter.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_loop_errors: list[str] = []
_database_numbers = itertools.count(1)


def _record_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _loop_errors.append(f"{context.get('message')}: {context.get('exception')!r}")


def pytest_xdist_auto_num_workers() -> int:
    """Run more tests at once than there are cores, as `make test` asks for by `-n auto`."""
    return WORKERS_A_CORE * (os.cpu_count() or 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the quick ones first, as what fails then fails early; with several processes the longest ones."""
    folder = config.rootpath / "tests"
    longest = LONGEST_FIRST if "PYTEST_XDIST_WORKER" in os.environ else ()
    ranks = {name: rank for rank, name in enumerate((*longest, *FOLDERS))}
    if absent := [name for name in (*LONGEST_FIRST, *FOLDERS) if not (folder / name).exists()]:
        raise pytest.UsageError(f"tests/conftest.py names what is not there: {', '.join(absent)}")

    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(folder)
        return ranks.get(path.as_posix(), ranks.get(path.parts[0], len(ranks)))

    items.sort(key=rank)


def pytest_sessionstart() -> None:
    """Search for no garbage while everything is imported: that takes a sixth of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Keep what was imported out of every later search for garbage: there is one after each test."""
    gc.collect()
    gc.freeze()
    gc.enable()


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


@pytest.fixture(scope="session", autouse=True)
def _as_installed() -> Iterator[None]:
    """Start programs as on an operator's machine: quicker, and with nothing that is missing there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(AS_INSTALLED))
        yield
    NURSERY.close()


@pytest.fixture(scope="session", autouse=True)
def _one_tls_context() -> Iterator[None]:
    """Give all HTTP clients one context for TLS: they speak plain HTTP, and each would read a store."""
    context = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", lambda **_: context)
        yield


@pytest.fixture
def loop_errors() -> list[str]:
    """The exceptions that reached a loop's handler so far; a test that expects one clears the list."""
    return _loop_errors


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[servers.ValkeyServer]:
    """One Valkey for a process: not to be stopped or emptied; each test uses users of its own."""
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
        for node in nodes:  # a busy machine may leave a node without time for a second
            node.ask("CONFIG SET", "cluster-node-timeout", 15_000)
        yield nodes


@pytest.fixture(scope="session")
def cluster_url(cluster_nodes: list[servers.ValkeyServer]) -> str:
    """The address of the cluster that all tests share."""
    return servers.cluster_url(cluster_nodes)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    """One PostgreSQL for all tests of a process: not to be stopped."""
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
