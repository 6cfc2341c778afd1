"""Who a request comes from, also behind proxies. Pure.

Only what a trusted proxy wrote is believed: each hop appends the address it saw, so the list is read from its
end.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from server.auth.throttle import ipv4_inside

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_HOPS: Final = 16
_MAX_FORWARDED_CHARACTERS: Final = 1024
"""The end is what our proxies wrote; a client may have put anything before it."""
_PARSED_KEPT: Final = 1024
"""Five are read for a WebSocket, mostly the same; reading each again took 4 % of what a connection costs."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the nearest address that is not one of our proxies.

    `peer` is the socket's other end, `forwarded_for` the values of `X-Forwarded-For` in their order. What a
    hop wrote that is no address ends the walk: the last one believed counts.
    """
    believed = _parse(peer)
    if believed is None:
        return peer
    hops = ",".join(forwarded_for)[-_MAX_FORWARDED_CHARACTERS:].split(",")[-_MAX_HOPS:]
    while hops and is_trusted(str(believed), trusted):
        hop = _parse(hops.pop())
        if hop is None:
            break
        believed = hop
    return str(believed)


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Say whether an address is one of our proxies."""
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in trusted)


@lru_cache(maxsize=_PARSED_KEPT)
def _parse(text: str) -> Address | None:
    """Read an address as proxies write it: bare, with a port, in brackets, with a zone, IPv4 within IPv6."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text.removeprefix("[").partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return ipv4_inside(address) or address
    return address
