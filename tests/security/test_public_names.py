"""Names that players see of each other: none invisible, none a heap of marks, none another's double."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.players import player

if TYPE_CHECKING:
    from tests.support.game_server import GameServer


@pytest.mark.parametrize(
    "name",
    ["\u3164" * 3, "\u2800" * 3, "\u115f" * 3, "Ma\u034fry", "Ma\ufe0fry", "Zoe" + "\u0301" * 21],
    ids=ascii,
)
async def test_a_name_that_cannot_be_seen(game: GameServer, name: str) -> None:
    """Blank signs and heaps of marks are refused."""
    async with player(game) as each:
        assert "session" in await each.ask("session")
        assert (await each.ask("name_set", name=name))["code"] == "name_invalid"


@pytest.mark.parametrize(
    ("name", "double"),
    [
        ("Admin", "Adm\u0456n"),
        ("Carl", "\u0421arl"),
        ("Fullwidth", "\uff26\uff35\uff2c\uff2c\uff37\uff29\uff24\uff34\uff28"),
        ("Murmur", "Murrnur"),
    ],
    ids=ascii,
)
async def test_a_name_that_looks_like_another(game: GameServer, name: str, double: str) -> None:
    """The second player to choose it is refused; the first may write it otherwise."""
    async with player(game) as first, player(game) as second:
        for each in (first, second):
            assert "session" in await each.ask("session")
        assert await first.ask("name_set", name=name) == {"name": name}
        assert (await second.ask("name_set", name=double))["code"] == "name_taken"
        assert "name" in await first.ask("name_set", name=double)
