"""One mail to the operator's SMTP server, and what its answer means for the next try."""

from __future__ import annotations

import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import TYPE_CHECKING, Final

import aiosmtplib

from runtime.mail_settings import StartTls

if TYPE_CHECKING:
    from runtime.mail_settings import SmtpServer
    from server.mail.letters import Letter

SEND_TIMEOUT_S: Final = 20.0
_PERMANENT: Final = 500
_START_TLS: Final = {StartTls.REQUIRED: True, StartTls.OFFERED: None, StartTls.OFF: False}


class MailNotSent(Exception):  # noqa: N818 - what happened to the mail
    """A mail was not taken. `permanent`: it never will be. The text names no address."""

    def __init__(self, why: str, *, permanent: bool) -> None:
        super().__init__(why)
        self.permanent = permanent


class SmtpSender:
    """Sends mail from one address over one server, a connection for each."""

    def __init__(self, server: SmtpServer, sender: str) -> None:
        self._server = server
        self._sender = sender
        _, self._address = parseaddr(sender)
        _, self._domain = self._address.rsplit("@", 1)
        self._context = _tls_context(server)

    async def send(self, letter: Letter) -> None:
        """Send a mail; raises MailNotSent. After a time-out the server may have taken it all the same."""
        server = self._server
        try:
            await aiosmtplib.send(
                self._message(letter),
                sender=self._address,
                recipients=[letter.recipient],
                hostname=server.host,
                port=server.port,
                username=server.username,
                password=server.password,
                use_tls=server.tls,
                start_tls=False if server.tls else _START_TLS[server.starttls],
                tls_context=self._context,
                local_hostname=self._domain,  # asking for a name of ours may take DNS long
                timeout=SEND_TIMEOUT_S,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise MailNotSent(
                f"recipient refused: {min(codes)}", permanent=min(codes) >= _PERMANENT
            ) from None
        except aiosmtplib.SMTPResponseException as error:
            # A wrong password of ours is the operator's to correct: mail waits for that.
            wrong_password = isinstance(error, aiosmtplib.SMTPAuthenticationError)
            permanent = error.code >= _PERMANENT and not wrong_password
            raise MailNotSent(f"{type(error).__name__}: {error.code}", permanent=permanent) from None
        except ValueError as error:
            # An address that an account may have and a header may not; its text would show it.
            raise MailNotSent(type(error).__name__, permanent=True) from None
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError, TimeoutError) as error:
            raise MailNotSent(type(error).__name__, permanent=False) from error

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = letter.recipient
        message["Subject"] = letter.subject
        message["Date"] = formatdate(usegmt=True)
        message["Message-ID"] = make_msgid(domain=self._domain)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer of a machine is wanted
        message.set_content(letter.text, cte="quoted-printable")
        return message


def _tls_context(server: SmtpServer) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=server.cafile)
    if server.is_on_this_machine and server.cafile is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
