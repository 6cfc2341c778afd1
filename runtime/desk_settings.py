"""Who may use the desk in a browser, as DESK_TOKENS says it, and which servers it shows (DESK_SERVERS)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runtime.url_parts import UrlError, read_node, split_url

if TYPE_CHECKING:
    from runtime.url_parts import Node

LEAST_TOKEN_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,24}")
"""Shorter than any token: where both were exchanged, no log shows the token as a name."""
_MOST_TOKENS: Final = 100
_READ_ONLY: Final = "read"
_HTTP_PORT: Final = 80
_SERVER_EXAMPLE: Final = "http://10.0.0.4:1323,http://10.0.0.5:1323"


@dataclass(frozen=True, slots=True)
class DeskToken:
    """One operator: the name in the log, the SHA-256 of the token, and whether it may only look."""

    name: str
    digest: bytes
    read_only: bool


def digest_of(token: str) -> bytes:
    """Return what is kept of a token: random enough that one round does."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def parse_desk_tokens(text: str) -> tuple[DeskToken, ...]:
    """Read `name:token,name:token:read`; raises UrlError, which shows no token."""
    tokens = tuple(_parse(part.strip(), at) for at, part in enumerate(text.split(","), 1))
    names, digests = {token.name for token in tokens}, {token.digest for token in tokens}
    if len(names) < len(tokens) or len(digests) < len(tokens):
        raise UrlError("has a name or a token twice: each operator needs a name and a token of their own")
    if len(tokens) > _MOST_TOKENS:
        raise UrlError(f"has over {_MOST_TOKENS} tokens: leave some out")
    return tokens


def parse_desk_servers(text: str) -> tuple[Node, ...]:
    """Read `http://host:port,http://host:port`; an empty text has none. Raises UrlError."""
    return (
        tuple(_parse_server(part.strip(), at) for at, part in enumerate(text.split(","), 1)) if text else ()
    )


def _parse_server(part: str, at: int) -> Node:
    try:
        return _node_of(part)
    except UrlError as error:
        raise UrlError(f"(entry {at}) {error}") from None


def _node_of(part: str) -> Node:
    parts = split_url(part, ("http",), _SERVER_EXAMPLE)
    if parts.user is not None or parts.password is not None or parts.path not in {"", "/"} or parts.query:
        raise UrlError(f"names more than a host and a port: give these alone, as in {_SERVER_EXAMPLE}")
    return read_node(parts.hosts, _HTTP_PORT)


def _parse(part: str, at: int) -> DeskToken:
    name, _, rest = part.partition(":")
    token, _, mode = rest.partition(":")
    if _NAME.fullmatch(name) is None or not token or mode not in {"", _READ_ONLY}:
        raise UrlError(
            f"makes no sense in entry {at}: give name:token or name:token:read, separated by commas"
        )
    if len(token.encode()) < LEAST_TOKEN_BYTES or not (token.isascii() and token.isprintable()):
        raise UrlError(
            f"has in entry {at} a token that is not {LEAST_TOKEN_BYTES} bytes of ASCII or more: "
            "make one with: openssl rand -hex 32"
        )
    return DeskToken(name, digest_of(token), mode == _READ_ONLY)
