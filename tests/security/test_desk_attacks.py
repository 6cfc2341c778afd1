"""The desk attacked as the game's port is: tokens, other sites' pages, bodies, a crowd to search in."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
import pytest

from server.desk.guard import Guard
from server.http.messages import HttpRequest
from tests.support.desk_client import ANNA, LOOKER, DeskClient, running_desk
from tests.support.players import Player, click_until, joined, register, user_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.game_server import GameServer

Served = tuple["GameServer", str]


@pytest.fixture(scope="module")
def served(module_databases: dict[str, str]) -> Iterator[Served]:
    """One server with a desk; addresses behind a proxy are believed, so that each test has its own."""
    with running_desk(module_databases, TRUSTED_PROXIES="127.0.0.1") as running:
        yield running


async def test_no_token_and_a_wrong_one(served: Served) -> None:
    """Nothing but the pages is shown; ten wrong ones in a minute close the desk to their address alone."""
    _, url = served
    visitor = DeskClient(url, None)
    assert (await visitor.raw("GET", "/")).status_code == 200
    for path in ("me", "figures"):
        assert await visitor.get(path) == (401, {"status": 1, "message": "missing token"})
    for path in ("find", "player", "follow", "export", "preview", "order", "nothing"):
        assert (await visitor.post(path, text="a"))[0] == 401
    theirs = {"X-Forwarded-For": "192.0.2.7"}
    for wrong in (ANNA[:-1], ANNA + "a", "anna:" + ANNA, "ü" * 40, *["x" * 40] * 6):
        headers = {"Authorization": f"Bearer {wrong}".encode(), "X-Forwarded-For": b"192.0.2.7"}
        answer = await visitor.raw("GET", "/api/me", headers=headers)
        assert (answer.status_code, answer.json()["status"]) == (401, 1), wrong
    anna = DeskClient(url)
    answer = await anna.raw("GET", "/api/me", headers=theirs)
    assert (answer.status_code, answer.json()["status"]) == (429, 4)
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert (await anna.get("me"))[1]["name"] == "anna"


async def test_a_read_only_token_changes_nothing(served: Served) -> None:
    """It sees figures, players and what would change; an order is refused before its body is read."""
    server, url = served
    user_id = user_of(await asyncio.to_thread(register, server))
    looker = DeskClient(url, LOOKER)
    assert (await looker.get("me"))[1]["read_only"] is True
    assert (await looker.get("figures"))[0] == 200
    assert (await looker.post("player", id=user_id))[0] == 200
    assert (await looker.post("preview", id=user_id, command="delete"))[0] == 200
    refused = (403, {"status": 1, "message": "this token may only look"})
    assert await looker.post("order", id=user_id, command="delete", reason="x") == refused
    assert await looker.post("order") == refused
    assert (await looker.post("player", id=user_id))[1]["log"] == []


async def test_a_read_only_token_may_follow(served: Served) -> None:
    """Each click is there, in order and once, with the session as Redis has it; nobody else is counted."""
    server, url = served
    looker = DeskClient(url, LOOKER)
    async with AsyncExitStack() as stack:
        tokens = await asyncio.to_thread(register, server)
        user_id, here = user_of(tokens), await joined(stack, server, tokens["access_token"])
        await here.ask("upgrade_buy", id=1)
        _, said = await looker.post("follow", id=user_id)
        heard: list[int] = []
        clicks = asyncio.create_task(cook_times(here, 20))
        while len(heard) < 20:
            _, said = await looker.post("follow", id=user_id, since=said["since"])
            cooked = (line for line in said["lines"] if line["kind"] == "cook")
            heard += [orjson.loads(line["data"])["version"] for line in cooked]
        await clicks
        assert heard == sorted(set(heard))
        assert said["player"]["processes"] == 1
        assert {row["name"]: row["live"] for row in said["player"]["rows"]}["clicks"] == "20"
        assert (await looker.post("follow", id=999_999))[0] == 404
        await looker.until("player", lambda said: said["saved_at"] and not said["unsaved_since"], id=user_id)


async def cook_times(each: Player, times: int) -> None:
    """Cook so often."""
    for _ in range(times):
        await each.ask("cook")


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Host": "evil.example"}, False),
        ({"Host": "127.0.0.1.evil.example:1400"}, False),
        ({"Host": "localhost:9999"}, True),
        ({"Host": "[::1]:9999"}, True),
        ({"Host": "desk.example.com"}, True),
        ({"Host": "desk.example.com", "Origin": "https://desk.example.com"}, True),
        ({"Host": "192.0.2.1"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://desk.example.com"}, True),
        ({"Host": "localhost:1", "Origin": "http://localhost:2"}, False),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, False),
    ],
)
async def test_other_sites_pages_are_refused(served: Served, headers: dict[str, str], allowed: bool) -> None:
    """By Host (DNS rebinding) and by Origin (CSRF), also with a good token, for pages and API alike."""
    anna = DeskClient(served[1])
    for method, path in (
        ("GET", "/"),
        ("GET", "/api/figures"),
        ("POST", "/api/order"),
        ("OPTIONS", "/api/me"),
    ):
        answer = await anna.raw(method, path, headers=headers, json={} if method == "POST" else None)
        assert (answer.status_code == 403) != allowed, (method, path, answer.text)
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")


def test_listening_everywhere_takes_bare_addresses_and_no_other_name() -> None:
    """An address in `Host` was typed by somebody; only names can be made to lead here."""
    for listens_on, host, allowed in (
        ("0.0.0.0", "192.0.2.1:1400", True),
        ("::", "[2001:db8::1]:1400", True),
        ("0.0.0.0", "evil.example:1400", False),
        ("192.0.2.1", "192.0.2.1:1400", True),
        ("192.0.2.1", "192.0.2.2:1400", False),
        ("desk.internal", "Desk.Internal:1400", True),
        ("desk.internal", "desk.internal@evil.example", False),
        ("127.0.0.1", "", False),
    ):
        refused = Guard((), listens_on, "").refuse_site(HttpRequest("GET", "/", (("host", host),)))
        assert (refused is None) == allowed, host


async def test_the_game_has_no_door_to_the_desk(served: Served) -> None:
    """The game's port knows none of the desk's routes, the desk none of the game's, and no WebSocket."""
    server, url = served
    anna, game = DeskClient(url), DeskClient(server.url)
    assert (await game.raw("GET", "/api/me")).status_code == 404
    assert (await game.raw("GET", "/main.js")).status_code == 404
    for path in ("/metrics", "/readyz", "/export", "/reg", "/app.js"):
        assert (await anna.raw("GET", path)).status_code == 404
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    assert (await anna.raw("GET", "/ws", headers=upgrade)).status_code == 404


