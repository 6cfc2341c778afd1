"""What tests of the Lua scripts share: a connection, scripts with the test's clock, histories of players."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Final

import pytest

from game.session import Session, UserId
from runtime.direct_loop import new_event_loop
from tests.support.game_catalogue import CATALOGUE, SANDWICH
from tests.support.twins import NOW_US, Twins
from tests.support.wire import Wire, connected, load_for_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from persistence.live.scripts import Script
    from tests.support.servers import ValkeyServer

_users: Final = itertools.count(950_000)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of connections on both loops: bytes come from a transport, or straight from a socket."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.name.startswith("test_ws_"):
        loops["direct"] = new_event_loop
    return loops


@pytest.fixture
def wire(valkey_server: ValkeyServer) -> Iterator[Wire]:
    """The connection that plays."""
    with connected(str(valkey_server.socket)) as opened:
        yield opened


@pytest.fixture(scope="module")
def scripts(valkey_server: ValkeyServer) -> Mapping[str, Script]:
    """The scripts, with a clock that the test sets."""
    with connected(str(valkey_server.socket)) as opened:
        return load_for_test(opened)


@pytest.fixture
def begin(scripts: Mapping[str, Script]) -> Callable[..., Twins]:
    """Begin a history of a new player, who owns the sandwich."""

    def new(**fields: object) -> Twins:
        values: dict[str, object] = {
            "version": 5,
            "accrued_at_ms": NOW_US // 1000,
            "bought": {SANDWICH: 1},
        } | fields
        session = Session(UserId(next(_users)), **values)  # type: ignore[arg-type]  # by field name
        return Twins(scripts, session, CATALOGUE, NOW_US)

    return new
