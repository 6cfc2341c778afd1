"""Those who send too fast or read too slowly, beside those who just play."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil

from tests.support.limits import LIMIT_S
from tests.support.players import joined, player, register
from tests.support.raw_player import raw_player

if TYPE_CHECKING:
    from tests.support.game_server import GameServer
    from tests.support.players import Player
    from tests.support.raw_player import RawPlayer

PLAYERS = 50
CONNECTIONS_EACH = 2
IN_FLIGHT = 50
BURST = 10_000
CLICKS_MEANWHILE = 300
REQUESTS_UNREAD = 1_000
CLICKS_UNREAD = 100
"""While another makes so many clicks, who asks for long answers is sent more than any buffer holds."""
SMALL_BUFFER_BYTES = 4_096
SLOW_READERS = 6
ROUNDS_TOGETHER = 5
MOST_ROUNDS = 60
MOST_KEPT_BYTES = 375_000
"""A round: a quarter of the 6 x 256 KiB that SLOW_READERS leave unread in each."""


async def test_fifty_requests_in_flight_on_a_hundred_connections(game: GameServer) -> None:
    """Every request is answered once and in order, and each click counts."""
    with ThreadPoolExecutor(8) as threads:
        tokens = list(threads.map(lambda _: register(game)["access_token"], range(PLAYERS)))
    async with contextlib.AsyncExitStack() as stack:
        players = [await joined(stack, game, token) for token in tokens for _ in range(CONNECTIONS_EACH)]
        for each in players[::CONNECTIONS_EACH]:
            await each.ask("upgrade_buy", id=1)

        sent = await asyncio.gather(*(each.send("session") for each in players))
        for each, request_id in zip(players, sent, strict=True):
            await each.answer(request_id)
        answered = await asyncio.gather(*(_click_at_once(each) for each in players))
        for expected, heard in answered:
            assert heard == expected
        for each in players[::CONNECTIONS_EACH]:
            final = await each.ask("session")
            assert final["session"]["dishes"] == CONNECTIONS_EACH * IN_FLIGHT


async def _click_at_once(each: Player) -> tuple[list[str], list[str]]:
    """Send IN_FLIGHT cooks without waiting; return the ids sent and the ids answered."""
    ids = [await each.send("cook") for _ in range(IN_FLIGHT)]
    heard: list[str] = []
    while len(heard) < IN_FLIGHT:
        message = await each.receive()
        if message["request_id"]:
            assert message["request_type"] == "cook"
            heard.append(message["request_id"])
    return ids, heard


async def test_a_client_that_stops_reading(game: GameServer) -> None:
    """It is closed with 4000, others play on meanwhile, and its memory comes back."""
    tokens = [(await asyncio.to_thread(register, game))["access_token"] for _ in range(SLOW_READERS)]
    assert game.process is not None
    process = psutil.Process(game.process.pid)
    async with player(game) as other:
        await other.ask("session")
        await other.ask("upgrade_buy", id=1)
        resident_bytes: list[int] = []
        # Memory also moves by steps of its own, at first above all; what is kept is kept in every round.
        while not _is_flat(resident_bytes):
            with contextlib.ExitStack() as stack:
                slow = [
                    await asyncio.to_thread(stack.enter_context, raw_player(game, token, SMALL_BUFFER_BYTES))
                    for token in tokens
                ]
                await asyncio.gather(*(asyncio.to_thread(_ask_for_much, each) for each in slow))
                for _ in range(CLICKS_UNREAD):
                    await other.ask("cook")
                await asyncio.gather(*(asyncio.to_thread(read_to_the_end, each) for each in slow))
            resident_bytes.append(process.memory_info().rss)
            assert len(resident_bytes) <= MOST_ROUNDS, resident_bytes
        rounds = len(resident_bytes)
        assert (await other.ask("session"))["session"]["dishes"] == rounds * CLICKS_UNREAD
    await asyncio.to_thread(game.wait_for_log, '"code": 4000', rounds * SLOW_READERS)


def _is_flat(resident_bytes: list[int]) -> bool:
    """Say whether the last rounds together kept less than so many would keep."""
    last = resident_bytes[-ROUNDS_TOGETHER - 1 :]
    return len(last) > ROUNDS_TOGETHER and last[-1] - last[0] < ROUNDS_TOGETHER * MOST_KEPT_BYTES


def read_to_the_end(slow: RawPlayer) -> None:
    """Read to the close frame; who is slow to read even then is cut off without one."""
    with contextlib.suppress(ConnectionError):
        assert slow.close_code() == 4000


def _ask_for_much(slow: RawPlayer) -> None:
    """Ask for long answers and read none."""
    slow.send(slow.request(1, "session"))
    assert next(slow.messages())["request_type"] == "session"
    slow.send_what_fits(slow.request(2, "upgrade_list") * REQUESTS_UNREAD)


async def test_a_burst_delays_nobody(game: GameServer) -> None:
    """While 10,000 clicks that came at once are processed, in order, many of another are answered."""
    async with player(game) as other, asyncio.timeout(LIMIT_S):
        await other.ask("session")
        await other.ask("upgrade_buy", id=1)
        # A click that waited for the burst would be answered after it, each time. On a busy machine the burst
        # may be over before this process has had time for its clicks.
        while await _heard_meanwhile(game, other) >= BURST:
            pass


async def _heard_meanwhile(game: GameServer, other: Player) -> int:
    """Send a burst, and click; return how much of the burst was answered by then, which is in order."""
    tokens = await asyncio.to_thread(register, game)
    with ThreadPoolExecutor(2) as threads, raw_player(game, tokens["access_token"]) as eager:
        heard: list[str] = []
        threads.submit(_burst, eager, heard)
        while not heard:
            await other.ask("cook")
        for _ in range(CLICKS_MEANWHILE):
            await other.ask("cook")
        heard_meanwhile = len(heard)
        eager.close()
    assert heard == [str(number) for number in range(3, len(heard) + 3)]
    return heard_meanwhile


def _burst(eager: RawPlayer, heard: list[str]) -> None:
    """Send BURST cooks at once and note the ids of the answers until the connection is closed."""
    answers = (message for message in eager.messages() if message["request_id"])
    eager.send(eager.request(1, "session"), eager.request(2, "upgrade_buy", id=1))
    assert [next(answers)["request_type"] for _ in range(2)] == ["session", "upgrade_buy"]
    frames = b"".join(eager.request(number, "cook") for number in range(3, BURST + 3))
    with contextlib.suppress(OSError), ThreadPoolExecutor(1) as sending:
        # The server stops reading at its bound, so it is read while it is written to.
        sending.submit(eager.send, frames)
        for _ in range(BURST):
            heard.append(next(answers)["request_id"])  # noqa: PERF401 - grows while others look
