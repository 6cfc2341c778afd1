"""Many tabs: what a click costs a player with many connections, over two processes; other code in turns.

Each code has a database of its own: a release refuses a database that a newer one has migrated.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from typing import TYPE_CHECKING, Final

from scripts.bench import stacks
from scripts.bench.load import Load, WrongAnswerError
from scripts.bench.stage import stage, with_database

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scripts.bench.load import Burst, Peer
    from scripts.bench.stage import Stage

CONNECTIONS_OF_A_PLAYER: Final = (1, 10, 100)
PACES: Final = {10: 20, 50: 4, 0: 20}
"""How many players click so often a second; 0 is as fast as the answers come. At 50 the rate limit begins."""
_PLAYERS: Final = max(PACES.values())
_SECONDS: Final = 3
_IDLE_SECONDS: Final = 2
_SETTLED_S: Final = 0.5
_COPIES_WITHIN_S: Final = 20


async def tabs(rounds: int, against: Path | None = None) -> list[dict[str, float]]:
    """Measure a click of players with more and more connections at each pace, each round by each code.

    `cpu_us` and `before_us` are the medians of both servers' CPU for a click, what the other connections
    receive included, what idle servers take left out; `ratio` is the one over the other. Raises
    WrongAnswerError where a connection was not sent each click of the others.
    """
    codes: dict[str, dict[str, str]] = {"before": {"PYTHONPATH": str(against)}} if against else {}
    codes["now"] = {}
    found: dict[tuple[int, int, str], list[float]] = {}
    with stage() as built:
        stages = {code: await with_database(built, f"bench_{code}") for code in codes}
        for _ in range(rounds):
            for connections in CONNECTIONS_OF_A_PLAYER:
                for code, settings in codes.items():
                    with built.redis() as client:
                        client.flushall()
                    for pace, cost in (await _click_us(stages[code], settings, connections)).items():
                        found.setdefault((connections, pace, code), []).append(cost)
    return [_figures(found, connections, pace) for connections in CONNECTIONS_OF_A_PLAYER for pace in PACES]


async def _click_us(built: Stage, settings: dict[str, str], connections: int) -> dict[int, float]:
    """Let one connection of each player click; return what a click cost both servers together, by pace."""
    chosen = {"MAX_CONNECTIONS_PER_USER": "0", **settings}
    costs = {}
    with contextlib.ExitStack() as stopping:
        servers = [stopping.enter_context(stacks.game(built, chosen)) for _ in range(2)]
        listening = Load()
        tokens = built.tokens(await built.players(_PLAYERS))
        first, _ = servers
        for index, server in enumerate(servers):
            others = range(1, connections)
            await listening.connect(server.url, tokens * sum(at % 2 == index for at in others), join=True)
        for pace, players in PACES.items():
            clicking = Load()
            await clicking.connect(first.url, tokens[:players], join=True)
            await asyncio.sleep(_SETTLED_S)
            idle_s = _cpu_s(servers)
            await asyncio.sleep(_IDLE_SECONDS)
            began_s = _cpu_s(servers)
            idle = (began_s - idle_s) / _IDLE_SECONDS
            copies = {peer: peer.copies for peer in listening.peers}
            burst = await _clicked(clicking, pace)
            await _copied(copies, clicking)
            costs[pace] = (_cpu_s(servers) - began_s - idle * burst.seconds) / burst.clicks * 1e6
            await clicking.leave()
        await listening.leave()
    return costs


async def _clicked(clicking: Load, pace: int) -> Burst:
    if pace:
        return await clicking.pace(pace * len(clicking.peers), _SECONDS)
    return await clicking.saturate(_SECONDS)


async def _copied(before: dict[Peer, int], clicking: Load) -> None:
    """Wait until each connection was sent every click of its player's clicking one, and no more."""
    clicks = {peer.token: peer.clicks for peer in clicking.peers}
    due = {peer: count + clicks.get(peer.token, 0) for peer, count in before.items()}
    async with asyncio.timeout(_COPIES_WITHIN_S):
        while any(peer.copies < count for peer, count in due.items()):  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0.02)
    if any(peer.copies > count for peer, count in due.items()):
        raise WrongAnswerError("a click was sent twice")


def _cpu_s(servers: Sequence[stacks.Stack]) -> float:
    return sum(server.cpu_s() for server in servers)


def _figures(found: dict[tuple[int, int, str], list[float]], connections: int, pace: int) -> dict[str, float]:
    figures = {
        "connections": float(connections),
        "clicks_per_s_each": float(pace),
        "cpu_us": statistics.median(found[connections, pace, "now"]),
    }
    before = found.get((connections, pace, "before"))
    if before:
        figures["before_us"] = statistics.median(before)
        figures["ratio"] = figures["cpu_us"] / figures["before_us"]
    return figures
