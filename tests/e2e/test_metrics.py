"""/metrics and /readyz as an operator's tools read them, of a server that players use."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from scripts.top.reading import read
from tests.support.game_server import POLL_S, GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.players import EXTERNAL, PASSWORD, player, register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from server.observability.readings import Reading
    from tests.support.servers import PostgresServer, ValkeyServer

STOPPED_WITHOUT_ANSWER_S = 5.0
"""After this a connection is taken for one that the stopped worker got; the other one is asked then."""


def wait_for(server: GameServer, condition: Callable[[Reading], bool]) -> Reading:
    """Look at a server until what it says meets a condition; return that."""
    end_s = time.monotonic() + LIMIT_S
    while True:
        found = read(server.url)
        if not found.error and condition(found):
            return found
        assert time.monotonic() < end_s, (found, server.log[-3000:])
        time.sleep(0.05)


async def request(method: str, url: str, body: dict[str, str] | None = None) -> httpx.Response:
    """Send one request over a connection of its own."""
    return await asyncio.to_thread(httpx.request, method, url, json=body, timeout=LIMIT_S)


async def cook(server: GameServer, times: int, token: str | None = None) -> None:
    """Play a little: begin, buy the sandwich, cook."""
    async with player(server, token) as one:
        await one.ask("session")
        await one.ask("upgrade_buy", id=1)
        for _ in range(times):
            await one.ask("cook")


async def test_what_players_do_is_counted(game: GameServer) -> None:
    """Requests by type and result, their times, users and connections, ends, registrations, routes."""
    before = await asyncio.to_thread(wait_for, game, lambda _: True)
    began_s = time.monotonic()

    def grown(name: str, seen: Reading, **labels: str) -> float:
        return seen.total(name, **labels) - before.total(name, **labels)

    async with player(game) as one:
        await one.ask("session")
        await one.ask("upgrade_buy", id=1)
        for _ in range(5):
            await one.ask("cook")
        await one.ask("sell")
        assert (await one.request("dance"))["data"]["code"] == "unknown_request"
        during = await asyncio.to_thread(wait_for, game, lambda _: True)
        took_s = time.monotonic() - began_s
    after = await asyncio.to_thread(
        wait_for,
        game,
        lambda seen: (
            seen.total("clickcook_users") == 0
            and grown("clickcook_connections_closed_total", seen, code="1000") > 0
        ),
    )

    assert grown("clickcook_requests_total", during, type="cook", result="ok") == 5
    assert grown("clickcook_requests_total", during, type="sell", result="ok") == 1
    assert grown("clickcook_requests_total", during, result="unknown_request") == 1
    assert grown("clickcook_request_duration_seconds_count", during) == 8
    assert 0 < grown("clickcook_request_duration_seconds_sum", during) < took_s
    assert during.total("clickcook_users") == 1
    assert during.total("clickcook_connections", state="joined") == 1
    assert grown("clickcook_log_ins_total", during, kind="registration", result="ok") == 1
    assert grown("clickcook_http_requests_total", during, route="/reg", status="200") == 1
    assert grown("clickcook_cold_loads_total", during, result="created") == 1
    assert grown("clickcook_connections_closed_total", after, code="1000") == 1


async def test_state_lives_somewhere(game: GameServer) -> None:
    """Redis and PostgreSQL are up and timed, what is dirty is flushed, the process has its own figures."""
    before = await asyncio.to_thread(wait_for, game, lambda _: True)
    await cook(game, 1)

    after = await asyncio.to_thread(
        wait_for,
        game,
        lambda seen: (
            seen.total("clickcook_dirty_sessions") == 0
            and seen.total("clickcook_flushed_sessions_total", result="written")
            > before.total("clickcook_flushed_sessions_total", result="written")
            and seen.total("clickcook_redis_round_trip_seconds_count", role="game") > 0
            and seen.total("clickcook_postgresql_round_trip_seconds_count") > 0
            and seen.total("clickcook_redis_up", role="game") == 1
            and seen.total("clickcook_redis_up", role="beside") == 1
            and seen.total("clickcook_postgresql_up") == 1
            and seen.total("clickcook_condition", condition="ok") == 1
        ),
    )

    assert after.total("clickcook_condition") == 1
    assert after.total("clickcook_flush_failures_total") == 0
    assert after.total("clickcook_redis_commands_total") > before.total("clickcook_redis_commands_total")
    assert after.total("process_cpu_seconds_total") > 0
    assert after.total("process_open_fds") > 5
    assert after.total("clickcook_loop_delay_seconds_count") > 0


async def test_nobody_outside_makes_up_a_label(game: GameServer) -> None:
    """Paths, methods, request types and close codes of a client's making add no series; nothing is secret."""
    tokens = await asyncio.to_thread(register, game, "label@example.com")
    async with player(game, tokens["access_token"]) as one:
        for name in ("pepper", "cook\n", '"}'):
            await one.request(name)
        await one.request("leaderboard", by="pepper")
        await one.socket.close(4999, "pepper")
    for path in ("/pepper", "/reg/pepper", "/..%2fpepper", "/metrics?pepper"):
        await request("GET", game.url + path)
    await request("PEPPER", f"{game.url}/reg")

    async with asyncio.timeout(LIMIT_S):  # a connection is counted once it is gone
        while 'code="other"' not in (  # noqa: ASYNC110 - in another process
            text := (await request("GET", f"{game.url}/metrics")).text
        ):
            await asyncio.sleep(POLL_S)

    for secret in (
        "pepper",
        "label@",
        tokens["access_token"],
        EXTERNAL["ACCESS_TOKEN_SECRET"],
        "dbname",
        "@",
    ):
        assert secret not in text.lower(), secret
    assert 'route="unknown",status="404"' in text


