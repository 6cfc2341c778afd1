"""Suspended players: out on every process, told why at the door, in again when it is over."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from playwright.async_api import expect
from websockets.exceptions import ConnectionClosed

from persistence.durable.account_table import AccountTable
from persistence.durable.operator_log import OperatorLog
from persistence.durable.reset_links import ResetLinks
from server.desk.access import Access
from server.desk.errors import NoPlayer
from tests.support.browser import visitor
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.operators import command, cooking, desk
from tests.support.players import PASSWORD, Player, joined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from game.session import UserId
    from scripts.databases import Databases


async def closed_with(each: Player) -> int:
    """Read until the connection is closed; returns the code."""
    async with asyncio.timeout(LIMIT_S):
        try:
            while True:
                await each.socket.recv()
        except ConnectionClosed as closed:
            return 0 if closed.rcvd is None else closed.rcvd.code


def access_of(databases: Databases, user_id: UserId) -> Access:
    """What operators do with a player's account."""
    return Access(databases.pool, databases.store, databases.settings.public_url, user_id)


class Door:
    """The HTTP routes at which a suspended player is refused."""

    def __init__(self, server: GameServer, email: str, tokens: Mapping[str, str]) -> None:
        self._url = server.url
        self._email = email
        self._refresh = {"Authorization": f"Bearer {tokens['refresh_token']}"}

    async def ask(self, path: str, headers: Mapping[str, str] | None = None, **body: str) -> tuple[int, Any]:
        """Send a request; returns status and body."""
        async with httpx.AsyncClient(timeout=LIMIT_S) as client:
            answer = await client.post(f"{self._url}{path}", json=body, headers=headers)
            return answer.status_code, answer.json()

    async def log_in(self, password: str = PASSWORD) -> tuple[int, Any]:
        """Log in."""
        return await self.ask("/auth", email=self._email, password=password)

    async def refresh(self) -> tuple[int, Any]:
        """Use the refresh token."""
        return await self.ask("/refresh", self._refresh)


async def test_a_suspended_player_is_out_everywhere_until_it_ends(game: GameServer) -> None:
    """Connections close with 4001 on both processes; log-in, refresh and reset say until when and why."""
    async with AsyncExitStack() as stack:
        other = stack.enter_context(running_game(game.settings))
        here, user_id, tokens = await cooking(stack, game)
        there = await joined(stack, other, tokens["access_token"])
        databases, _, _ = await stack.enter_async_context(desk(game.settings))
        email = await databases.pool.fetchval("SELECT email FROM accounts WHERE id = $1", user_id)
        door = Door(game, email, tokens)
        why = ("--reason", "rude words", "--operator", "boris", "--json")
        number = orjson.loads(await command(game.settings, user_id, "suspend", "--for", "3d", *why))["number"]
        codes = await asyncio.gather(closed_with(here), closed_with(there))
        assert set(codes) == {4001}

        digest = hashlib.sha256(b"link").digest()
        link = "INSERT INTO reset_links VALUES ($1, $2, now(), now() + interval '1 hour')"
        await databases.pool.execute(link, digest, user_id)
        ends_at = await databases.pool.fetchval("SELECT ends_at FROM suspensions WHERE user_id = $1", user_id)
        refused = {
            "status": 10,
            "message": "account suspended",
            "until": ends_at.isoformat(),
            "reason": "rude words",
        }
        assert await door.log_in() == (403, refused)
        assert await door.refresh() == (403, refused)
        assert await door.ask("/reset", token="link", password="another password") == (403, refused)
        assert (await door.log_in("wrong password"))[0] == 401
        assert "suspended    since" in await command(game.settings, user_id, "show")

        await databases.pool.execute("UPDATE suspensions SET ends_at = now() WHERE user_id = $1", user_id)
        status, answer = await door.log_in()
        assert status == 200
        assert (await door.refresh())[0] == 401
        again = await joined(stack, other, answer["tokens"]["access_token"])
        assert (await again.ask("cook"))["dishes"] == 1
        entry = await OperatorLog(databases.pool).get(user_id, number)
        assert entry is not None
        assert (entry["what"], entry["amount"], entry["outcome"]) == ("suspend", 3 * 86_400, "done")


async def test_without_an_end_until_an_operator_ends_it(game: GameServer) -> None:
    """`until` is null; a second time changes nothing for the player; afterwards the log-in is good."""
    async with AsyncExitStack() as stack:
        here, user_id, tokens = await cooking(stack, game)
        databases, _, _ = await stack.enter_async_context(desk(game.settings))
        email = await databases.pool.fetchval("SELECT email FROM accounts WHERE id = $1", user_id)
        door, access = Door(game, email, tokens), access_of(databases, user_id)
        for _ in range(2):
            await access.suspend("boris", "letter 5", None)
        assert await closed_with(here) == 4001
        status, answer = await door.log_in()
        assert (status, answer["until"]) == (403, None)
        await access.unsuspend("boris", "letter 6")
        assert (await door.log_in())[0] == 200


