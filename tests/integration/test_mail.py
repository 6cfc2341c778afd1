"""Mail over a real SMTP server: what arrives, over TLS or not, and what happens while it does not."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from persistence.errors import DurableUnavailable
from runtime.mail_settings import parse_smtp_url
from scripts.ports import free_port
from server.auth.errors import Busy
from server.mail.letters import Letter, email_changed_letter, reset_letter
from server.mail.outbox import Outbox
from server.mail.smtp import MailNotSent, SmtpSender
from tests.support.limits import LIMIT_S
from tests.support.mail_server import PASSWORD, USER, MailServer, running_mail_server
from tests.support.tls import Certificate, make_certificate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SENDER = "Кухня <game@example.com>"
CREDENTIALS = f"{USER}:{quote(PASSWORD, safe='')}@"
AGAIN_S = (0.05, 0.05)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate that nobody vouches for."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """A server that takes mail without TLS."""
    with running_mail_server() as server:
        yield server


def sender(url: str) -> SmtpSender:
    """Send over a server."""
    return SmtpSender(parse_smtp_url(url), SENDER)


@contextlib.asynccontextmanager
async def delivering(outbox: Outbox) -> AsyncIterator[None]:
    """Let an outbox work."""
    working = asyncio.create_task(outbox.run())
    try:
        yield
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def settled(outbox: Outbox) -> None:
    """Wait until nothing waits."""
    async with asyncio.timeout(LIMIT_S):
        while outbox.waiting:  # noqa: ASYNC110 - another task's work
            await asyncio.sleep(0.01)


def letter_for(recipient: str) -> Letter:
    """A letter as players get it."""
    return reset_letter(recipient, "https://play.example/#reset=abc", 30, "ru")


async def test_a_letter_arrives_whole(mail_server: MailServer) -> None:
    """Both languages, the link unbroken in each, and headers that say who wrote and that no answer is due."""
    letter = letter_for("anna@example.com")
    await sender(f"smtp://127.0.0.1:{mail_server.port}").send(letter)
    mail = await mail_server.mail("anna@example.com")
    assert mail.text == letter.text
    assert mail.text.count("https://play.example/#reset=abc\n") == 2
    assert mail.text.index("пароль") < mail.text.index("password")
    assert mail.message["Subject"] == "Click & Cook: Новый пароль / A new password"
    assert mail.message["From"] == SENDER
    assert mail.message["To"] == "anna@example.com"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["Message-ID"].endswith("@example.com>")
    assert mail.message["Date"]
    assert not mail.over_tls


@pytest.mark.parametrize("tls", [False, True], ids=["STARTTLS", "TLS"])
async def test_a_password_goes_over_tls(certificate: Certificate, *, tls: bool) -> None:
    """With a user and a password, by STARTTLS or TLS from the start, also with a certificate of our own."""
    with running_mail_server(certificate, tls=tls, auth=True) as server:
        scheme = "smtps" if tls else "smtp"
        for options in ("", f"?cafile={certificate.file}"):
            url = f"{scheme}://{CREDENTIALS}127.0.0.1:{server.port}{options}"
            await sender(url).send(letter_for("anna@example.com"))
        assert [mail.over_tls for mail in server.mails()] == [True, True]
        wrong = f"{scheme}://{USER}:wrong@127.0.0.1:{server.port}"
        with pytest.raises(MailNotSent, match="SMTPAuthenticationError: 535") as refused:
            await sender(wrong).send(letter_for("anna@example.com"))
        assert not refused.value.permanent


async def test_starttls_that_is_required_and_not_offered(mail_server: MailServer) -> None:
    """Nothing is sent in the clear where TLS was wanted."""
    url = f"smtp://127.0.0.1:{mail_server.port}?starttls=required"
    with pytest.raises(MailNotSent):
        await sender(url).send(letter_for("anna@example.com"))
    assert mail_server.mails() == []


async def test_a_certificate_of_others_is_refused(
    certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where an authority is named, a certificate that it does not vouch for ends the connection."""
    other = make_certificate(tmp_path_factory.mktemp("other"))
    with running_mail_server(certificate) as server:
        url = f"smtp://127.0.0.1:{server.port}?cafile={other.file}"
        with pytest.raises(MailNotSent):
            await sender(url).send(letter_for("anna@example.com"))
        assert server.mails() == []


