"""The parts of a connection URL: cut as RFC 3986 says, decoded, and checked one by one.

Each function raises UrlError, whose text shows nothing of the URL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Node = tuple[str, int]
Option = str | float | bool

_MOST_PORT: Final = 65_535
_ENCODED: Final = "in a user name or password write # as %23, / as %2F, ? as %3F, @ as %40 and % as %25"


class UrlError(ValueError):
    """A URL makes no sense. The text says why and what to do, without the URL; it follows a name."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A URL, cut: user and password are decoded, the rest is as it stands. `path` begins with its /."""

    scheme: str
    user: str | None
    password: str | None = field(repr=False)
    hosts: str
    path: str
    query: str


def split_url(text: str, schemes: tuple[str, ...], example: str) -> Parts:
    """Cut a URL into its parts where RFC 3986 says, with user and password decoded."""
    if not text.isprintable():
        raise UrlError("holds a line break or another character that cannot be printed: give it as one line")
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in schemes:
        first, *others = schemes
        begin = f"one of {', '.join(schemes)}, then ://" if others else f"{first}://"
        raise UrlError(f"makes no sense: begin with {begin}, as in {example}")
    if "#" in rest:
        raise UrlError(f"holds a #, at which a URL ends: {_ENCODED}")
    before, _, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    if "@" in path or ("@" in query and "@" not in authority):
        raise UrlError(f"holds an @ after the first / or ?, where the host has ended: {_ENCODED}")
    credentials, _, hosts = authority.rpartition("@")
    user, colon, password = credentials.partition(":")
    return Parts(
        scheme,
        decoded(user) or None,
        (decoded(password) or None) if colon else None,
        hosts,
        f"{slash}{path}",
        query,
    )


def read_node(text: str, default_port: int, *, decodes: bool = False) -> Node:
    """Read `host`, `host:port` or `[IPv6 address]:port`."""
    if text.startswith("["):
        found = re.fullmatch(r"\[([0-9A-Fa-f:.]+(?:%[0-9A-Za-z_.-]+)?)\](?::(.*))?", text)
        if found is None:
            raise UrlError("holds a [ that begins no IPv6 address: give [address]:port")
        host, port = found[1], found[2]
    else:
        host, colon, after = text.partition(":")
        port = after if colon else None
        host = decoded(host) if decodes else host
        if not host:
            raise UrlError("names no host: give host:port after the scheme, or after user:password@")
        if not (decodes and host.startswith("/")):
            _check_name(host)
    return host, default_port if port is None else read_port(port)


def _check_name(host: str) -> None:
    try:
        host.encode("idna")
    except UnicodeError:
        pass
    else:
        if re.search(r"[\s\[\]@:/?#%\\,|<>^`{}\"]", host) is None:
            return
    raise UrlError(f"names a host that cannot be one: give a name or an address; {_ENCODED}")


def read_port(text: str) -> int:
    """Read the number of a port."""
    if re.fullmatch(r"[0-9]{1,5}", text) is None or not 1 <= int(text) <= _MOST_PORT:
        raise UrlError(
            f"has a port that is no number from 1 to {_MOST_PORT}: give host:port, "
            f"an IPv6 address in brackets; {_ENCODED}"
        )
    return int(text)


def decoded(text: str) -> str:
    """Undo percent-encoding; a % that begins none is refused, as libpq does."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise UrlError(f"holds a % that begins no percent-encoding: {_ENCODED}")
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeError as error:
        raise UrlError("holds percent-encoding that is not UTF-8: encode the UTF-8 bytes") from error
    if "\0" in decoded:
        raise UrlError("holds %00, which no name or password can: leave it out")
    return decoded


def refuse_second(first: object, what: str) -> None:
    """Refuse what a URL names both before the ? and after it."""
    if first not in (None, "", ()):
        raise UrlError(f"names {what} twice: once before the ? and once after it; leave one out")


def read_options(query: str, known: Mapping[str, Callable[[str, str], Option]]) -> dict[str, Option]:
    """Read what follows the ?, each option with the reader that `known` has for it."""
    found: dict[str, Option] = {}
    for item in filter(None, query.split("&")):
        name, _, value = item.partition("=")
        if name not in known:
            # Its name is not shown: it may be what a ? in a password cut off.
            raise UrlError(
                f"has an unknown option after the ?: known are {', '.join(sorted(known))}; "
                "a ? in a password is written %3F"
            )
        if name in found:
            raise UrlError(f"gives the option {name} twice: leave one out")
        found[name] = known[name](name, decoded(value))
    return found


def any_text(name: str, value: str) -> str:
    """Take any text but an empty one."""
    if not value:
        raise UrlError(f"gives no value for the option {name}: give one, or leave the option out")
    return value


def choice_of(*choices: str) -> Callable[[str, str], str]:
    """Return a reader of one of some words."""

    def read(name: str, value: str) -> str:
        if value not in choices:
            raise UrlError(f"has a value for {name} that makes no sense: give one of {', '.join(choices)}")
        return value

    return read


def truth(name: str, value: str) -> bool:
    """Read `true` or `false`."""
    return choice_of("true", "false")(name, value.lower()) == "true"


def seconds(name: str, value: str) -> float:
    """Read a number of seconds above 0."""
    if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", value) is None or not float(value):
        raise UrlError(
            f"has a value for {name} that is no number of seconds: give one above 0, as in {name}=2"
        )
    return float(value)


def database_number(text: str) -> int:
    """Read the number of a database of Redis."""
    if re.fullmatch(r"[0-9]{1,5}", text) is None:
        raise UrlError("names a database that is no number: Redis has databases 0, 1, 2 and so on, as in /0")
    return int(text)


def number_of_database(_name: str, value: str) -> int:
    """Read the number of a database of Redis as an option."""
    return database_number(value)


def port_list(_name: str, value: str) -> str:
    """Read ports with commas between them."""
    return ",".join(str(read_port(port)) for port in value.split(","))