async def test_bodies_are_bounded_and_checked(served: Served) -> None:
    """Too large, no JSON, no texts, no such command, no reason: refused in a line; the size from its head."""
    server, url = served
    anna, user_id = DeskClient(url), user_of(await asyncio.to_thread(register, server))
    large = await anna.raw("POST", "/api/order", content=b"x" * 600_000)
    assert large.status_code == 413
    wrong: list[tuple[int, dict[str, Any]]] = [
        (415, {"content": b"{}", "headers": {"Content-Type": "text/plain"}}),
        (400, {"content": b"{", "headers": {"Content-Type": "application/json"}}),
        (400, {"json": []}),
        (400, {"json": {"id": 5, "command": "delete"}}),
        (400, {"json": {"id": str(user_id), "command": "drop", "reason": "x"}}),
        (400, {"json": {"id": str(user_id), "command": "delete"}}),
        (400, {"json": {"id": str(user_id), "command": "delete", "reason": " "}}),
        (400, {"json": {"id": str(user_id), "command": "delete", "reason": "for a@b.c"}}),
        (400, {"json": {"id": str(user_id), "command": "suspend", "reason": "x"}}),
        (400, {"json": {"id": str(user_id), "command": "suspend", "reason": "x", "for": "3y"}}),
        (400, {"json": {"id": str(user_id), "command": "set-rank", "reason": "x", "rank": "٣"}}),
        (
            400,
            {
                "json": {
                    "id": str(user_id),
                    "command": "give",
                    "reason": "x",
                    "what": "money",
                    "amount": "NaN",
                }
            },
        ),
        (400, {"json": {"id": str(user_id), "command": "import", "reason": "x", "export": "["}}),
        (400, {"json": {"id": str(user_id), "command": "undo", "reason": "x", "number": "9" * 30}}),
        (404, {"json": {"id": "999999", "command": "delete", "reason": "x"}}),
        (404, {"json": {"id": "' OR 1=1 --", "command": "delete", "reason": "x"}}),
    ]
    for status, options in wrong:
        answer = await anna.raw("POST", "/api/order", **options)
        assert (answer.status_code, answer.json()["status"] > 0) == (status, True), options
    assert (await anna.post("player", id=user_id))[1]["log"] == []


