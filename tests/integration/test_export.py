"""Who gets an export of a player's data, and how many are made at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from game.session import UserId
from persistence.errors import StorageUnavailable
from server.auth.errors import Busy
from server.auth.export_service import MOST_AT_ONCE, MOST_WAITING, ExportService
from server.auth.tokens import AccessClaims
from tests.integration.test_http_accounts import INVALID, said
from tests.support.http_world import World, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.auth.account_service import AccountService


@pytest.fixture
async def world(postgres_dsn: str, valkey_url: str) -> AsyncIterator[World]:
    """A server without a throttle."""
    async with running(postgres_dsn, valkey_url) as opened:
        yield opened


async def test_only_the_player_gets_the_export(world: World) -> None:
    """An access token whose family is live; nothing else, and no other method."""
    _, tokens = await world.registered()
    for bearer, message in (
        (None, "missing token"),
        ("Basic x", "invalid token format"),
        (f"Bearer {tokens['refresh_token']}", "token invalid"),
    ):
        headers = {} if bearer is None else {"Authorization": bearer}
        answer = await world.client.get("/export", headers=headers)
        assert said(answer) == (401, {"status": 1, "message": message})
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await world.client.post("/export", headers=headers)).status_code == 405
    await world.post("/logout", tokens["refresh_token"])
    assert said(await world.client.get("/export", headers=headers)) == (401, INVALID)


async def test_exports_wait_for_each_other_and_a_player_asks_for_one_at_a_time() -> None:
    """Four are made at once, others wait, a player's second is refused; places are free again afterwards."""
    going_on = asyncio.Event()
    begun: list[UserId] = []

    async def read(user_id: UserId) -> dict[str, Any]:
        begun.append(user_id)
        await going_on.wait()
        raise StorageUnavailable("away")

    class Anybody:
        async def authenticate(self, token: str) -> AccessClaims:
            return AccessClaims(UserId(int(token)), "family", 0)

    exports = ExportService(cast("AccountService", Anybody()), read)
    making = [asyncio.create_task(exports.export(f"{number}")) for number in range(MOST_WAITING)]
    await asyncio.sleep(0)
    assert begun == [*range(MOST_AT_ONCE)]
    for refused in ("0", f"{MOST_WAITING}"):
        with pytest.raises(Busy):
            await exports.export(refused)
    going_on.set()
    for made in await asyncio.gather(*making, return_exceptions=True):
        assert isinstance(made, StorageUnavailable)
    assert begun == [*range(MOST_WAITING)]
    with pytest.raises(StorageUnavailable):
        await exports.export("0")
