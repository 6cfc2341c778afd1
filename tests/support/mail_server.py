"""A real SMTP server on loopback, as a process of its own: what it takes lies in a folder, to be read there.

It refuses recipients by the first letters of their address: `full` for now, `gone` for good.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import email
import email.policy
import re
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult

from scripts.ports import free_port
from tests.support.limits import LIMIT_S
from tests.support.servers import fresh_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

    from aiosmtpd.smtp import Envelope, Session

    from tests.support.tls import Certificate

ROOT = Path(__file__).parents[2]
USER, PASSWORD = "kitchen", "pepper @:/?#%"
LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was taken: who it is to, what it says, and whether it came over TLS."""

    recipients: list[str]
    message: EmailMessage
    over_tls: bool

    @property
    def text(self) -> str:
        """What it says, decoded, with plain line ends."""
        content: str = self.message.get_content()
        return content.replace("\r\n", "\n")


@dataclass(slots=True)
class MailServer:
    """A running server, and what it took."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def mails(self, recipient: str = "") -> list[Mail]:
        """Read what was taken for a recipient, or for everybody, in its order."""
        taken = []
        for path in sorted(self.folder.glob("*.eml"), key=lambda each: int(each.stem)):
            recipients, tls, content = path.read_bytes().split(b"\n", 2)
            message = email.message_from_bytes(content, policy=email.policy.default)
            taken.append(Mail(recipients.decode().split(), message, tls == b"tls"))
        return [mail for mail in taken if not recipient or recipient in mail.recipients]

    async def mail(self, recipient: str, number: int = 1) -> Mail:
        """Wait for the n-th mail to a recipient; raises TimeoutError."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.mails(recipient)) < number:  # noqa: ASYNC110 - another process
                await asyncio.sleep(LOOK_EVERY_S)
        return self.mails(recipient)[number - 1]

    def start(self, *options: str) -> None:
        """Start, and wait until it listens."""
        command = [
            sys.executable,
            "-m",
            "tests.support.mail_server",
            str(self.folder),
            str(self.port),
            *options,
        ]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
        end_s = time.monotonic() + LIMIT_S
        while not (self.folder / "ready").exists():
            if time.monotonic() > end_s or self.process.poll() is not None:
                raise TimeoutError("the mail server did not start")
            time.sleep(LOOK_EVERY_S)

    def stop(self) -> None:
        """End it; what it took stays."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(LIMIT_S)
            self.process = None
            (self.folder / "ready").unlink(missing_ok=True)


def link_token(mail: Mail, public_url: str) -> str:
    """Read the token of the link in a mail; each language has the same link."""
    tokens = re.findall(re.escape(f"{public_url}/#reset=") + r"([\w-]+)", mail.text)
    assert len(tokens) == 2
    assert len(set(tokens)) == 1
    return str(tokens[0])


@contextlib.contextmanager
def running_mail_server(
    certificate: Certificate | None = None, *, tls: bool = False, auth: bool = False
) -> Iterator[MailServer]:
    """Run a server until the block ends.

    With a certificate it offers STARTTLS, or with `tls` speaks TLS from the start; `auth`: it wants USER and
    PASSWORD.
    """
    options = ["--auth"] if auth else []
    if certificate is not None:
        options += ["--certificate", str(certificate.file), "--key", str(certificate.key)]
        options += ["--tls"] if tls else []
    with fresh_folder("mail") as folder:
        server = MailServer(folder, free_port())
        server.start(*options)
        try:
            yield server
        finally:
            server.stop()


class _Handler:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken = 0

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.startswith("gone"):
            return "550 no such mailbox"
        if address.startswith("full"):
            (self._folder / "tried").open("a").write("x")
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        self._taken += 1
        encrypted = server.transport is not None and server.transport.get_extra_info("sslcontext")
        over_tls = b"tls" if encrypted else b"plain"
        content = envelope.original_content or b""
        path = self._folder / f"{self._taken}.part"
        path.write_bytes(b"\n".join((" ".join(envelope.rcpt_tos).encode(), over_tls, content)))
        path.rename(path.with_suffix(".eml"))
        return "250 OK"


def _authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, found: Any) -> AuthResult:
    good = (found.login, found.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=good)


async def _serve(options: argparse.Namespace) -> None:
    handler = _Handler(options.folder)
    context = None
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)

    def factory() -> SMTP:
        return SMTP(
            handler,
            hostname="mail.example",
            tls_context=None if options.tls else context,
            require_starttls=context is not None and not options.tls,
            authenticator=_authenticate if options.auth else None,
            auth_required=options.auth,
            auth_require_tls=context is not None and not options.tls,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        factory, "127.0.0.1", options.port, ssl=context if options.tls else None
    )
    (options.folder / "ready").touch()
    async with server:
        await server.serve_forever()


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--auth", action="store_true")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    _main()
