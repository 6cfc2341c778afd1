"""How a click's cost grows: with processes, with a player's connections."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from persistence.durable.pool import open_pool
from persistence.live.scripts import load_scripts
from persistence.live.store import open_store
from persistence.recovery.restore import restore
from scripts.bench import stacks
from scripts.bench.load import Load, Peer
from scripts.bench.stage import SERVER_CORE, cpu_s, pin, prepared, stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.bench.stage import Stage

Figures = dict[str, float]

CONNECTIONS_OF_A_PLAYER: Final = (1, 2, 10, 100)
_TTL_S: Final = 3600
_ROUNDS: Final = 4
_SHARES: Final = 4
_BURNING_S: Final = 60
_SECONDS: Final = 1.5
_REWRITTEN_WITHIN_S: Final = 60


async def restore_all(built: Stage) -> None:
    """Bring every saved session into Redis."""
    pool = await open_pool(built.dsn)
    try:
        async with open_store(built.redis_url, "bench", load_scripts()) as store:
            await restore(store, pool, _TTL_S)
    finally:
        await pool.close()


async def rewritten(built: Stage) -> None:
    """Have the append-only file, which a restore has let grow, rewritten now and not while we measure."""
    with built.redis() as client:
        if not client.info("persistence")["aof_rewrite_in_progress"]:
            client.bgrewriteaof()
        for _ in range(_REWRITTEN_WITHIN_S * 10):
            facts = client.info("persistence")
            if not facts["aof_rewrite_in_progress"] and not facts["aof_rewrite_scheduled"]:
                return
            await asyncio.sleep(0.1)
    raise TimeoutError("the append-only file is still being rewritten")


async def by_processes(connections: int) -> list[Figures]:
    """Measure one worker, then two, each with a quarter of core 0; others burn the rest of it.

    With whole cores Redis and the load, on the one core that is left, would be the limit. Twice the
    connections, so that either worker always finds some that wait.
    """
    found = []
    for workers in (1, 2):
        with stage() as built, contextlib.ExitStack() as stopping:
            await prepared(built)
            server = stopping.enter_context(stacks.game(built, {"WORKERS": str(workers)}))
            load = Load()
            await load.connect(server.url, built.tokens(await built.players(2 * connections)), join=True)
            for _ in range(_SHARES - workers):
                stopping.enter_context(_burner())
            await load.saturate(1)
            found.append({"workers": workers, **await _clicks(built, [server], load)})
            await load.leave()
    return found


@contextlib.contextmanager
def _burner() -> Iterator[None]:
    """Burn an equal share of core 0, for a minute at most."""
    program = f"import time\nend = time.monotonic() + {_BURNING_S}\nwhile time.monotonic() < end: pass"
    # In a session of its own, as the workers are: the scheduler shares a core among sessions first.
    process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)  # noqa: S603 - our own text
    try:
        pin(process.pid, SERVER_CORE)
        yield
    finally:
        process.kill()
        process.wait()


async def by_fan_out() -> list[Figures]:
    """Measure a click of one player, whose other connections over two processes receive it.

    One connection clicks, one request in flight; what the others receive is part of the click's cost.
    """
    found = []
    for connections in CONNECTIONS_OF_A_PLAYER:
        with stage() as built, contextlib.ExitStack() as stopping:
            await prepared(built)
            limits = {"MAX_CONNECTIONS_PER_USER": "0"}
            servers = [stopping.enter_context(stacks.game(built, limits)) for _ in range(2)]
            players = await built.players(20)
            listening, clicking = Load(), Load()
            for player in players:
                for index in range(connections):
                    load = clicking if index == 0 else listening
                    await load.connect(servers[index % 2].url, built.tokens([player]), join=True)
            await clicking.saturate(0.5)
            figures = await _clicks(built, servers, clicking)
            figures["connections"] = connections
            figures["copies_a_click"] = await _copies(listening.peers, clicking)
            found.append(figures)
            await clicking.leave()
            await listening.leave()
    return found


async def _copies(listening: list[Peer], clicking: Load) -> float:
    """Count the copies that a click makes, all of them arrived."""
    before = sum(peer.pushes for peer in listening)
    burst = await clicking.saturate(0.5)
    expected = burst.clicks * (len(listening) // len(clicking.peers))
    for _ in range(500):
        if sum(peer.pushes for peer in listening) - before >= expected:
            break
        await asyncio.sleep(0.02)
    return (sum(peer.pushes for peer in listening) - before) / burst.clicks


async def _clicks(built: Stage, servers: list[stacks.Stack], load: Load) -> Figures:
    """Click for some rounds; the cost of a click on all servers together and on Redis."""
    servers_s, redis_s = sum(server.cpu_s() for server in servers), cpu_s(built.redis_pid)
    bursts = [await load.saturate(_SECONDS) for _ in range(_ROUNDS)]
    clicks = sum(burst.clicks for burst in bursts)
    return {
        "clicks_per_s": statistics.median(burst.rate for burst in bursts),
        "cpu_us": (sum(server.cpu_s() for server in servers) - servers_s) / clicks * 1e6,
        "redis_us": (cpu_s(built.redis_pid) - redis_s) / clicks * 1e6,
        "load_us": sum(burst.load_cpu_s for burst in bursts) / clicks * 1e6,
        "p99_ms": statistics.median(burst.percentile_ms(0.99) for burst in bursts),
    }