async def test_log_out_ends_every_log_in(game: GameServer) -> None:
    """Connections close, the tokens of before are refused, and the player may log in again at once."""
    async with AsyncExitStack() as stack:
        here, user_id, tokens = await cooking(stack, game)
        databases, _, _ = await stack.enter_async_context(desk(game.settings))
        email = await databases.pool.fetchval("SELECT email FROM accounts WHERE id = $1", user_id)
        door = Door(game, email, tokens)
        await access_of(databases, user_id).log_out("boris", "letter 7")
        assert await closed_with(here) == 4001
        assert (await door.refresh())[0] == 401
        assert (await door.log_in())[0] == 200


async def test_a_link_of_an_operator_sets_a_password_once(game: GameServer) -> None:
    """The link that is printed sets a new password; a second time it is refused."""
    async with AsyncExitStack() as stack:
        _, user_id, tokens = await cooking(stack, game)
        databases, _, log = await stack.enter_async_context(desk(game.settings))
        email = await databases.pool.fetchval("SELECT email FROM accounts WHERE id = $1", user_id)
        made = await access_of(databases, user_id).reset_link("boris", "letter 9", email)
        number = made.number
        door, token = Door(game, email, tokens), made.link.partition("/#reset=")[2]
        assert (await door.ask("/reset", token=token, password="another password"))[0] == 200
        assert (await door.ask("/reset", token=token, password="another password"))[0] == 401
        assert (await door.log_in("another password"))[0] == 200
        entry = await log.get(user_id, number)
        assert entry is not None
        assert token not in str(entry)


async def test_a_name_is_replaced_by_the_rules_of_names(game: GameServer) -> None:
    """A free name is taken, one that another player has is refused; the log has neither."""
    async with AsyncExitStack() as stack:
        here, user_id, _ = await cooking(stack, game)
        other, _, _ = await cooking(stack, game)
        await other.ask("name_set", name="Boris the first")
        await here.ask("name_set", name="Rude words")
        _, _, log = await stack.enter_async_context(desk(game.settings))
        why = ("--reason", "letter 11")
        await command(game.settings, "rude WORDS", "rename", "boris THE first", *why, code=1)
        await command(game.settings, "Rude words", "rename", "Kind words", *why)
        assert (await here.ask("leaderboard", by="money"))["me"]["name"] == "Kind words"
        entries = await log.latest(user_id, 9)
        assert [entry["outcome"] for entry in entries] == ["done", "refused"]
        assert "words" not in str(entries)


async def test_a_deletion_leaves_the_log_alone(game: GameServer) -> None:
    """Account, session and connections are gone; the log has that it was done, and not to whom."""
    async with AsyncExitStack() as stack:
        here, user_id, tokens = await cooking(stack, game)
        databases, _, _ = await stack.enter_async_context(desk(game.settings))
        email = await databases.pool.fetchval("SELECT email FROM accounts WHERE id = $1", user_id)
        deleted = await access_of(databases, user_id).delete("boris", "letter 10")
        assert await closed_with(here) == 4001
        door = Door(game, email, tokens)
        assert (await door.log_in())[0] == 401
        assert (await door.refresh())[0] == 401
        assert await databases.store.hashes([user_id]) == [{}]
        row = await databases.pool.fetchrow("SELECT * FROM operator_log WHERE number = $1", deleted.number)
        assert row is not None
        assert (row["what"], row["outcome"]) == ("delete", "done")
        subjects = "SELECT count(*) FROM operator_subjects WHERE subject = $1"
        assert await databases.pool.fetchval(subjects, row["subject"]) == 0
        with pytest.raises(NoPlayer):
            await access_of(databases, user_id).delete("boris", "letter 10")


async def test_the_page_asks_to_log_in_and_says_why_it_is_refused(game: GameServer) -> None:
    """The open tab shows the entrance; a log-in there is answered with what the server says."""
    async with AsyncExitStack() as stack:
        anna = await stack.enter_async_context(visitor(game.url))
        page = await anna.register("suspended@example.com")
        databases, _, _ = await stack.enter_async_context(desk(game.settings))
        user_id = await databases.pool.fetchval(
            "SELECT id FROM accounts WHERE email = 'suspended@example.com'"
        )
        await access_of(databases, user_id).suspend("boris", "letter 12", None)
        await expect(page.locator("#entrance")).to_be_visible()
        await page.fill("[name=email]", "suspended@example.com")
        await page.fill("[name=password]", PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator("#entrance-why")).to_contain_text("This account is suspended")


@pytest.mark.parametrize("between", ["log_in", "reset"])
async def test_a_log_in_under_way_is_refused_too(game: GameServer, between: str) -> None:
    """A suspension that comes between the check and the new log-in is seen once the account is locked."""
    async with AsyncExitStack() as stack:
        _, user_id, _ = await cooking(stack, game)
        databases, _, _ = await stack.enter_async_context(desk(game.settings))
        await access_of(databases, user_id).suspend("boris", "letter 8", None)
        hashed = await databases.pool.fetchval("SELECT password_hash FROM accounts WHERE id = $1", user_id)
        if between == "log_in":
            accounts = AccountTable(databases.pool, 60)
            assert await accounts.log_in(user_id, hashed, "family", "jti") is None
        else:
            digest = hashlib.sha256(str(user_id).encode()).digest()
            link = "INSERT INTO reset_links VALUES ($1, $2, now(), now() + interval '1 hour')"
            await databases.pool.execute(link, digest, user_id)
            assert await ResetLinks(databases.pool, 60).use(digest, hashed, "family", "jti") is None