async def test_every_limit_that_is_hit_is_counted(module_databases: dict[str, str]) -> None:
    """Clicks, connections, a user's connections, failed log-ins: each has its own count."""
    settings = {
        **EXTERNAL,
        **module_databases,
        "CLICK_RATE": "1",
        "CLICK_BURST": "2",
        "AUTH_RATE": "1",
        "MAX_CONNECTIONS_PER_USER": "1",
        "MAX_CONNECTIONS": "6",
    }
    with running_game(settings) as server:
        account = {"email": "limits@example.com", "password": "wrong" + PASSWORD}
        token = (await asyncio.to_thread(register, server, account["email"]))["access_token"]
        async with player(server, token) as one:
            await one.ask("session")
            await one.ask("upgrade_buy", id=1)
            asked = [await one.send("cook") for _ in range(8)]
            codes = [(await one.answer(each))["data"].get("code") for each in asked]
            assert "rate_limited" in codes
            async with player(server, token) as two:
                with pytest.raises(ConnectionClosed):
                    await two.ask("session")
        assert [(await request("POST", f"{server.url}/auth", account)).status_code for _ in range(3)] == [
            401,
            429,
            429,
        ]
        sockets = [connect(server.websocket_url, open_timeout=LIMIT_S) for _ in range(6)]
        opened = [await socket for socket in sockets]
        for socket in await asyncio.gather(
            *(connect(server.websocket_url, open_timeout=LIMIT_S) for _ in range(2))
        ):
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        for socket in opened:
            await socket.close()

        found = await asyncio.to_thread(
            wait_for,
            server,
            lambda seen: (
                seen.total("clickcook_connections_closed_total", code="4002") > 0
                and seen.total("clickcook_limits_hit_total", limit="connections") > 1
            ),
        )

        def hits(limit: str) -> float:
            return found.total("clickcook_limits_hit_total", limit=limit)

        assert hits("click_rate") == sum(code == "rate_limited" for code in codes)
        assert hits("connections_per_user") == 1
        assert hits("log_in_failures") == 2
        assert hits("connections") == 2
        assert found.total("clickcook_log_ins_total", kind="log_in", result="wrong") == 1
        assert found.total("clickcook_log_ins_total", kind="log_in", result="throttled") == 2
        assert found.total("clickcook_connections_closed_total", code="4002") == 1


@pytest.fixture(scope="module")
def workers() -> Iterator[GameServer]:
    """A game of two workers that both serve."""
    with running_game({**EXTERNAL, "WORKERS": "2"}) as server:
        server.wait_for_log("workers_ready")
        yield server


