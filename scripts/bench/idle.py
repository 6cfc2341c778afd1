"""What connections that do nothing cost: bytes each, and whether those that leave give everything back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from scripts.bench import stacks
from scripts.bench.load import Load
from scripts.bench.stage import Stage, prepared, stage

IDLE_CONNECTIONS: Final = 5000
ROUNDS: Final = 20
CONNECTIONS_A_ROUND: Final = 2000
_SETTLE_S: Final = 1.0
_GONE_WITHIN_S: Final = 20.0


async def idle() -> dict[str, object]:
    """Measure the resident memory of the server with idle, joined connections, and over rounds of leaving.

    Players come and go once before the first look: what a process keeps for good (arenas of the allocator,
    caches, the sockets' table) is not the connections'.
    """
    with stage() as built, contextlib.ExitStack() as stopping:
        await prepared(built)
        server = stopping.enter_context(stacks.game(built, {"LOG_LEVEL": "error"}))
        players = await built.players(IDLE_CONNECTIONS)
        empty = server.resident_bytes()
        load = Load()
        await load.connect(server.url, built.tokens(players), join=True)
        await asyncio.sleep(_SETTLE_S)
        full = server.resident_bytes()
        await load.leave()
        await _gone(built, server)
        after: list[int] = []
        for _ in range(ROUNDS):
            await load.connect(server.url, built.tokens(players[:CONNECTIONS_A_ROUND]), join=True)
            await load.leave()
            await _gone(built, server)
            after.append(server.resident_bytes())
    return {
        "idle_server_bytes": empty,
        "bytes_a_connection": (full - empty) / IDLE_CONNECTIONS,
        "resident_after_rounds": after,
    }


async def _gone(built: Stage, server: stacks.Stack) -> None:
    """Wait until Redis holds no subscription of a player any more: then every connection was let go of."""
    with built.redis() as client:
        for _ in range(int(_GONE_WITHIN_S / 0.1)):
            if not client.execute_command("PUBSUB", "SHARDCHANNELS"):
                return
            await asyncio.sleep(0.1)
    raise TimeoutError(f"{server.name} still holds connections")


def described(found: dict[str, object]) -> str:
    """Say what was found."""
    after = found["resident_after_rounds"]
    if not isinstance(after, list):
        raise TypeError("resident_after_rounds")
    megabytes = [round(one / 1e6, 1) for one in after]
    empty, each = float(str(found["idle_server_bytes"])), float(str(found["bytes_a_connection"]))
    return (
        f"idle server: {empty / 1e6:.1f} MB\n"
        f"a joined, idle connection ({IDLE_CONNECTIONS} of them): {each:,.0f} bytes\n"
        f"MB after each of {ROUNDS} rounds of {CONNECTIONS_A_ROUND} connections: {megabytes}"
    )