async def test_ten_thousand_players_in_the_search(served: Served) -> None:
    """At most twenty are listed, whatever was typed; wildcards and quotes are letters like any others."""
    server, url = served
    connection = await asyncpg.connect(server.settings["DB_CONNECTION"])
    try:
        await connection.execute(
            "INSERT INTO accounts (email, password_hash, display_name)"
            " SELECT 'crowd' || n || '@example.com', '', 'Crowd ' || n FROM generate_series(1, 10000) AS n"
        )
        plan = await connection.fetch(
            "EXPLAIN SELECT id FROM accounts WHERE email ~>=~ 'crowd12' AND email ~<~ 'crowd13'"
            " ORDER BY email USING ~<~ LIMIT 21"
        )
    finally:
        await connection.close()
    assert "accounts_email_prefix" in "".join(str(line) for line in plan)
    anna = DeskClient(url)
    _, found = await anna.post("find", text="CROWD")
    assert (len(found["players"]), found["more"]) == (20, True)
    _, found = await anna.post("find", text="crowd 777")
    assert {each["name"][:9] for each in found["players"]} == {"Crowd 777"}
    _, found = await anna.post("find", text="crowd9999@")
    assert [each["email"] for each in found["players"]] == ["crowd9999@example.com"]
    for text in ("%", "_rowd", "crowd'", "\\", "\0", "\U0010ffff", "9" * 25):
        assert await anna.post("find", text=text) == (200, {"players": [], "more": False})
    assert (await anna.post("find", text="x" * 321))[0] == 400


async def test_many_orders_at_once(served: Served) -> None:
    """Of all players and of one: they take turns, none waits for another for good, and players can log in."""
    server, url = served
    connection = await asyncpg.connect(server.settings["DB_CONNECTION"])
    try:
        rows = await connection.fetch(
            "INSERT INTO accounts (email, password_hash)"
            " SELECT 'many' || n || '@example.com', '' FROM generate_series(1, 24) AS n RETURNING id"
        )
    finally:
        await connection.close()
    anna, ids = DeskClient(url), [row["id"] for row in rows] + [rows[-1]["id"]] * 8
    give = {"command": "give", "reason": "letter 5", "what": "money", "amount": "5"}
    orders = (
        anna.until("order", lambda made: made["outcome"] == "refused", id=user_id, **give) for user_id in ids
    )
    looks = (anna.until("player", lambda said: not said["rows"], id=user_id) for user_id in ids)
    await asyncio.gather(asyncio.to_thread(register, server), *orders, *looks)


