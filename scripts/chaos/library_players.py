"""Players by the client library alone, under the same faults as the recorded ones.

A right client sends nothing that the judges of a history need, so these are judged by themselves: what the
library says was applied is in the server's state exactly once, and nothing is left without an answer. They
are the players of `scripts.soak`, each client at any of the servers behind the links that break.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from clients.python.clickcook import ClickCookError
from game.session import UserId
from scripts.soak.players import LAST_WORDS_WITHIN_S, Player, Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.chaos.world import World

STAY_S: Final = 5.0
"""How long a client stays at a server, on average: a dead one is left for another."""

_ENROLLED_WITHIN_S: Final = 60.0
_PHASES: Final = 3
"""What a player may wait for after the end, each with its own limit: a greeting, room, the last answers."""


class LibraryPlayers:
    """The players of one world, and what they saw."""

    def __init__(self, world: World, count: int, seed: int, patience: float) -> None:
        self.tally = Tally()
        self._patience = patience
        urls = [world.urls[name] for name in sorted(world.urls)]
        may_lose = may_lose_answered(world)
        self._players = {
            name: Player(
                name,
                urls,
                self.tally,
                random.Random(f"{name} {seed}"),  # noqa: S311 - a test's chance, not a secret
                patience=patience,
                stay_s=STAY_S,
                may_lose=may_lose,
            )
            for name in (f"library-{number}" for number in range(count))
        }

    async def enroll(self) -> Sequence[UserId]:
        """Open their accounts; return whose they are."""
        async with asyncio.timeout(self._patience * _ENROLLED_WITHIN_S):
            await asyncio.gather(*(player.register() for player in self._players.values()))
        pairs = (player.store.load() for player in self._players.values())
        return [UserId(pair.user_id) for pair in pairs if pair is not None]

    async def play(self, over: asyncio.Event) -> None:
        """Play until it is over, and settle within a limit what is unanswered then."""
        async with asyncio.TaskGroup() as group:
            playing = [
                group.create_task(self._play(name, player, over), name=name)
                for name, player in self._players.items()
            ]
            await over.wait()
            if not playing:
                return
            within_s = self._patience * _PHASES * LAST_WORDS_WITHIN_S
            _, late = await asyncio.wait(playing, timeout=within_s)
            for task in late:
                self.tally.faults.append(f"{task.get_name()} did not end within {within_s:.0f} s")
                task.cancel()

    async def _play(self, name: str, player: Player, over: asyncio.Event) -> None:
        try:
            await player.play(over)
        except (TimeoutError, ClickCookError) as error:
            self.tally.faults.append(f"{name} broke off: {error!r}")


def may_lose_answered(world: World) -> bool:
    """Say whether Redis itself may lose what was answered there."""
    return any(world.redis.losses(kind) == "all" for kind in world.kinds)
