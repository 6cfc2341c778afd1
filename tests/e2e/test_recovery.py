"""Forgotten passwords and other addresses on running servers, with a real mail server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.test_guests import post
from tests.security.test_revoked_everywhere import refused_everywhere, revoked
from tests.support.game_server import GameServer, running_game
from tests.support.limits import LIMIT_S
from tests.support.mail_server import PASSWORD as MAIL_PASSWORD
from tests.support.mail_server import USER, MailServer, link_token, running_mail_server
from tests.support.players import EXTERNAL, PASSWORD, player, register
from tests.support.tls import make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW = "a new kitchen door"
PUBLIC_URL = "https://play.example/kitchen"
MAILED_PASSWORD = "pepper%20%40%3A%2F%3F%23%25"

Servers = tuple[GameServer, GameServer]


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    """A mail server that wants STARTTLS and a password."""
    certificate = make_certificate(tmp_path_factory.mktemp("tls"))
    with running_mail_server(certificate, auth=True) as server:
        yield server


@pytest.fixture(scope="module")
def servers(module_databases: dict[str, str], mail_server: MailServer) -> Iterator[Servers]:
    """Two servers over the same databases, the second with two workers, which send mail."""
    settings = {
        **EXTERNAL,
        **module_databases,
        "SMTP_URL": f"smtp://{USER}:{MAILED_PASSWORD}@127.0.0.1:{mail_server.port}",
        "MAIL_FROM": "Click & Cook <game@example.com>",
        "PUBLIC_URL": f"{PUBLIC_URL}/",
        "LOG_LEVEL": "debug",
    }
    with running_game(settings) as first, running_game({**settings, "WORKERS": "2"}) as second:
        yield first, second


async def test_a_forgotten_password_by_mail(servers: Servers, mail_server: MailServer) -> None:
    """The link of the mail ends every log-in on every process, and its pair plays on where the game was."""
    email = "forgetful@example.com"
    before = await asyncio.to_thread(register, servers[0], email)
    async with (
        player(servers[0], before["access_token"]) as first,
        player(servers[1], before["access_token"]) as second,
    ):
        for each in (first, second):
            await each.ask("session")
        assert "code" not in await first.ask("upgrade_buy", id=1)
        assert (await second.ask("cook", count=5))["dishes"] == 5
        for server in servers:
            offered = await asyncio.to_thread(httpx.get, f"{server.url}/features", timeout=LIMIT_S)
            assert offered.json() == {"guests": True, "guest_ttl_days": 90, "mail": True}
        assert (await post(servers[1], "/forgot", email=email)).json() == {"status": 0}
        assert (await post(servers[1], "/forgot", email="nobody@example.com")).json() == {"status": 0}
        mail = await mail_server.mail(email)
        assert mail.over_tls
        token = link_token(mail, PUBLIC_URL)
        closing = asyncio.gather(*(revoked(each.socket) for each in (first, second)))
        reset = await post(servers[0], "/reset", token=token, password=NEW)
        assert reset.status_code == 200
        await closing
    await refused_everywhere(servers, before)
    for server in servers:
        assert (await post(server, "/reset", token=token, password=NEW)).status_code == 401
        assert (await post(server, "/auth", email=email, password=PASSWORD)).status_code == 401
        assert (await post(server, "/auth", email=email, password=NEW)).status_code == 200
    after = reset.json()["tokens"]
    async with player(servers[1], after["access_token"]) as each:
        assert (await each.ask("session"))["session"]["dishes"] == 5
    assert mail_server.mails("nobody@example.com") == []
    for server in servers:
        for secret in (token, MAIL_PASSWORD, MAILED_PASSWORD, NEW, email):
            assert secret not in server.log


async def test_another_address_ends_every_log_in_everywhere(
    servers: Servers, mail_server: MailServer
) -> None:
    """Connections on every process close, the session shows the new address, the former one gets a mail."""
    before = await asyncio.to_thread(register, servers[0], "former@example.com")
    async with (
        player(servers[0], before["access_token"]) as first,
        player(servers[1], before["access_token"]) as second,
    ):
        for each in (first, second):
            assert (await each.ask("session"))["session"]["user_email"] == "former@example.com"
        closing = asyncio.gather(*(revoked(each.socket) for each in (first, second)))
        changed = await post(
            servers[1], "/email", before["access_token"], password=PASSWORD, email="present@example.com"
        )
        assert changed.status_code == 200
        await closing
    await refused_everywhere(servers, before)
    after = changed.json()["tokens"]
    for server in servers:
        async with player(server, after["access_token"]) as each:
            assert (await each.ask("session"))["session"]["user_email"] == "present@example.com"
    mail = await mail_server.mail("former@example.com")
    assert "present@example.com" not in mail.text
    assert mail_server.mails("present@example.com") == []