async def test_postgresql_away(served: Served) -> None:
    """An order is refused with the reason and nothing half done; the same again is done once it is back."""
    server, url = served
    anna = DeskClient(url)
    async with AsyncExitStack() as stack:
        tokens = await asyncio.to_thread(register, server)
        user_id, here = user_of(tokens), await joined(stack, server, tokens["access_token"])
        give = {"id": user_id, "command": "give", "reason": "letter 9", "what": "money", "amount": 5}
        async with without_postgresql(server.settings["DB_CONNECTION"]):
            status, said = await anna.post("order", **give)
            assert (status, said["status"]) == (503, 6)
            assert said["message"].startswith("DB_CONNECTION: PostgreSQL")
            assert (await anna.post("find", text="player"))[0] == 503
            assert (await here.ask("session"))["session"]["money"] == 0
            away = {"postgresql_away"}
            await anna.until("figures", lambda said: away <= {each["name"] for each in said["troubles"]})
        await anna.until("order", lambda made: made["outcome"] == "done", **give)
        assert (await anna.post("order", **give))[1]["earlier"]
        assert (await here.ask("session"))["session"]["money"] == 5


@asynccontextmanager
async def without_postgresql(dsn: str) -> AsyncIterator[None]:
    """Let nobody connect to a database until the block ends, and end the connections that there are."""
    connection = await asyncpg.connect(dsn)
    name = await connection.fetchval("SELECT current_database()")
    await connection.close()
    connection = await asyncpg.connect(dsn, database="postgres")
    try:
        await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
        await connection.execute(ended, name)
        yield
    finally:
        await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await connection.close()


async def test_orders_while_the_player_clicks(served: Served) -> None:
    """Each action over the real desk: nothing is lost, the log has who and why, in the order of versions."""
    server, url = served
    anna = DeskClient(url)
    async with AsyncExitStack() as stack:
        tokens = await asyncio.to_thread(register, server)
        user_id, here = user_of(tokens), await joined(stack, server, tokens["access_token"])
        await here.ask("upgrade_buy", id=1)
        done = asyncio.Event()
        clicking = asyncio.create_task(click_until(here, done, 1))
        _, preview = await anna.post("preview", id=user_id, command="give", what="money", amount="500")
        assert preview == {"changes": [{"what": "money", "before": "0", "after": "500"}]}
        given = await anna.order(user_id, "give", "letter <b>1</b>", what="money", amount="500")
        assert given["changes"] == [{"what": "money", "before": "0", "after": "500"}]
        assert (await anna.order(user_id, "give", "letter <b>1</b>", what="money", amount="500"))["earlier"]
        await anna.order(user_id, "take", what="money", amount="100")
        await anna.order(user_id, "set-rank", rank=5)
        assert (await anna.order(user_id, "take", what="money", amount="500"))["outcome"] == "refused"
        await anna.order(user_id, "rename", name=f"Cook {user_id}")
        _, kept = await anna.post("export", id=user_id)
        undone = await anna.order(user_id, "undo", number=given["number"] + 1)
        assert undone["changes"] == [{"what": "money", "before": "400", "after": "500"}]
        export = kept | {"live": {**kept["live"], "money": 77}}
        await anna.order(user_id, "import", export=orjson.dumps(export).decode())
        done.set()
        clicks = await clicking
        shown = (await here.ask("session"))["session"]
        assert (shown["money"], shown["level"]["rank"]) == (77, 5)
        assert shown["dishes"] <= clicks
        link = (await anna.order(user_id, "reset-link"))["link"]
        assert link.startswith("/#reset=")
        _, player = await anna.post("player", id=user_id)
        versions = [entry["version"] for entry in player["log"] if entry["version"]]
        assert versions == sorted(versions, reverse=True)
        assert {entry["operator"] for entry in player["log"]} == {"anna"}
        assert player["log"][-1]["reason"] == "letter <b>1</b>"
        await anna.order(user_id, "suspend", **{"for": "3d"})
        assert (await anna.post("player", id=user_id))[1]["suspensions"][0]["because"] == "letter 1"
        await anna.order(user_id, "unsuspend")
        await anna.order(user_id, "log-out")
        await anna.order(user_id, "delete")
        assert (await anna.post("player", id=user_id))[0] == 404
