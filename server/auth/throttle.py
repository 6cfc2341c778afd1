"""Slows down clients that guess: failures are counted by address with e-mail, and by address alone.

What names them outside this process is a keyed digest: neither an address nor an e-mail can be read from it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import secrets
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from server.auth.errors import TooManyAttempts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WINDOW_S: Final = 15 * 60
ADDRESS_FACTOR: Final = 10
_DIGEST_CHARACTERS: Final = 32
_IPV6_NETWORK_BITS: Final = 64
_MOST_UNDER_WAY: Final = 8
"""Attempts of one address at once in a process: a fourth of the passwords that may wait. Right ones count
too, or four players at one address could keep everybody else from logging in."""
_UNDER_WAY_RETRY_S: Final = 2
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class AttemptLog(Protocol):
    """Counts attempts of the last `WINDOW_S` over all processes."""

    async def count(
        self, attempt: str, address: str, pair: str, *, address_limit: int, pair_limit: int
    ) -> float:
        """Count an attempt; returns 0, or the seconds until there is room: then nothing was counted."""

    async def give_back(self, attempt: str, address: str, pair: str) -> None:
        """Take back an attempt that was no failure; never raises, for it must not spoil a success."""


@dataclass(slots=True)
class Attempt:
    """One attempt under way. It counts while it lasts, and afterwards when `counts` was set."""

    counts: bool = False


class Throttle:
    """Lets `rate` failures in 15 minutes pass for an address with an e-mail, ten times that for an address.

    A rate of 0 is off. `key` makes the digests; processes that share Redis must share it.
    """

    def __init__(self, log: AttemptLog, rate: int, key: bytes) -> None:
        self._log = log
        self._rate = rate
        self._under_way: Counter[str] = Counter()
        # A secret that signs tokens may be passed: what it makes here tells nothing about those.
        self._key = hmac.new(key, b"throttle", hashlib.sha256).digest()

    @asynccontextmanager
    async def attempt(self, address: str, email: str | None = None) -> AsyncIterator[Attempt]:
        """Surround one attempt; set `counts` when it failed. Without an e-mail only the address is counted.

        An attempt is counted before it is made, so that many at once don't slip through together, and taken
        back when it was no failure. Raises TooManyAttempts before the block is entered.
        """
        attempt = Attempt()
        if self._rate == 0:
            yield attempt
            return
        group = address_group(address)
        if self._under_way[group] >= _MOST_UNDER_WAY:
            raise TooManyAttempts(_UNDER_WAY_RETRY_S)
        self._under_way[group] += 1
        try:
            async with self._counted(attempt, group, email):
                yield attempt
        finally:
            self._under_way[group] -= 1
            if not self._under_way[group]:
                del self._under_way[group]

    @asynccontextmanager
    async def _counted(self, attempt: Attempt, group: str, email: str | None) -> AsyncIterator[None]:
        name = secrets.token_hex(8)
        ids = self._digest(group), self._digest(email or "")
        wait_s = await self._log.count(
            name,
            *ids,
            address_limit=self._rate * ADDRESS_FACTOR,
            pair_limit=0 if email is None else self._rate,
        )
        if wait_s > 0:
            raise TooManyAttempts(math.ceil(wait_s))
        try:
            yield
        finally:
            if not attempt.counts:
                await self._log.give_back(name, *ids)

    def _digest(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:_DIGEST_CHARACTERS]


def ipv4_inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for: mapped, or behind NAT64 (RFC 6052); else None."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return ipaddress.IPv4Address(address.packed[-4:]) if address in _NAT64 else None


def _tunnelled(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address at the end of a tunnel; else None.

    One address of 6to4 has 65,536 networks of its own; all clients of a server of Teredo share one.
    """
    if address.teredo is None:
        return address.sixtofour
    _server, client = address.teredo
    return client


def address_group(address: str) -> str:
    """Return what counts as one address: an IPv4 one, or the /64 that an IPv6 client picks from at will."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    inside = ipv4_inside(parsed) or _tunnelled(parsed)
    if inside is not None:
        return str(inside)
    return str(ipaddress.IPv6Network((parsed, _IPV6_NETWORK_BITS), strict=False))
