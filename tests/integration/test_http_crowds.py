"""Many log-ins at once, from one address and beside another."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING

import bcrypt

from tests.support.http_world import running
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    import httpx
    import pytest


async def test_right_passwords_of_one_address_leave_room_for_others(
    postgres_dsn: str, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight of an address are checked or wait; the ninth is asked to come back, another address is served."""
    async with running(postgres_dsn, valkey_url, rate=100, trusted_proxies=("127.0.0.1",)) as world:
        email, _ = await world.registered()

        async def log_in(address: str) -> httpx.Response:
            account = {"email": email, "password": "pass word"}
            return await world.client.post("/auth", json=account, headers={"X-Forwarded-For": address})

        go_on = threading.Event()

        def check(password: bytes, known: bytes) -> bool:
            go_on.wait(LIMIT_S)
            return bcrypt.checkpw(password, known)

        monkeypatch.setattr(world.hasher, "_check", check)
        crowd = [asyncio.ensure_future(log_in("192.0.2.1")) for _ in range(24)]
        try:
            async with asyncio.timeout(LIMIT_S):
                while sum(each.done() for each in crowd) < 16:  # noqa: ASYNC110 - of any of them
                    await asyncio.sleep(0)
                served = asyncio.ensure_future(log_in("192.0.2.2"))
                while world.hasher.occupied < 9:  # noqa: ASYNC110 - nothing signals that passwords wait
                    await asyncio.sleep(0)
        finally:
            go_on.set()
        other = await served
        answers = await asyncio.gather(*crowd)
        assert other.status_code == 200
        assert Counter(answer.status_code for answer in answers) == {200: 8, 429: 16}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json() == {"status": 4, "message": "too many requests"}
        assert int(refused.headers["retry-after"]) > 0
        assert (await log_in("192.0.2.1")).status_code == 200
