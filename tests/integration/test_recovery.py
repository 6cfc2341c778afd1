"""Other e-mails and forgotten passwords over HTTP, on real databases."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg
import pytest

from server.auth.errors import Busy
from server.auth.recovery_service import LINK_TTL_S, ResetLink
from tests.integration.test_guests import claim, guest
from tests.integration.test_http_accounts import AWAY, INVALID, NOT_ENOUGH, UNKNOWN, said
from tests.support.http_world import World, running
from tests.support.limits import LIMIT_S
from tests.support.players import user_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

OLD, NEW = "pass word", "a new kitchen door"
DONE = {"status": 0}
EXISTS = {"status": 3, "message": "this user already exist"}


@dataclass(slots=True)
class Postbox:
    """Keeps what is posted; links are made when somebody asks for them."""

    makers: list[Callable[[], Awaitable[ResetLink | None]]] = field(default_factory=list)
    former: list[str] = field(default_factory=list)
    full: bool = False

    def post_reset_link(self, make: Callable[[], Awaitable[ResetLink | None]]) -> None:
        """Keep who makes a link."""
        if self.full:
            raise Busy(60)
        self.makers.append(make)

    def post_email_changed(self, former_email: str) -> None:
        """Keep an address."""
        if self.full:
            raise Busy(60)
        self.former.append(former_email)

    async def links(self) -> list[ResetLink | None]:
        """Make every link that was asked for."""
        makers, self.makers = self.makers, []
        return [await make() for make in makers]


@pytest.fixture
def post() -> Postbox:
    """What was posted."""
    return Postbox()


@pytest.fixture
async def world(postgres_dsn: str, valkey_url: str, post: Postbox) -> AsyncIterator[World]:
    """A server without a throttle, which can send mail."""
    async with running(postgres_dsn, valkey_url, mail=post) as opened:
        yield opened


async def token_for(world: World, post: Postbox, email: str) -> str:
    """Ask for a link, and read it in the mail."""
    assert said(await world.post("/forgot", email=email)) == (200, DONE)
    [link] = await post.links()
    assert link is not None
    assert link.email == email
    return link.token


async def test_a_forgotten_password(world: World, post: Postbox) -> None:
    """A link sets a new one, once: the old one and every token from before are good for nothing."""
    email, before = await world.registered()
    renewed = (await world.post("/refresh", before["refresh_token"])).json()["tokens"]
    token = await token_for(world, post, email)
    answer = await world.post("/reset", token=token, password=NEW)
    assert answer.status_code == 200
    assert user_of(answer.json()["tokens"]) == user_of(before)
    for tokens in (before, renewed):
        assert said(await world.post("/refresh", tokens["refresh_token"])) == (401, INVALID)
    assert said(await world.post("/auth", email=email, password=OLD)) == (401, UNKNOWN)
    assert (await world.post("/auth", email=email, password=NEW)).status_code == 200
    after = answer.json()["tokens"]["refresh_token"]
    assert (await world.post("/refresh", after)).status_code == 200
    assert said(await world.post("/reset", token=token, password=NEW)) == (401, INVALID)


async def test_only_a_digest_of_a_link_is_kept(world: World, post: Postbox) -> None:
    """Who reads the database can use no link: neither the token nor the digest in its place."""
    email, _ = await world.registered()
    token = await token_for(world, post, email)
    [row] = await world.pool.fetch("SELECT reset_links::text AS everything, digest FROM reset_links")
    assert token not in row["everything"]
    assert row["digest"] == hashlib.sha256(token.encode()).digest()
    for kept in (row["digest"].hex(), row["everything"]):
        assert said(await world.post("/reset", token=kept, password=NEW)) == (401, INVALID)


async def test_a_link_that_is_not_good(world: World, post: Postbox) -> None:
    """Unknown, too old, odd: the same refusal, and a password that is not acceptable spends no link."""
    email, _ = await world.registered()
    token = await token_for(world, post, email)
    for odd in ("x", "\0", "ж" * 40, "a" * 5000, token[:-1], token + "A"):
        assert said(await world.post("/reset", token=odd, password=NEW)) == (401, INVALID)
    assert said(await world.post("/reset", token=token)) == (400, NOT_ENOUGH)
    assert said(await world.post("/reset", token="", password=NEW)) == (400, NOT_ENOUGH)
    short = (400, {"status": 5, "message": "password is shorter than 8 characters"})
    assert said(await world.post("/reset", token=token, password="short")) == short
    await world.pool.execute("UPDATE reset_links SET expires_at = expires_at - interval '29 minutes'")
    assert (await world.post("/reset", token=token, password=NEW)).status_code == 200
    late = await token_for(world, post, email)
    await world.pool.execute("UPDATE reset_links SET expires_at = expires_at - interval '30 minutes'")
    assert said(await world.post("/reset", token=late, password=NEW)) == (401, INVALID)
    assert LINK_TTL_S == 30 * 60


async def test_one_link_is_used_twice_at_once(world: World, post: Postbox) -> None:
    """One use counts: its password is the account's, and its pair the only one that is good."""
    email, _ = await world.registered()
    token = await token_for(world, post, email)
    passwords = [f"kitchen door {number}" for number in range(4)]
    answers = await asyncio.gather(
        *(world.post("/reset", token=token, password=password) for password in passwords)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    winner = [answer.status_code for answer in answers].index(200)
    for number, password in enumerate(passwords):
        expected = 200 if number == winner else 401
        assert expected == (await world.post("/auth", email=email, password=password)).status_code
    pair = answers[winner].json()["tokens"]
    assert (await world.post("/refresh", pair["refresh_token"])).status_code == 200


async def test_two_links_are_used_at_once(world: World, post: Postbox) -> None:
    """Using one ends the other: of two log-ins that would begin one does."""
    email, _ = await world.registered()
    tokens = [await token_for(world, post, email) for _ in range(2)]
    answers = await asyncio.gather(*(world.post("/reset", token=token, password=NEW) for token in tokens))
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    assert await world.pool.fetchval("SELECT count(*) FROM reset_links") == 0


async def test_other_changes_end_links(world: World, post: Postbox) -> None:
    """A link from before a new password or a new address sets nothing afterwards."""
    email, tokens = await world.registered()
    for path, fields in (
        ("/password", {"password": OLD, "new_password": NEW}),
        ("/email", {"password": NEW, "email": "other@example.com"}),
    ):
        link = await token_for(world, post, email)
        answer = await world.post(path, tokens["access_token"], **fields)
        assert answer.status_code == 200
        tokens = answer.json()["tokens"]
        assert said(await world.post("/reset", token=link, password=NEW)) == (401, INVALID)


async def test_a_link_of_a_deleted_account(world: World, post: Postbox) -> None:
    """It goes with the account."""
    email, tokens = await world.registered()
    token = await token_for(world, post, email)
    assert said(await world.delete(tokens["access_token"], OLD)) == (200, DONE)
    assert said(await world.post("/reset", token=token, password=NEW)) == (401, INVALID)
    assert await world.pool.fetchval("SELECT count(*) FROM reset_links") == 0


async def test_nobody_learns_who_has_an_account(world: World, post: Postbox) -> None:
    """Known or not, the answer is the same, and comes before anything was looked up: in the same time."""
    email, _ = await world.registered()
    known = await world.post("/forgot", email=email.upper())
    unknown = await world.post("/forgot", email="nobody@example.com")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert known.headers.keys() == unknown.headers.keys()
    assert await world.pool.fetchval("SELECT count(*) FROM reset_links") == 0
    found, nobody = await post.links()
    assert nobody is None
    assert found is not None
    assert found.email == email


async def test_what_forgot_refuses(world: World, post: Postbox) -> None:
    """A field that is missing, what is no address, and more mail than can wait."""
    assert said(await world.post("/forgot")) == (400, NOT_ENOUGH)
    wrong = (400, {"status": 5, "message": "email is not an e-mail address"})
    assert said(await world.post("/forgot", email="nobody")) == wrong
    post.full = True
    refused = await world.post("/forgot", email="nobody@example.com")
    assert said(refused) == (503, AWAY)
    assert refused.headers["retry-after"] == "60"


async def test_without_mail(postgres_dsn: str, valkey_url: str) -> None:
    """Where none can be sent no link can be asked for; an address may be changed all the same."""
    async with running(postgres_dsn, valkey_url) as world:
        email, tokens = await world.registered()
        refused = await world.post("/forgot", email=email)
        assert said(refused) == (503, AWAY)
        assert int(refused.headers["retry-after"]) > 0
        fields = {"password": OLD, "email": "other@example.com"}
        assert (await world.post("/email", tokens["access_token"], **fields)).status_code == 200


async def test_an_account_gets_few_links(world: World, post: Postbox) -> None:
    """Three in 15 minutes; the answers are the same."""
    email, _ = await world.registered()
    for _ in range(5):
        assert said(await world.post("/forgot", email=email)) == (200, DONE)
    made = await post.links()
    assert [link is not None for link in made] == [True, True, True, False, False]
    await world.pool.execute("UPDATE reset_links SET created_at = created_at - interval '15 minutes'")
    await token_for(world, post, email)


async def test_links_are_throttled_apart_from_log_ins(
    postgres_dsn: str, valkey_url: str, post: Postbox
) -> None:
    """Who was locked out for wrong passwords can have a link sent; too many askings are refused."""
    async with running(postgres_dsn, valkey_url, rate=2, mail=post) as world:
        email, _ = await world.registered()
        for _ in range(2):
            assert said(await world.post("/auth", email=email, password="wrong")) == (401, UNKNOWN)
        locked = await world.post("/auth", email=email, password=OLD)
        assert locked.status_code == 429
        assert 1 <= int(locked.headers["retry-after"]) <= 900
        token = await token_for(world, post, email)
        assert (await world.post("/forgot", email=email)).status_code == 200
        refused = await world.post("/forgot", email=email)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 900
        assert (await world.post("/reset", token=token, password=NEW)).status_code == 200


async def test_guessing_links_is_throttled(postgres_dsn: str, valkey_url: str, post: Postbox) -> None:
    """Each wrong one counts for its address."""
    async with running(postgres_dsn, valkey_url, rate=1, mail=post) as world:
        answers = [await world.post("/reset", token=f"guess{number}", password=NEW) for number in range(11)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429]


async def test_another_address(world: World, post: Postbox) -> None:
    """The account is found by it, the former one is free and gets a mail, and all older log-ins end."""
    email, tokens = await world.registered()
    second = (await world.post("/auth", email=email, password=OLD)).json()["tokens"]
    answer = await world.post("/email", tokens["access_token"], password=OLD, email="New@Example.com")
    assert answer.status_code == 200
    assert answer.json()["status"] == 0
    for before in (tokens, second):
        assert said(await world.post("/refresh", before["refresh_token"])) == (401, INVALID)
    after = answer.json()["tokens"]["refresh_token"]
    assert (await world.post("/refresh", after)).status_code == 200
    assert said(await world.post("/auth", email=email, password=OLD)) == (401, UNKNOWN)
    logged_in = await world.post("/auth", email="new@example.com", password=OLD)
    assert user_of(logged_in.json()["tokens"]) == user_of(tokens)
    assert post.former == [email]
    assert (await world.post("/reg", email=email, password=NEW)).status_code == 200


async def test_an_address_in_other_letters(world: World, post: Postbox) -> None:
    """The same address is no other one: nobody gets a mail."""
    email, tokens = await world.registered()
    answer = await world.post("/email", tokens["access_token"], password=OLD, email=email.upper())
    assert answer.status_code == 200
    assert post.former == []


async def test_what_another_address_needs(world: World, post: Postbox) -> None:
    """The password, an acceptable address that nobody has, and a log-in of an account that has one."""
    taken, _ = await world.registered()
    email, tokens = await world.registered()
    access = tokens["access_token"]
    for expected, fields in (
        ((400, NOT_ENOUGH), {"email": "a@b.cd"}),
        ((401, UNKNOWN), {"password": "wrong", "email": "a@b.cd"}),
        (
            (400, {"status": 5, "message": "email is not an e-mail address"}),
            {"password": OLD, "email": "a@b"},
        ),
        ((409, EXISTS), {"password": OLD, "email": taken.upper()}),
    ):
        assert expected == said(await world.post("/email", access, **fields))
    access_of_guest = (await guest(world))["access_token"]
    answer = await world.post("/email", access_of_guest, password=OLD, email="a@b.cd")
    assert said(answer) == (401, UNKNOWN)
    assert (await world.post("/auth", email=email, password=OLD)).status_code == 200
    assert post.former == []


async def test_a_full_postbox_stops_no_change(world: World, post: Postbox) -> None:
    """The change counts although the former address gets no mail."""
    _, tokens = await world.registered()
    post.full = True
    answer = await world.post("/email", tokens["access_token"], password=OLD, email="a@b.cd")
    assert answer.status_code == 200


async def test_two_accounts_want_one_address(world: World) -> None:
    """One gets it; the other stays as it was."""
    accounts = [await world.registered() for _ in range(2)]
    answers = await asyncio.gather(
        *(
            world.post("/email", tokens["access_token"], password=OLD, email="a@b.cd")
            for _, tokens in accounts
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    email, tokens = accounts[[answer.status_code for answer in answers].index(409)]
    assert (await world.post("/refresh", tokens["refresh_token"])).status_code == 200
    assert (await world.post("/auth", email=email, password=OLD)).status_code == 200


async def test_a_claimed_account_can_be_recovered(world: World, post: Postbox) -> None:
    """A guest has no link to be sent; once claimed, the account has."""
    tokens = await guest(world)
    assert (await claim(world, tokens, "anna@example.com")).status_code == 200
    link = await token_for(world, post, "anna@example.com")
    answer = await world.post("/reset", token=link, password=NEW)
    assert user_of(answer.json()["tokens"]) == user_of(tokens)


async def test_a_link_is_never_sent_to_a_former_address(world: World, post: Postbox) -> None:
    """One that is made while the address changes is made for nobody."""
    email, tokens = await world.registered()
    assert (await world.post("/forgot", email=email)).status_code == 200
    connection = await asyncpg.connect(world.dsn)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT FROM accounts WHERE id = $1 FOR UPDATE", user_of(tokens))
    making = asyncio.create_task(post.links())
    async with asyncio.timeout(LIMIT_S):
        while not await world.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - in PostgreSQL
            await asyncio.sleep(0.01)
    await connection.execute("UPDATE accounts SET email = 'other@example.com' WHERE id = $1", user_of(tokens))
    await transaction.commit()
    await connection.close()
    assert await making == [None]


async def test_old_links_are_forgotten(world: World, post: Postbox) -> None:
    """What expired is deleted by the tidying; what is good stays."""
    email, _ = await world.registered()
    await token_for(world, post, email)
    await world.pool.execute("UPDATE reset_links SET expires_at = now() - interval '1 second'")
    good = await token_for(world, post, email)
    await world.recovery.prune()
    assert await world.pool.fetchval("SELECT count(*) FROM reset_links") == 1
    assert (await world.post("/reset", token=good, password=NEW)).status_code == 200


COMMON = "Sunshine"
COMMON_WHY = "is one of the 1,000 most common ones"


async def test_common_passwords_are_refused_wherever_one_is_set(world: World, post: Postbox) -> None:
    """By every route, and nothing is changed; a log-in with one that was set before goes on as before."""
    email, tokens = await world.registered()
    link = await token_for(world, post, email)
    access, access_of_guest = tokens["access_token"], (await guest(world))["access_token"]
    for path, bearer, field_name, fields in (
        ("/reg", None, "password", {"email": "a@b.cd", "password": COMMON}),
        ("/claim", access_of_guest, "password", {"email": "a@b.cd", "password": COMMON}),
        ("/password", access, "new_password", {"password": OLD, "new_password": COMMON}),
        ("/reset", None, "password", {"token": link, "password": COMMON}),
    ):
        refused = (400, {"status": 5, "message": f"{field_name} {COMMON_WHY}"})
        assert refused == said(await world.post(path, bearer, **fields))
    assert (await world.post("/reset", token=link, password=NEW)).status_code == 200
    kept = await world.hasher.hash(COMMON)
    await world.pool.execute("UPDATE accounts SET password_hash = $2 WHERE email = $1", email, kept)
    assert (await world.post("/auth", email=email, password=COMMON)).status_code == 200
