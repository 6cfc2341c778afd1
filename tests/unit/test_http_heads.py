"""Heads, origins and addresses: the pure parts of HTTP."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.auth.throttle import address_group
from server.http.addresses import client_address
from server.http.cors import Origins
from server.http.heads import has_several_lengths, path_of

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/", "/"),
        ("/a", "/a?b=/c"),
        ("/a", "/a#b"),
        ("/a", "http://h:1/a?b"),
        ("/", "https://h"),
        ("*", "*"),
        ("h:443", "h:443"),
        ("http://[::1", "http://[::1"),
        ("//h/a", "//h/a"),
    ],
)
def test_path(path: str, target: str) -> None:
    """The path is what stands before the query, also in a whole address; other targets stay as they are."""
    assert path == path_of(target)


def test_several_lengths() -> None:
    """A second Content-Length is seen in the head, complete or not, and not in what follows it."""
    one = b"POST / HTTP/1.1\r\nContent-Length: 3"
    assert not has_several_lengths(one)
    assert has_several_lengths(one + b"\r\ncontent-LENGTH : 3\r\n")
    assert not has_several_lengths(one + b"\r\n\r\nContent-Length: 1\r\nContent-Length: 2")
    assert not has_several_lengths(one + b"\n\nContent-Length: 1")


ORIGINS = Origins(["https://Play.example", "http://a.example:8080/"])


@pytest.mark.parametrize(
    ("allowed", "origin", "host"),
    [
        (True, "https://play.example", "api.example"),
        (True, "http://a.example:8080", None),
        (True, "http://localhost:1323", "localhost:1323"),
        (True, "https://localhost:1323", "LOCALHOST:1323"),
        (False, "https://evil.example", "api.example"),
        (False, "http://play.example", "api.example"),
        (False, "http://localhost:1324", "localhost:1323"),
        (False, "null", "localhost"),
        (False, "", ""),
        (False, "http://", ""),
    ],
)
def test_origins(allowed: bool, origin: str, host: str | None) -> None:
    """The origins of the settings and the page's own are allowed, to the letter of scheme, host and port."""
    assert allowed is ORIGINS.allows(origin, host)
    names = [name for name, _ in ORIGINS.headers(origin, host)]
    assert allowed is ("Access-Control-Allow-Origin" in names)
    assert "Vary" in names
    assert allowed is bool(ORIGINS.preflight_headers(["GET"], origin, host))


@pytest.mark.parametrize(
    ("client", "peer", "forwarded"),
    [
        ("1.2.3.4", "1.2.3.4", []),
        ("1.2.3.4", "1.2.3.4", ["9.9.9.9"]),
        ("9.9.9.9", "10.0.0.1", ["9.9.9.9"]),
        ("9.9.9.9", "10.0.0.1", ["6.6.6.6, 9.9.9.9, 10.0.0.2"]),
        ("9.9.9.9", "10.0.0.1", ["6.6.6.6", "9.9.9.9"]),
        ("9.9.9.9", "10.0.0.1", ["9.9.9.9:4711"]),
        ("2001:db8::1", "fd00::1", ['"[2001:db8::1]:4711"']),
        ("9.9.9.9", "::ffff:10.0.0.1", ["::ffff:9.9.9.9"]),
        ("10.0.0.1", "10.0.0.1", ["unknown"]),
        ("10.0.0.2", "10.0.0.1", ["9.9.9.9, <script>, 10.0.0.2"]),
        ("10.0.0.2", "10.0.0.1", ["10.0.0.2"]),
        ("10.0.0.1", "10.0.0.1", [""]),
        ("", "", ["9.9.9.9"]),
    ],
)
def test_client_address(client: str, peer: str, forwarded: list[str]) -> None:
    """Only what trusted hops wrote is believed, the nearest stranger counts."""
    assert client == client_address(peer, forwarded, PROXIES)


def test_nobody_is_trusted_by_default() -> None:
    """Without trusted proxies a forwarded address is a stranger's word."""
    assert client_address("10.0.0.1", ["9.9.9.9"], ()) == "10.0.0.1"


@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_forwarded(values: list[str]) -> None:
    """Whatever stands in the header, what comes out is an address."""
    ipaddress.ip_address(client_address("10.0.0.1", values, PROXIES))


@pytest.mark.parametrize(
    ("group", "address"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("1.2.3.4", "::ffff:1.2.3.4"),
        ("2001:db8:0:1::/64", "2001:db8:0:1:2:3:4:5"),
        ("fe80::/64", "fe80::1%eth0"),
        ("", ""),
    ],
)
def test_address_group(group: str, address: str) -> None:
    """Whoever has an IPv6 network has one address as far as limits go."""
    assert group == address_group(address)