@pytest.mark.parametrize(
    ("recipient", "permanent"), [("gone@example.com", True), ("full@example.com", False)]
)
async def test_a_refused_recipient(mail_server: MailServer, recipient: str, *, permanent: bool) -> None:
    """Whether to try again is known, and the reason names no address."""
    with pytest.raises(MailNotSent) as refused:
        await sender(f"smtp://127.0.0.1:{mail_server.port}").send(letter_for(recipient))
    assert permanent is refused.value.permanent
    assert recipient not in str(refused.value)


async def test_odd_addresses(mail_server: MailServer) -> None:
    """Every address that an account may have gets its mail, or is refused in order."""
    outbox = Outbox(sender(f"smtp://127.0.0.1:{mail_server.port}").send, AGAIN_S)
    odd = [
        "a..b@example.com",
        ".a@example.com",
        "a'b*c/d=e?f^g`h{i|j}k~l@example.com",
        "a@" + "b" * 63 + ".example",
    ]

    def write_to(recipient: str) -> None:
        async def write() -> Letter:
            return email_changed_letter(recipient, "en")

        outbox.post(write)

    async with delivering(outbox):
        for recipient in odd:
            write_to(recipient)
        await settled(outbox)
    assert outbox.totals.sent + outbox.totals.failed == len(odd)
    assert len(mail_server.mails()) == outbox.totals.sent


async def test_mail_waits_for_its_server() -> None:
    """A server that is away gets the mail when it is back; so does an outage of what finds the recipient."""
    with running_mail_server() as first:
        port = first.port
        first.stop()
        away = asyncio.Event()
        failures = iter([DurableUnavailable("away"), None])

        async def write() -> Letter:
            failure = next(failures)
            if failure is not None:
                raise failure
            away.set()
            return letter_for("anna@example.com")

        outbox = Outbox(sender(f"smtp://127.0.0.1:{port}").send, (0.01,) * 100_000)
        async with delivering(outbox):
            outbox.post(write)
            async with asyncio.timeout(LIMIT_S):
                await away.wait()
            await asyncio.to_thread(first.start)
            await first.mail("anna@example.com")
            await settled(outbox)
        assert (outbox.totals.sent, outbox.totals.failed) == (1, 0)


async def test_mail_is_given_up_in_the_end() -> None:
    """After so many tries it is counted as failed, and others are sent meanwhile."""
    outbox = Outbox(sender(f"smtp://127.0.0.1:{free_port()}").send, AGAIN_S)

    async def write() -> Letter:
        return letter_for("anna@example.com")

    async def write_to_nobody() -> None:
        return None

    async with delivering(outbox):
        outbox.post(write)
        outbox.post(write_to_nobody)
        await settled(outbox)
    assert (outbox.totals.sent, outbox.totals.failed) == (0, 1)


async def test_only_so_much_waits() -> None:
    """The next is refused, before anything is looked up."""

    async def write() -> None:
        raise AssertionError("nobody sends yet")

    async def send(_letter: Letter) -> None:
        raise AssertionError("nobody sends yet")

    outbox = Outbox(send, AGAIN_S, most_waiting=2)
    outbox.post(write)
    outbox.post(write)
    with pytest.raises(Busy):
        outbox.post(write)


async def test_a_fault_ends_one_mail_and_no_more() -> None:
    """What nobody foresaw is counted and logged without its text; the next mail is sent."""
    sent: list[Letter] = []

    async def send(letter: Letter) -> None:
        if letter.recipient.startswith("odd"):
            raise RuntimeError(letter.recipient)
        sent.append(letter)

    outbox = Outbox(send, AGAIN_S)

    def write_to(recipient: str) -> None:
        async def write() -> Letter:
            return letter_for(recipient)

        outbox.post(write)

    with capture_logs() as lines:
        async with delivering(outbox):
            write_to("odd@example.com")
            write_to("anna@example.com")
            await settled(outbox)
    assert [letter.recipient for letter in sent] == ["anna@example.com"]
    assert (outbox.totals.sent, outbox.totals.failed) == (1, 1)
    assert [line["event"] for line in lines] == ["mail_crashed"]
    assert "odd@example.com" not in str(lines)
