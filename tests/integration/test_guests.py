"""Guests over HTTP, on real databases: they play at once, claim what they made, or are forgotten in time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from game.session import UserId
from persistence.durable.community import Community
from persistence.live.emails import show_emails
from persistence.live.hashes import fields_of, texts_of
from persistence.live.keys import bucket_of
from persistence.live.scripts import load_scripts
from persistence.live.store import call, open_store
from server.auth.tidying import tidy_once
from server.http.people_routes import Features
from tests.integration.test_http_accounts import INVALID, NOT_ENOUGH, UNKNOWN, said
from tests.support.http_world import World, running
from tests.support.players import user_of
from tests.support.saving_world import player

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

PASSWORD = "a kitchen of my own"
EXISTS = {"status": 3, "message": "this user already exist"}
CLAIMED = {"status": 9, "message": "this account has an e-mail already"}
DONE = {"status": 0}


@pytest.fixture
async def world(postgres_dsn: str, valkey_url: str) -> AsyncIterator[World]:
    """A server without a throttle."""
    async with running(postgres_dsn, valkey_url) as opened:
        yield opened


async def guest(world: World) -> dict[str, str]:
    """Begin to play; returns the tokens."""
    answer = await world.post("/guest")
    assert answer.status_code == 200
    tokens: dict[str, str] = answer.json()["tokens"]
    return tokens


async def claim(world: World, tokens: dict[str, str], email: str) -> httpx.Response:
    """Claim a guest's account."""
    return await world.post("/claim", tokens["access_token"], email=email, password=PASSWORD)


async def test_a_guest_needs_nothing(world: World) -> None:
    """Any body, and none, makes another player, whose pair can be renewed and logged out."""
    first, second = await guest(world), await guest(world)
    assert user_of(first) != user_of(second)
    assert (await world.client.post("/guest", content=b"{", headers={"Content-Type": "x"})).status_code == 200
    renewed = await world.post("/refresh", first["refresh_token"])
    assert user_of(renewed.json()["tokens"]) == user_of(first)
    assert said(await world.post("/logout", second["refresh_token"])) == (200, DONE)
    rows = await world.pool.fetch("SELECT email, password_hash FROM accounts")
    assert [(row["email"], row["password_hash"]) for row in rows] == [(None, None)] * 3


async def test_guests_may_be_turned_off(postgres_dsn: str, valkey_url: str) -> None:
    """Where no guests are wanted the route is unknown, and the page can ask so."""
    off = Features(guests=False, guest_ttl_days=90, mail=False)
    async with running(postgres_dsn, valkey_url, features=off) as world:
        assert said(await world.post("/guest")) == (404, {"status": 8, "message": "not found"})
        assert said(await world.client.get("/features")) == (
            200,
            {"guests": False, "guest_ttl_days": 90, "mail": False},
        )


