"""Heads, origins and addresses: the pure parts of HTTP."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

from server.auth.throttle import address_group
from server.http.addresses import client_address
from server.http.cors import Origins
from server.http.heads import path_of, refuse_handshake, refuse_head, refuse_raw_head
from server.http.messages import HttpRequest
from server.http.origins import canonical_origin

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


@given(st.text(max_size=40), st.text(max_size=40))
def test_an_origin_is_written_in_one_form(scheme: str, host: str) -> None:
    """What comes out is ASCII and its own canonical form; whatever the text, nothing is raised."""
    for text in (f"{scheme}://{host}", f"https://{host}", host):
        canonical = canonical_origin(text)
        assert canonical is None or canonical.isascii()
        assert canonical is None or canonical == canonical_origin(canonical)


GOOD_HANDSHAKE = {
    "connection": "keep-alive, Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@given(st.sampled_from(sorted(GOOD_HANDSHAKE)), st.text('websocktUupgrad, \t;=13/"ABQg8+-é', max_size=30))
def test_what_passes_as_a_handshake_the_library_accepts(name: str, value: str) -> None:
    """No handshake is refused behind the place that gives refusals their headers."""
    headers = GOOD_HANDSHAKE | {name: value}
    request = HttpRequest("GET", "/ws", tuple(headers.items()))
    if refuse_handshake(request, b"1.1") is None:
        answer = ServerProtocol().accept(Request("/ws", Headers(headers)))
        assert answer.status_code == 101
    assert refuse_handshake(HttpRequest("GET", "/ws", tuple(GOOD_HANDSHAKE.items())), b"1.1") is None


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (None, [b"Content-Length: 3"]),
        (None, [b"X: 1"] * 100),
        (431, [b"X: 1"] * 101),
        (400, [b"Content-Length: 3", b"content-LENGTH : 3"]),
        (400, [b"Content-Length: 3, 3"]),
        (400, [b"X: 1", b" Content-Length: 3"]),
        (431, [b"Connection: " + b"," * 257]),
        (431, [b"Expect: " + b"," * 257]),
    ],
)
def test_raw_heads(status: int | None, lines: list[bytes]) -> None:
    """Lines are counted, and lengths found, before anything is parsed; folded lines are refused."""
    for end in (b"\r\n", b"\n"):
        refused = refuse_raw_head(end.join([b"POST / HTTP/1.1", *lines, b"", b""]))
        assert status == (None if refused is None else refused.status)


@pytest.mark.parametrize(
    ("sound", "target"),
    [
        (True, b"/"),
        (True, b"/a?b=http://c"),
        (True, b"http://h"),
        (True, b"HTTPS://h:1/metrics"),
        (True, b"http://h?a"),
        (False, b"*"),
        (False, b""),
        (False, b"?a"),
        (False, b"metrics"),
        (False, b"https:/metrics"),
        (False, b"https:metrics"),
        (False, b"http:///metrics"),
        (False, b"http://:80/metrics"),
        (False, b"http://@/metrics"),
        (False, b"http://user@h/metrics"),
        (False, b"http://h:port/metrics"),
        (True, b"http://[::1]:80/metrics"),
        (False, b"ftp://h/metrics"),
        (False, b"/metrics#"),
        (False, b"http://h#/metrics"),
    ],
)
def test_targets(sound: bool, target: bytes) -> None:
    """A target begins with a slash, or with http:// or https:// and a host; a fragment is never sent."""
    request = HttpRequest("GET", path_of(target.decode()))
    refused = refuse_head(request, target, b"1.1", 10)
    assert sound is (refused is None)
    assert refused is None or refused.status == 400


ORIGINS = Origins(
    ["https://Play.example", "http://a.example:8080/", "https://кухня.рф", "https://straße.example:443"]
)
KITCHEN = "https://xn--j1agri5c.xn--p1ai"


@pytest.mark.parametrize(
    ("allowed", "origin", "host"),
    [
        (True, "https://play.example", "api.example"),
        (True, "http://a.example:8080", None),
        (True, "http://localhost:1323", "localhost:1323"),
        (True, "https://localhost:1323", "LOCALHOST:1323"),
        (True, "HTTPS://PLAY.example:443", "api.example"),
        (True, KITCHEN, "api.example"),
        (True, KITCHEN.upper(), "api.example"),
        (True, "https://Кухня.РФ", "api.example"),
        (True, "https://кухня.рф".encode().decode("latin-1"), "api.example"),
        (True, "https://xn--strae-oqa.example", "api.example"),
        (True, "https://game.example", "game.example:443"),
        (True, "http://game.example:80", "game.example"),
        (True, "https://game.example", "GAME.example:443"),
        (True, "http://[::1]:1323", "[0:0:0:0:0:0:0:1]:1323"),
        (False, "https://strasse.example", "api.example"),
        (False, "https://game.example:80", "game.example"),
        (False, "https://play.example/", "api.example"),
        (False, "https://play.example:99999", "api.example"),
        (False, "https://user@play.example", "api.example"),
        (False, "https://play.example https://play.example", "api.example"),
        (False, "https://" + "я" * 400, "я" * 400),
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
    assert dict(ORIGINS.headers(origin, host)).get("Access-Control-Allow-Origin", "").isascii()
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
        ("9.9.9.9", "64:ff9b::10.0.0.1", ["64:ff9b::9.9.9.9"]),
        ("10.0.0.1", "10.0.0.1", ["unknown"]),
        ("10.0.0.2", "10.0.0.1", ["9.9.9.9, <script>, 10.0.0.2"]),
        ("10.0.0.2", "10.0.0.1", ["10.0.0.2"]),
        ("10.0.0.1", "10.0.0.1", [""]),
        ("9.9.9.9", "10.0.0.1", ["," * 15_000 + "9.9.9.9"]),
        ("10.0.0.1", "10.0.0.1", ["9.9.9.9" + ",10.0.0.1" * 1_700]),
        ("", "", ["9.9.9.9"]),
    ],
)
def test_client_address(client: str, peer: str, forwarded: list[str]) -> None:
    """Only what trusted hops wrote is believed, the nearest untrusted address counts."""
    assert client == client_address(peer, forwarded, PROXIES)


def test_nobody_is_trusted_by_default() -> None:
    """Without trusted proxies a forwarded address is not believed."""
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
        ("1.2.3.4", "64:ff9b::1.2.3.4"),
        ("1.2.3.4", "64:ff9b::102:304%eth0"),
        ("64:ff9b:1::/64", "64:ff9b:1::102:304"),
        ("192.0.2.4", "2002:c000:204:1::1"),
        ("192.0.2.4", "2002:c000:204:ffff::2"),
        ("192.0.2.45", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
        ("2001:db8:0:1::/64", "2001:db8:0:1:2:3:4:5"),
        ("fe80::/64", "fe80::1%eth0"),
        ("", ""),
    ],
)
def test_address_group(group: str, address: str) -> None:
    """A client with an IPv6 network has one address as far as limits go."""
    assert group == address_group(address)
