"""Operators who follow a player: woken by a change, bounded in number, let go when the server stops."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from game.session import UserId
from persistence.errors import LiveUnavailable
from persistence.live.lane_contract import LaneDown
from server.desk import following as module
from server.desk.following import Following, TooManyFollowError
from tests.support.game_catalogue import CATALOGUE
from tests.support.limits import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from persistence.live.lanes import Lanes

PLAYER = UserId(7)
REVOKED = [b"revoked", b"0", b"*"]


class Wires:
    """Stands in for the connections to Redis: says what it is asked to hear."""

    def __init__(self, *, away: bool = False) -> None:
        self.heard: set[bytes] = set()
        self.running = False
        self.ear: Any = None
        self.up = True
        self._away = away
        self.keys = SimpleNamespace(channel=lambda user_id: f"user:{user_id}")

    async def start(self, ear: object) -> None:
        """Begin to hear."""
        if self._away:
            raise LaneDown("no node answers")
        self.ear, self.running = ear, True

    async def stop(self) -> None:
        """End it."""
        self.running = False

    def lane_of(self, _user_id: UserId) -> Wires:
        """Be the lane of every player."""
        return self

    def subscribe(self, channel: bytes) -> None:
        """Hear a channel."""
        self.heard.add(channel)

    def unsubscribe(self, channel: bytes) -> None:
        """Hear it no more."""
        self.heard.remove(channel)

    def hears(self, channel: bytes) -> bool:
        """Say whether it is heard."""
        return channel in self.heard

    def say(self, words: list[bytes]) -> None:
        """Publish to the player."""
        self.ear.published(b"user:7", words)


@asynccontextmanager
async def followed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Following, Wires, str]]:
    """Follow a player who does nothing by himself; gives the `since` of the first answer."""
    monkeypatch.setattr(module, "WAIT_S", 10 * LIMIT_S)
    monkeypatch.setattr(module, "AT_MOST_EVERY_S", 0.0)
    wires = Wires()
    following = Following(lambda: cast("Lanes", wires), lambda: CATALOGUE)
    async with asyncio.timeout(LIMIT_S):
        yield following, wires, (await following.wait("anna", PLAYER, "")).since


async def waiting(following: Following, since: str, operator: str = "anna") -> asyncio.Task[Any]:
    """Wait for the next change in a task of its own, and return once it waits."""
    task = asyncio.create_task(following.wait(operator, PLAYER, since))
    await asyncio.sleep(0)
    return task


async def test_a_change_answers_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets what came since its own last answer, in order; one who was slow gets it at once."""
    async with followed(monkeypatch) as (following, wires, since):
        tasks = [await waiting(following, since), await waiting(following, since, "boris")]
        wires.say(REVOKED)
        answers = [await task for task in tasks]
        assert [[line.kind for line in heard.lines] for heard in answers] == [["closed"], ["closed"]]
        wires.say([b"revoked", b"0", b"family"])
        late = await following.wait("anna", PLAYER, since)
        assert [line.data for line in late.lines] == [
            '{"code":4001,"log_ins":"every"}',
            '{"code":4001,"log_ins":"one"}',
        ]
        assert following.hears(PLAYER)


async def test_a_since_of_another_following_is_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody knows, or a number that was never given, waits for nothing."""
    async with followed(monkeypatch) as (following, _, since):
        name, _, _ = since.partition(".")
        for unknown in ("", "f00dcafe.0", f"{name}.99", f"{name}.-1", f"{name}.٣", "x" * 400):
            assert await following.wait("anna", PLAYER, unknown) == module.Heard(since)


async def test_what_is_more_than_is_kept_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest hundred, and that there were more."""
    async with followed(monkeypatch) as (following, wires, since):
        for _ in range(101):
            wires.say(REVOKED)
        heard = await following.wait("anna", PLAYER, since)
        assert (len(heard.lines), heard.missed) == (100, True)


async def test_so_many_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """One operator cannot take the places of all others; a place that is left is free again."""
    async with followed(monkeypatch) as (following, wires, since):
        tasks = [await waiting(following, since) for _ in range(module.MOST_OF_ONE)]
        with pytest.raises(TooManyFollowError):
            await following.wait("anna", PLAYER, since)
        tasks += [await waiting(following, since, f"b{n % 7}") for n in range(56)]
        with pytest.raises(TooManyFollowError):
            await following.wait("c", PLAYER, since)
        wires.say(REVOKED)
        await asyncio.gather(*tasks)
        await following.wait("anna", PLAYER, "")


async def test_a_stopping_server_lets_nobody_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits is answered, who comes later is answered at once, and the connections end."""
    async with followed(monkeypatch) as (following, wires, since):
        running = asyncio.create_task(following.run())
        task = await waiting(following, since)
        following.end()
        assert (await task).lines == []
        assert (await following.wait("anna", PLAYER, since)).lines == []
        assert wires.running
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not wires.running


async def test_redis_away_is_said_and_tried_again() -> None:
    """Nothing is left of a first request that found no Redis."""
    wires = [Wires(away=True), Wires()]
    following = Following(lambda: cast("Lanes", wires.pop(0)), lambda: CATALOGUE)
    with pytest.raises(LiveUnavailable):
        await following.wait("anna", PLAYER, "")
    assert (await following.wait("anna", PLAYER, "")).lines == []
