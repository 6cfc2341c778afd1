"""Players who click until they are asked to stop, and say what became of it.

`python -m scripts.containers.players URL` writes `playing` once everybody has clicked; ends when a line comes
on its input, with a report in JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, dataclass, field

from clients.python.clickcook import Client, connect
from scripts.clicker.totals import Totals
from scripts.clicker.watch import Watch

GOING_AWAY = 1001

_PASSWORD = "correct horse"  # noqa: S105 - of a game that lasts two minutes
_CLICK_EVERY_S = 0.05
_BEGUN_WITHIN_S = 120.0


@dataclass(slots=True)
class Report:
    """What happened to all players together.

    `clicks` were answered. `moves` are reconnects after the close that asks for one (1001), `broken` all
    others: a connection cut off, or an attempt to connect that failed. `closes` are counted by code. `wrong`
    names who has another number of dishes than clicks.
    """

    clicks: int = 0
    moves: int = 0
    broken: int = 0
    closes: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


async def play(url: str, count: int, stop: asyncio.Event) -> Report:
    """Play with `count` players until `stop`; raises TimeoutError where somebody cannot begin."""
    report, totals = Report(), Totals()
    begun = [asyncio.Event() for _ in range(count)]
    async with asyncio.TaskGroup() as players:
        for number, event in enumerate(begun):
            email = f"player{number}@example.com"
            client = connect(url, email=email, password=_PASSWORD)
            Watch(client, totals, asyncio.get_running_loop().time)
            players.create_task(_play(client, email, event, stop, report))
        async with asyncio.timeout(_BEGUN_WITHIN_S):
            await asyncio.gather(*(event.wait() for event in begun))
        print("playing", flush=True)
    report.moves = totals.closes[GOING_AWAY]
    report.closes = dict(totals.closes)
    report.broken = totals.reconnects - report.moves
    return report


async def _play(
    client: Client, email: str, begun: asyncio.Event, stop: asyncio.Event, report: Report
) -> None:
    async with client:
        dishes = await _dishes(client)
        if not dishes:
            await client.upgrade_buy(1)
        while not stop.is_set():
            await client.cook()
            dishes += 1  # also where an earlier answer was lost and this one says that it counted before
            report.clicks += 1
            begun.set()
            await asyncio.sleep(_CLICK_EVERY_S)
        kept = await _dishes(client)
        if kept != dishes:
            report.wrong.append(f"{email} has {kept} dishes after {dishes} clicks")


async def _dishes(client: Client) -> int:
    """Ask for the player's dishes."""
    return int((await client.request("session"))["session"]["dishes"])


async def _main(url: str, count: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    print(json.dumps(asdict(await play(url, count, stop))), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m scripts.containers.players", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--players", type=int, default=12)
    options = parser.parse_args()
    asyncio.run(_main(options.url, options.players))