async def test_guests_count_for_their_address(postgres_dsn: str, valkey_url: str) -> None:
    """Ten times AUTH_RATE of them in 15 minutes, as with /reg; the answer says when there is room."""
    async with running(postgres_dsn, valkey_url, rate=1) as world:
        answers = [await world.post("/guest") for _ in range(11)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 900
        assert (await world.post("/reg", email="a@b.cd", password=PASSWORD)).status_code == 429
        assert (await claim(world, answers[0].json()["tokens"], "a@b.cd")).status_code == 429


async def test_claiming(world: World) -> None:
    """The guest stays the same player and can log in; no token from before is good, its own neither."""
    tokens = await guest(world)
    answer = await claim(world, tokens, "Anna@Example.com")
    assert answer.status_code == 200
    after = answer.json()["tokens"]
    assert user_of(after) == user_of(tokens)
    assert said(await world.post("/refresh", tokens["refresh_token"])) == (401, INVALID)
    assert said(await claim(world, tokens, "other@example.com")) == (401, INVALID)
    assert (await world.post("/refresh", after["refresh_token"])).status_code == 200
    logged_in = await world.post("/auth", email="anna@example.com", password=PASSWORD)
    assert user_of(logged_in.json()["tokens"]) == user_of(tokens)
    assert said(await claim(world, logged_in.json()["tokens"], "other@example.com")) == (409, CLAIMED)


async def test_the_grace_does_not_reach_across_a_claim(world: World) -> None:
    """A refresh token that was used within the last 30 s yields nothing once its player was claimed."""
    tokens = await guest(world)
    renewed = (await world.post("/refresh", tokens["refresh_token"])).json()["tokens"]
    assert (await claim(world, renewed, "anna@example.com")).status_code == 200
    for before in (tokens, renewed):
        assert said(await world.post("/refresh", before["refresh_token"])) == (401, INVALID)


async def test_claiming_refusals(world: World) -> None:
    """What /reg refuses /claim refuses, and the guest plays on with the same tokens."""
    taken, _ = await world.registered()
    tokens = await guest(world)
    access = tokens["access_token"]
    assert said(await world.post("/claim", access, email="a@b.cd")) == (400, NOT_ENOUGH)
    for fields, message in (
        ({"email": "no address", "password": PASSWORD}, "email is not an e-mail address"),
        ({"email": "a@b.cd", "password": "short"}, "password is shorter than 8 characters"),
        ({"email": "a@b.cd", "password": "nul\0 in a text"}, "password contains U+0000"),
    ):
        expected = (400, {"status": 5, "message": message})
        assert expected == said(await world.post("/claim", access, **fields))
    assert said(await claim(world, tokens, taken.upper())) == (409, EXISTS)
    assert said(await world.post("/claim", tokens["refresh_token"], email="a@b.cd", password=PASSWORD)) == (
        401,
        INVALID,
    )
    assert (await world.post("/refresh", tokens["refresh_token"])).status_code == 200


async def test_two_tabs_claim_at_once(world: World) -> None:
    """One succeeds, the other hears that the account has an e-mail, and the winner's pair is good."""
    tokens = await guest(world)
    emails = ("one@example.com", "two@example.com")
    answers = await asyncio.gather(*(claim(world, tokens, email) for email in emails))
    won = [answer for answer in answers if answer.status_code == 200]
    lost = [said(answer) for answer in answers if answer.status_code != 200]
    assert len(won) == 1
    # The loser's token may have ended before it was looked at.
    assert lost in ([(409, CLAIMED)], [(401, INVALID)])
    after = won[0].json()["tokens"]
    assert (await world.post("/refresh", after["refresh_token"])).status_code == 200
    kept = await world.pool.fetchval("SELECT email FROM accounts WHERE id = $1", user_of(tokens))
    assert (await world.post("/auth", email=kept, password=PASSWORD)).status_code == 200


async def test_two_guests_want_one_address(world: World) -> None:
    """One gets it, the other is refused and stays a guest whose tokens are good."""
    guests = [await guest(world), await guest(world)]
    answers = await asyncio.gather(*(claim(world, tokens, "a@b.cd") for tokens in guests))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    loser = guests[[answer.status_code for answer in answers].index(409)]
    assert (await world.post("/refresh", loser["refresh_token"])).status_code == 200


async def test_a_guest_is_deleted_without_a_password(world: World) -> None:
    """Its token is enough; an account that has a password must give it."""
    tokens = await guest(world)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert said(await world.client.request("DELETE", "/account", headers=headers)) == (200, DONE)
    assert said(await world.client.request("DELETE", "/account", headers=headers)) == (401, INVALID)
    assert await world.pool.fetchval("SELECT count(*) FROM accounts") == 0
    assert world.forgotten == [user_of(tokens)]
    _, own = await world.registered()
    headers = {"Authorization": f"Bearer {own['access_token']}"}
    assert said(await world.client.request("DELETE", "/account", headers=headers)) == (400, NOT_ENOUGH)


async def test_a_guest_has_no_password_to_confirm(world: World) -> None:
    """Nothing that wants a password is done for a guest, whatever is given."""
    access = (await guest(world))["access_token"]
    answer = await world.post("/password", access, password=PASSWORD, new_password=PASSWORD)
    assert said(answer) == (401, UNKNOWN)


async def test_deleted_while_it_is_claimed(world: World) -> None:
    """Either the guest is gone and the claim refused, or it is claimed and not deleted; never half."""
    for number in range(5):
        tokens = await guest(world)
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        email = f"racer{number}@example.com"
        deleted, claimed = await asyncio.gather(
            world.client.request("DELETE", "/account", headers=headers), claim(world, tokens, email)
        )
        rows = await world.pool.fetch("SELECT email FROM accounts WHERE id = $1", user_of(tokens))
        if claimed.status_code == 200:
            assert deleted.status_code in {400, 401}
            assert [row["email"] for row in rows] == [email]
            after = claimed.json()["tokens"]["refresh_token"]
            assert (await world.post("/refresh", after)).status_code == 200
        else:
            assert (claimed.status_code, deleted.status_code) == (401, 200)
            assert rows == []
        assert said(await world.post("/refresh", tokens["refresh_token"])) == (401, INVALID)


async def test_a_log_out_everywhere(world: World) -> None:
    """Every log-in of the player ends, the one that asks too; a token that has ended can't ask."""
    email, first = await world.registered()
    second = (await world.post("/auth", email=email, password="pass word")).json()["tokens"]
    assert said(await world.post("/logout/everywhere", first["access_token"])) == (401, INVALID)
    assert said(await world.post("/logout/everywhere", first["refresh_token"])) == (200, DONE)
    for tokens in (first, second):
        assert said(await world.post("/refresh", tokens["refresh_token"])) == (401, INVALID)
        assert said(await world.post("/logout/everywhere", tokens["refresh_token"])) == (401, INVALID)
    assert (await world.post("/auth", email=email, password="pass word")).status_code == 200


async def age(world: World, user_id: UserId, days: int) -> None:
    """Let days pass for all that shows when a player came."""
    for table, column, key in (
        ("accounts", "created_at", "id"),
        ("sessions", "updated_at", "user_id"),
        ("families", "expires_at", "user_id"),
    ):
        await world.pool.execute(
            f"UPDATE {table} SET {column} = {column} - make_interval(days => $2) WHERE {key} = $1",  # noqa: S608 - of this test
            user_id,
            days,
        )


async def test_guests_who_stay_away_are_deleted(world: World) -> None:
    """Who came, saved or renewed within the time stays, and so does who has an e-mail."""
    users = [user_of(await guest(world)) for _ in range(5)]
    gone, came, saved, renewed, claimed = users
    _, old = await world.registered()
    for user in (gone, saved, renewed, claimed, user_of(old)):
        await world.pool.execute(
            "INSERT INTO sessions (user_id, version, accrued_at) VALUES ($1, 1, 0)", user
        )
        await age(world, user, 91)
    await age(world, came, 89)
    await world.pool.execute("UPDATE sessions SET updated_at = now() WHERE user_id = $1", saved)
    await world.pool.execute("UPDATE families SET expires_at = now() WHERE user_id = $1", renewed)
    await world.pool.execute(
        "UPDATE accounts SET email = 'a@b.cd', password_hash = '-' WHERE id = $1", claimed
    )

    community = Community(world.pool)
    await tidy_once(world.guests, world.recovery, community)
    await community.stop()

    left = await world.pool.fetch("SELECT id FROM accounts ORDER BY id")
    assert [row["id"] for row in left] == sorted([came, saved, renewed, claimed, user_of(old)])
    assert await world.pool.fetchval("SELECT count(*) FROM sessions WHERE user_id = $1", gone) == 0
    assert world.forgotten == [gone]


async def test_guests_are_looked_through_in_steps(world: World) -> None:
    """A step looks at so many guests and no more; the one after the last begins again."""
    users = [user_of(await guest(world)) for _ in range(5)]
    for user in users:
        await age(world, user, 91)
    assert await world.guests.delete_away(2)
    assert world.forgotten == users[:2]
    assert await world.guests.delete_away(2)
    assert not await world.guests.delete_away(2)
    assert world.forgotten == users
    late = user_of(await guest(world))
    await age(world, late, 91)
    assert not await world.guests.delete_away(2)
    assert world.forgotten == [*users, late]


async def test_a_deleted_name_leaves_the_leaderboard(world: World) -> None:
    """It is computed again at once, however fresh it was, and only where a name was deleted."""
    tokens = await guest(world)
    user = user_of(tokens)
    await world.pool.execute("INSERT INTO sessions (user_id, version, accrued_at) VALUES ($1, 1, 0)", user)
    community = Community(world.pool)
    await community.set_name(user, "Anna of the kitchen")
    await community.leaderboard(user, "money")
    assert not await community.forget_deleted()
    assert await world.pool.fetchval("SELECT name FROM leaderboard") == "Anna of the kitchen"
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert said(await world.client.request("DELETE", "/account", headers=headers)) == (200, DONE)
    assert await community.forget_deleted()
    assert await world.pool.fetchval("SELECT count(*) FROM leaderboard") == 0
    assert not await community.forget_deleted()
    await community.stop()


async def test_a_session_shows_the_e_mail_at_once(world: World) -> None:
    """Where the session lies in Redis it shows the new address, and nothing else of it changes."""
    tokens = await guest(world)
    user = user_of(tokens)
    key = world.store.keys.session(user)
    words = fields_of(player(user), "")
    await world.store.run([call(bucket_of(user), "HSET", key, *words)])
    [before] = await world.store.hashes([user])
    assert (await claim(world, tokens, "anna@example.com")).status_code == 200
    [after] = await world.store.hashes([user])
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    bought, achieved, email = texts_of(after)
    assert (bought, achieved, email) == (*texts_of(before)[:2], b"anna@example.com")
    assert {**after, b"texts": b""} == {**before, b"texts": b""}


async def test_an_e_mail_that_redis_missed_is_put_back(world: World) -> None:
    """What changed lately is shown again by the housekeeping, also where nobody remembers that it is owed."""
    tokens = await guest(world)
    user = user_of(tokens)
    assert (await claim(world, tokens, "anna@example.com")).status_code == 200
    await world.store.run(
        [call(bucket_of(user), "HSET", world.store.keys.session(user), *fields_of(player(user), ""))]
    )
    await world.accounts.restore_revocations()
    [fields] = await world.store.hashes([user])
    assert isinstance(fields, dict)
    assert texts_of(fields)[2] == b"anna@example.com"


async def test_a_load_under_way_reads_the_e_mail_again(world: World) -> None:
    """The claim of a cold load ends with the change, so that the address read before it is not written."""
    user = user_of(await guest(world))
    key = world.store.keys.load(user)
    await world.store.run([call(bucket_of(user), "SET", key, "a load")])
    assert await show_emails(world.store, [(user, "anna@example.com")]) == 1
    assert await world.store.run([call(bucket_of(user), "EXISTS", key)]) == [0]


async def test_a_wrong_clock_deletes_nobody(postgres_dsn: str, valkey_url: str) -> None:
    """Where PostgreSQL's time and the server's differ by over an hour, nobody knows who stayed away."""
    wrong = time.time() - 3700
    async with running(postgres_dsn, valkey_url, clock=lambda: wrong) as world:
        user = user_of(await guest(world))
        await age(world, user, 91)
        assert not await world.guests.delete_away(10)
        assert world.forgotten == []
        wrong += 200
        assert not await world.guests.delete_away(10)
        assert world.forgotten == [user]


async def test_an_e_mail_on_a_cluster(cluster_url: str) -> None:
    """The session and the claim of its load share a slot, and the e-mail is written where they lie."""
    users = [UserId(number) for number in (1, 500, 1023)]
    async with open_store(cluster_url, "me", load_scripts()) as store:
        for user in users:
            words = fields_of(player(user), "")
            await store.run([call(bucket_of(user), "HSET", store.keys.session(user), *words)])
        await show_emails(store, [(user, f"{user}@example.com") for user in users])
        for user, fields in zip(users, await store.hashes(users), strict=True):
            assert isinstance(fields, dict)
            assert texts_of(fields)[2] == f"{user}@example.com".encode()
