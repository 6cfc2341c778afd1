"""What SMTP_URL, MAIL_FROM and PUBLIC_URL say, checked. Errors show nothing of a password."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from runtime.url_parts import UrlError, any_text, choice_of, read_node, read_options, split_url

SMTP_SCHEMES: Final = ("smtp", "smtps")
SMTP_PORTS: Final = {"smtp": 587, "smtps": 465}
_ADDRESS: Final = r"[^\s@<>\"\\,;:()\[\]]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_SENDER: Final = re.compile(rf"{_ADDRESS}|[^@<>\"\\,;:()\[\]]+ <{_ADDRESS}>")


class StartTls(StrEnum):
    """Whether a connection that begins in the clear goes on over TLS."""

    REQUIRED = "required"
    OFFERED = "offered"
    OFF = "off"


_OPTIONS: Final = {"starttls": choice_of(*StartTls), "cafile": any_text}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The server that takes our mail. `tls`: from the first byte; else `starttls` says.

    Its certificate is checked (`cafile`: by an authority of the operator's own), unless it is on this very
    machine, where mail servers mostly have one that nobody vouches for.
    """

    host: str
    port: int
    tls: bool
    starttls: StartTls
    username: str | None
    password: str | None = field(repr=False)
    cafile: str | None = None

    @property
    def is_on_this_machine(self) -> bool:
        """Whether mail leaves no machine on its way there."""
        return _is_loopback(self.host)


def parse_smtp_url(text: str) -> SmtpServer:
    """Read an SMTP_URL; raises UrlError.

    Away from this machine STARTTLS is required unless the URL says otherwise: a link in a mail is as good as
    a password. A password of ours is never sent in the clear.
    """
    parts = split_url(text, SMTP_SCHEMES, "smtps://user:password@host")
    options = read_options(parts.query, _OPTIONS)
    if parts.path.strip("/"):
        raise UrlError("has a path after the host, where a mail server has none: leave it out")
    if (parts.user is None) != (parts.password is None):
        raise UrlError(
            "names a user without a password, or the other way round: give user:password@ or neither"
        )
    host, port = read_node(parts.hosts, SMTP_PORTS[parts.scheme])
    tls, here = parts.scheme == "smtps", _is_loopback(host)
    if tls and "starttls" in options:
        raise UrlError("has starttls with smtps://, which speaks TLS from the start: leave it out")
    starttls = StartTls(str(options.get("starttls", StartTls.OFFERED if here else StartTls.REQUIRED)))
    if parts.password is not None and not (tls or here or starttls is StartTls.REQUIRED):
        raise UrlError("would send its password in the clear: leave starttls out, or use smtps://")
    cafile = options.get("cafile")
    return SmtpServer(
        host, port, tls, starttls, parts.user, parts.password, None if cafile is None else str(cafile)
    )


def check_sender(text: str) -> None:
    """Check a MAIL_FROM: `address` or `Name <address>`; raises UrlError."""
    if not text.isprintable() or _SENDER.fullmatch(text) is None:
        raise UrlError("makes no sense: give an e-mail address, as in Click & Cook <game@example.com>")


def check_public_url(text: str) -> None:
    """Check a PUBLIC_URL, where players reach the page; raises UrlError."""
    try:
        parts = urlsplit(text)
        makes_sense = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        makes_sense = False
    if not makes_sense or not text.isprintable() or re.search(r"[?#@\s<>\"]", text):
        raise UrlError(
            "makes no sense: give the page's address, without a user, ? or #, as in https://play.example.com"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