async def test_any_worker_answers_for_all(workers: GameServer) -> None:
    """Whichever worker a scrape reaches, it says the same of both: nothing is missing, nothing twice."""

    def by_worker(seen: Reading, name: str, **labels: str) -> list[float]:
        return [seen.total(name, worker=worker, **labels) for worker in ("0", "1")]

    players = 0
    cooked = [0.0, 0.0]
    async with asyncio.timeout(LIMIT_S):
        while 0 in cooked:  # the system chooses the worker of a connection
            await asyncio.gather(*(cook(workers, 3) for _ in range(12)))
            players += 12
            found = await asyncio.to_thread(wait_for, workers, both_answer)
            cooked = by_worker(found, "clickcook_requests_total", type="cook")
        answered = [0.0, 0.0]
        while 0 in answered or sum(answered) < 30:
            found = await asyncio.to_thread(wait_for, workers, both_answer)
            assert found.total("clickcook_requests_total", type="cook", result="ok") == 3 * players
            assert found.total("clickcook_http_requests_total", route="/reg", status="200") == players
            answered = by_worker(found, "clickcook_http_requests_total", route="/metrics")
    assert len(list(found.values("process_start_time_seconds"))) == 2


def both_answer(seen: Reading) -> bool:
    """Whether both workers say something: a busy one may have had no time for that."""
    return seen.total("clickcook_worker_up") == 2


async def test_a_stopped_worker_is_seen(workers: GameServer) -> None:
    """A worker that does not move is down in what the other says, and up again when it goes on."""
    await asyncio.to_thread(wait_for, workers, both_answer)
    pid = _pid_of(workers, 1)
    os.kill(pid, signal.SIGSTOP)
    try:
        text = await asyncio.to_thread(_scraped_from_the_other, workers)
        assert 'clickcook_worker_up{worker="0"} 1.0' in text
        assert 'clickcook_worker_up{worker="1"} 0.0' in text
        assert 'clickcook_users{worker="0"}' in text
        assert 'clickcook_users{worker="1"}' not in text
    finally:
        os.kill(pid, signal.SIGCONT)
    await asyncio.to_thread(wait_for, workers, both_answer)


def _scraped_from_the_other(server: GameServer) -> str:
    """Scrape until the connection is not one that the stopped worker got."""
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        with contextlib.suppress(httpx.TimeoutException):
            return httpx.get(f"{server.url}/metrics", timeout=STOPPED_WITHOUT_ANSWER_S).text
    raise AssertionError(server.log[-3000:])


def _pid_of(server: GameServer, index: int) -> int:
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(server.folder) and process.environ().get("WORKER_INDEX") == str(index):
                return process.pid
        except psutil.Error:
            continue
    raise AssertionError(f"no worker {index}")


async def test_readiness_says_what_is_ill(own_valkey: ValkeyServer, own_postgres: PostgresServer) -> None:
    """Each part that is away is named with since when and why, and is well again when it is back."""
    dsn = own_postgres.dsn().replace("postgres@", "postgres:pepper@")
    settings = {**EXTERNAL, "REDIS_CONNECTION": own_valkey.url, "DB_CONNECTION": dsn}
    with running_game(settings) as server:
        async with player(server) as one:
            await one.ask("session")
            await one.ask("upgrade_buy", id=1)

            own_postgres.stop()
            await one.ask("cook")
            ill = await asyncio.to_thread(
                wait_for,
                server,
                lambda seen: (
                    seen.parts["postgresql"] != "ok"
                    and seen.parts["flusher"].startswith("failing")
                    and seen.parts["redis"] == "ok"
                    and seen.condition == "degraded"
                    and seen.total("clickcook_dirty_sessions") == 1
                    and seen.total("clickcook_postgresql_up") == 0
                    and seen.total("clickcook_flush_failures_total") > 0
                    and seen.total("clickcook_condition", condition="degraded") == 1
                ),
            )
            assert ill.parts["postgresql"].startswith("away for ")
            assert ill.parts["postgresql"].endswith("play goes on, sessions wait in Redis")
            assert "last error: " in ill.parts["flusher"]

            own_postgres.start()
            await asyncio.to_thread(
                wait_for,
                server,
                lambda seen: (
                    seen.condition == "ok"
                    and seen.parts["flusher"].startswith("ok")
                    and seen.total("clickcook_dirty_sessions") == 0
                ),
            )

            own_valkey.kill()
            ill = await asyncio.to_thread(
                wait_for,
                server,
                lambda seen: (
                    seen.parts["redis"] != "ok"
                    and seen.condition == "unavailable"
                    and seen.total("clickcook_redis_up") == 0
                ),
            )
            assert ill.parts["redis"].startswith("redis away for ")
            own_valkey.start()
            await asyncio.to_thread(wait_for, server, lambda seen: seen.condition == "ok")
        server.stop()
        assert "pepper" not in str(ill.parts) + server.log
