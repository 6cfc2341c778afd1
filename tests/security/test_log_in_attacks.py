"""Guessing, flooding and rotating keys, over two server processes on the same databases."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import jwt
import psutil
import pytest

from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, Player, player, register

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RATE = 4
ADDRESS_RATE = 10 * RATE
FLOOD = 60
TIMED = 8
COST = "10"


@pytest.fixture(scope="module")
def guarded(module_databases: dict[str, str]) -> Iterator[tuple[GameServer, GameServer]]:
    """Two servers with a throttle, behind a proxy on loopback whose word they take."""
    settings = {**EXTERNAL, **module_databases, "AUTH_RATE": str(RATE), "TRUSTED_PROXIES": "127.0.0.1"}
    with running_game(settings) as first, running_game(settings) as second:
        yield first, second


def ask(
    server: GameServer, path: str, email: str, password: str, *, forwarded: str, bearer: str = ""
) -> httpx.Response:
    """Ask a route of accounts as a client at an address behind the proxy."""
    headers = {"X-Forwarded-For": forwarded}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    body = {"email": email, "password": password, "new_password": "another horse"}
    return httpx.post(f"{server.url}{path}", json=body, headers=headers, timeout=LIMIT_S)


def test_guesses_count_over_processes_and_routes(guarded: tuple[GameServer, GameServer]) -> None:
    """Wrong passwords at /auth here and /password there add up; then even the right one waits.

    Another address is let in at once, and what an address makes up itself in front of the proxy's word is no
    other address.
    """
    first, second = guarded
    token = register(first, "guessed@example.com")["access_token"]
    for index in range(RATE):
        server, path = (first, "/auth") if index % 2 else (second, "/password")
        wrong = ask(server, path, "guessed@example.com", "a wrong one", forwarded="192.0.2.1", bearer=token)
        assert wrong.status_code == 401
        assert wrong.json() == {"status": 1, "message": "invalid user info"}
    for server in guarded:
        for path in ("/auth", "/password"):
            for forwarded in ("192.0.2.1", "198.51.100.77, 192.0.2.1"):
                late = ask(server, path, "Guessed@Example.com", PASSWORD, forwarded=forwarded, bearer=token)
                assert late.status_code == 429
                assert late.json() == {"status": 4, "message": "too many requests"}
                assert 0 < int(late.headers["retry-after"]) <= 900
    assert ask(first, "/auth", "guessed@example.com", PASSWORD, forwarded="192.0.2.2").status_code == 200


def test_a_foreign_page_neither_logs_in_nor_locks_out(guarded: tuple[GameServer, GameServer]) -> None:
    """What it posts from its visitor's browser is refused before it is counted; the visitor gets in."""
    server, _ = guarded
    register(server, "visitor@example.com")
    visitor = {"X-Forwarded-For": "192.0.2.99"}
    for origin in ("https://evil.example", "null"):
        for path in ("/auth", "/reg", "/password", "/refresh"):
            for _ in range(ADDRESS_RATE // 4):
                refused = httpx.post(
                    f"{server.url}{path}",
                    data={"email": "visitor@example.com", "password": "a wrong one"},
                    headers=visitor | {"Origin": origin},
                    timeout=LIMIT_S,
                )
                assert refused.status_code == 403
                assert refused.json() == {"status": 8, "message": "origin not allowed"}
                assert "access-control-allow-origin" not in refused.headers
    form = {"email": "visitor@example.com", "password": PASSWORD}
    own = httpx.post(
        f"{server.url}/auth", data=form, headers=visitor | {"Origin": server.url}, timeout=LIMIT_S
    )
    assert own.status_code == 200
    assert own.headers["access-control-allow-origin"] == server.url


def test_an_address_registers_only_so_often_over_processes(guarded: tuple[GameServer, GameServer]) -> None:
    """Ten times the rate in all, whichever process is asked; one IPv6 network is one address."""
    answers = [
        ask(
            guarded[index % 2], "/reg", f"many{index}@example.com", PASSWORD, forwarded=f"2001:db8::{index:x}"
        ).status_code
        for index in range(ADDRESS_RATE + 4)
    ]
    assert answers == [200] * ADDRESS_RATE + [429] * 4


def test_nobody_learns_from_answers_who_has_an_account(guarded: tuple[GameServer, GameServer]) -> None:
    """Unknown e-mails and wrong passwords get the same bytes; headers differ in the date alone."""
    register(guarded[0], "known@example.com")
    answers = [
        ask(guarded[0], "/auth", email, password, forwarded="192.0.2.9")
        for email, password in (
            ("known@example.com", "a wrong one"),
            ("unknown@example.com", PASSWORD),
            ("known@example.com", "x" * 80),
        )
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (401, b'{"status":1,"message":"invalid user info"}')
    }
    assert len({tuple(name for name in answer.headers if name != "date") for answer in answers}) == 1


@pytest.fixture
def costly(module_databases: dict[str, str]) -> Iterator[GameServer]:
    """A server that takes time for each password."""
    with running_game({**EXTERNAL, **module_databases, "BCRYPT_COST": COST}) as server:
        yield server


async def test_log_ins_take_the_same_time_and_a_flood_of_them_holds_up_no_click(costly: GameServer) -> None:
    """Known or not takes bcrypt's time alike; past the queue it is 503 with Retry-After; clicks go on.

    While sixty log-ins come at once, more clicks are answered than passwords are checked: none waits for one.
    """
    assert costly.process is not None
    process = psutil.Process(costly.process.pid)
    register(costly, "busy@example.com")
    known: list[float] = []
    unknown: list[float] = []
    async with httpx.AsyncClient(base_url=costly.url, timeout=LIMIT_S) as client:
        for _ in range(TIMED):
            for email, seconds in (("busy@example.com", known), ("nobody@example.com", unknown)):
                before_s = cpu_s(process)
                await client.post("/auth", json={"email": email, "password": "a wrong one"})
                seconds.append(cpu_s(process) - before_s)
    assert 0.5 < sum(known) / sum(unknown) < 2, (known, unknown)
    async with player(costly) as anna, asyncio.timeout(LIMIT_S):
        await anna.ask("session")
        await anna.ask("upgrade_buy", id=1)
        # A click that waited for passwords would be answered after them, each time. On a busy machine this
        # process may have no time for its clicks, or for so many log-ins at once.
        while not await plays_on_beside_a_flood(costly, anna):
            pass


async def plays_on_beside_a_flood(server: GameServer, anna: Player) -> bool:
    """Click while many log in; return whether more clicks were answered than passwords were checked."""
    before = (await anna.ask("session"))["session"]["dishes"]
    flood = asyncio.create_task(log_in_at_once(server))
    clicks = 0
    while not flood.done():
        assert (await anna.ask("cook"))["applied"] == 1
        clicks += 1
    answers = await flood
    assert (await anna.ask("session"))["session"]["dishes"] == before + clicks
    checked = [answer for answer in answers if answer.status_code == 401]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(checked) + len(refused) == FLOOD
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    return len(refused) > 0 and clicks > len(checked) > 0


def cpu_s(process: psutil.Process) -> float:
    """Return how long a process has worked, to which other work of the machine adds nothing."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def log_in_at_once(server: GameServer) -> Sequence[httpx.Response]:
    """Log in with a wrong password on many connections at the same moment."""
    limits = httpx.Limits(max_connections=FLOOD)
    body = {"email": "busy@example.com", "password": "a wrong one"}
    async with httpx.AsyncClient(base_url=server.url, timeout=LIMIT_S, limits=limits) as client:
        return await asyncio.gather(*(client.post("/auth", json=body) for _ in range(FLOOD)))


def test_keys_are_rotated_without_logging_anybody_out(module_databases: dict[str, str]) -> None:
    """A process with a new first key accepts tokens of the old one and signs with the new one.

    Once the old key is taken away, so are its tokens.
    """
    old, new = EXTERNAL["ACCESS_TOKEN_SECRET"], "n" * 64
    settings = {**EXTERNAL, **module_databases}
    with running_game(settings) as server:
        tokens = register(server, "rotated@example.com")
    with running_game({**settings, "ACCESS_TOKEN_SECRET": f"{new},{old}"}) as server:
        changed = httpx.post(
            f"{server.url}/password",
            json={"password": PASSWORD, "new_password": "another horse"},
            headers={"Authorization": f"Bearer {tokens['access_token']}"},
            timeout=LIMIT_S,
        )
        assert changed.status_code == 200
        signed = changed.json()["tokens"]["access_token"]
        assert jwt.decode(signed, new, algorithms=["HS256"])["typ"] == "access"
    with running_game({**settings, "ACCESS_TOKEN_SECRET": new}) as server:
        refused = httpx.post(
            f"{server.url}/password",
            json={"password": "another horse", "new_password": PASSWORD},
            headers={"Authorization": f"Bearer {tokens['access_token']}"},
            timeout=LIMIT_S,
        )
        assert (refused.status_code, refused.json()["message"]) == (401, "token invalid")
