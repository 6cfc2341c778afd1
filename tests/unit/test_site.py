"""The site without sockets: routes, files, headers, and what becomes of a fault."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import brotli  # type: ignore[import-untyped]  # neither it nor a package of stubs has types
import orjson
import pytest

from server.auth.errors import Busy
from server.http.cors import Origins
from server.http.messages import HttpRequest, HttpResponse, json_response
from server.http.routes import FullHouse, Route, Website
from server.http.service_routes import Condition, Readiness, service_routes
from server.http.static import file_for, read_files

if TYPE_CHECKING:
    from pathlib import Path

OWN = (("host", "h:1"), ("origin", "http://h:1"))


async def _figures() -> bytes:
    return b"figures 1\n"


async def _created(_request: HttpRequest) -> HttpResponse:
    return json_response(200, {"status": 0})


async def _faulty(_request: HttpRequest) -> HttpResponse:
    raise KeyError("secret@example.com")


async def _busy(_request: HttpRequest) -> HttpResponse:
    raise Busy(7)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A folder with a page, and with what must not be served."""
    folder = tmp_path / "web"
    (folder / "icons").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "game.js").write_text("1")
    (folder / "icons" / "a b.svg").write_text("<svg/>")
    (folder / "__init__.py").write_text("secret")
    (folder / ".env").write_text("secret")
    (folder / "notes.md").write_text("secret")
    (tmp_path / "outside.html").write_text("secret")
    (folder / "link.html").symlink_to(tmp_path / "outside.html")
    return folder


@pytest.fixture
def observed() -> list[tuple[str, int]]:
    """What the site told of its answers."""
    return []


@pytest.fixture
def site(page: Path, observed: list[tuple[str, int]]) -> Website:
    """A site with a few routes."""
    readiness = Readiness(Condition.OK, {"redis": "ok", "postgresql": "ok"})
    routes = [
        Route("POST", "/reg", _created),
        Route("GET", "/fault", _faulty),
        Route("GET", "/busy", _busy),
        *service_routes(lambda: readiness, _figures),
    ]
    return Website(
        routes, read_files(page), Origins(["https://a.example"]), lambda *seen: observed.append(seen)
    )


async def test_routes(site: Website, observed: list[tuple[str, int]]) -> None:
    """Each request finds its route; what is observed is never a path of a client's making."""
    for status, method, path in (
        (200, "POST", "/reg"),
        (405, "GET", "/reg"),
        (404, "GET", "/nothing"),
        (404, "POST", "/reg/"),
        (404, "GET", "//reg"),
        (200, "GET", "/"),
        (405, "POST", "/"),
        (200, "HEAD", "/game.js"),
        (204, "OPTIONS", "/reg"),
        (404, "OPTIONS", "/nothing"),
        (426, "GET", "/ws"),
        (405, "POST", "/ws"),
    ):
        response = await site.respond(HttpRequest(method, path))
        assert (status, method, path) == (response.status, method, path)
        if status >= 400:
            assert orjson.loads(response.body)["status"] == 8
    assert {name for name, _ in observed} == {"/reg", "/ws", "file", "unknown", "preflight"}


async def test_allow(site: Website) -> None:
    """A wrong method is answered with those that exist."""
    response = await site.respond(HttpRequest("DELETE", "/healthz"))
    assert ("Allow", "GET, HEAD, OPTIONS") in response.headers
    response = await site.respond(HttpRequest("GET", "/reg"))
    assert ("Allow", "POST, OPTIONS") in response.headers


async def test_fault_leaks_nothing(site: Website, capsys: pytest.CaptureFixture[str]) -> None:
    """A fault of ours is a 500 without detail, and its line in the log has no texts of clients."""
    response = await site.respond(HttpRequest("GET", "/fault"))
    assert response.status == 500
    assert orjson.loads(response.body) == {"status": 7, "message": "internal error"}
    logged = capsys.readouterr().out
    assert "KeyError" in logged
    assert "secret@example.com\n" not in logged


async def test_refusals_become_answers(site: Website) -> None:
    """A handler's refusal is answered as the contract says."""
    response = await site.respond(HttpRequest("GET", "/busy"))
    assert response.status == 503
    assert orjson.loads(response.body) == {"status": 6, "message": "service unavailable"}
    assert ("Retry-After", "7") in response.headers


async def test_cors_on_every_answer(site: Website) -> None:
    """Answers to an allowed origin carry the CORS headers, errors and requests never read included."""
    for headers, allowed in (
        (OWN, "http://h:1"),
        ((("origin", "https://a.example"),), "https://a.example"),
        ((("origin", "https://evil.example"),), None),
        ((), None),
    ):
        for path in ("/reg", "/nothing", "/fault", "/"):
            request = HttpRequest("POST", path, headers)
            response = site.finish(request, await site.respond(request))
            found = dict(response.headers)
            assert allowed == found.get("Access-Control-Allow-Origin")
            assert ("true" if allowed else None) == found.get("Access-Control-Allow-Credentials")
            assert found["Vary"] == "Origin"
    assert dict(site.finish(None, HttpResponse(400)).headers)["Vary"] == "Origin"


async def test_preflight(site: Website) -> None:
    """A preflight is answered with methods and headers; one of a foreign page with neither."""
    response = await site.respond(HttpRequest("OPTIONS", "/reg", OWN))
    found = dict(response.headers)
    assert found["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    assert found["Access-Control-Allow-Headers"] == "Authorization, Content-Type, X-timestamp"
    foreign = await site.respond(HttpRequest("OPTIONS", "/reg", (("origin", "https://evil.example"),)))
    assert not [name for name, _ in foreign.headers if name.startswith("Access-Control")]


async def test_security_headers(site: Website) -> None:
    """The page may run nothing but its own files, and nobody may frame it."""
    request = HttpRequest("GET", "/")
    found = dict(site.finish(request, await site.respond(request)).headers)
    assert found["Content-Security-Policy"].startswith("default-src 'self'")
    assert "unsafe" not in found["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in found["Content-Security-Policy"]
    assert found["X-Content-Type-Options"] == "nosniff"
    assert found["X-Frame-Options"] == "DENY"
    assert found["Referrer-Policy"] == "no-referrer"


async def test_files(site: Website) -> None:
    """Files come with their types; one that the browser has is not sent again."""
    page = await site.respond(HttpRequest("GET", "/"))
    assert page.body == b"<!doctype html>"
    found = dict(page.headers)
    assert found["Content-Type"] == "text/html; charset=utf-8"
    again = await site.respond(
        HttpRequest("GET", "/index.html", (("if-none-match", f'"x", W/{found["ETag"]}'),))
    )
    assert (again.status, again.body) == (304, b"")
    assert dict(again.headers)["ETag"] == found["ETag"]
    script = await site.respond(HttpRequest("GET", "/game.js", (("if-none-match", '"other"'),)))
    assert (script.status, script.body) == (200, b"1")
    assert dict(script.headers)["Content-Type"].startswith("text/javascript")
    assert (await site.respond(HttpRequest("GET", "/icons/a%20b.svg"))).status == 200


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0.5, GZIP;q=1.0", "gzip"),
        ("BR, gzip ; q=0.001", "br"),
        ("br ; q = 0.8, gzip;q=0.8", "br"),
        ("identity, gzip;q=0.9, br;q=0.9", None),
        ("identity;q=0.1, gzip;q=0.2", "gzip"),
        ("identity;q=0", None),
        ("", None),
        ("br;q=0, gzip;q=0", None),
        ("gzip; q=0.000, br", "br"),
        ("br;q=0.00, gzip", "gzip"),
        ("br;q=2, gzip;level=9, identity;q=.5", None),
        ("x-gzipped, abr", None),
        ("*", None),
    ],
)
async def test_files_are_packed_for_who_can_unpack_them(
    page: Path, accepted: str, coding: str | None
) -> None:
    """The coding of the highest weight is taken, Brotli before gzip; `Vary` says so to caches."""
    text = b"let dishes = 0;\n" * 100
    (page / "game.js").write_bytes(text)
    site = Website([], read_files(page), Origins([]), lambda *_: None)
    headers = (("accept-encoding", accepted),)
    found = await answered(site, HttpRequest("GET", "/game.js", headers))
    unpack = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}[coding]
    assert unpack(found.body) == text
    named = dict(found.headers)
    assert named.get("Content-Encoding") == coding
    assert varies(found) == {"Accept-Encoding", "Origin"}
    short = await answered(site, HttpRequest("GET", "/", headers))
    assert short.body == b"<!doctype html>"
    assert varies(short) == {"Origin"}


async def test_each_form_of_a_file_has_its_own_tag(page: Path) -> None:
    """A client that has one form gets 304 for that one, and the other ones whole."""
    (page / "game.js").write_bytes(b"let dishes = 0;\n" * 100)
    site = Website([], read_files(page), Origins([]), lambda *_: None)
    forms = [(("accept-encoding", coding),) for coding in ("identity", "gzip", "br")]
    tags = [
        dict((await answered(site, HttpRequest("GET", "/game.js", form))).headers)["ETag"] for form in forms
    ]
    assert len(set(tags)) == len(forms)
    for index, form in enumerate(forms):
        for known, tag in enumerate(tags):
            request = HttpRequest("GET", "/game.js", (*form, ("if-none-match", tag)))
            found = await answered(site, request)
            assert found.status == (304 if index == known else 200)
            assert dict(found.headers)["ETag"] == tags[index]
            assert varies(found) == {"Accept-Encoding", "Origin"}
            assert ("Content-Encoding" in dict(found.headers)) is (found.status == 200 and index > 0)


async def answered(site: Website, request: HttpRequest) -> HttpResponse:
    """Answer a request as it goes out."""
    return site.finish(request, await site.respond(request))


def varies(response: HttpResponse) -> set[str]:
    """Return what an answer depends on."""
    return {value for name, value in response.headers if name == "Vary"}


@pytest.mark.parametrize(
    "path",
    [
        "/__init__.py",
        "/.env",
        "/notes.md",
        "/link.html",
        "/../outside.html",
        "/%2e%2e/outside.html",
        "/icons/../../outside.html",
        "/..%5coutside.html",
        "/icons",
        "/icons/",
        "/%ff",
        "/index.html%00.js",
        "/etc/passwd",
        "//etc/passwd",
    ],
)
def test_only_the_files_of_the_page(page: Path, path: str) -> None:
    """No path leads out of the folder, to hidden files, to links or to code."""
    assert file_for(read_files(page), path) is None


@pytest.mark.parametrize(
    ("status", "condition", "word"),
    [
        (200, Condition.OK, "ok"),
        (200, Condition.DEGRADED, "degraded"),
        (503, Condition.UNAVAILABLE, 6),
        (503, Condition.DRAINING, 6),
    ],
)
async def test_readiness(status: int, condition: Condition, word: str | int) -> None:
    """Ready or degraded is 200, else 503 in the form of every error; each part is named with its state."""
    routes = service_routes(lambda: Readiness(condition, {"redis": "ok", "postgresql": "away"}), _figures)
    response = await routes[1].handler(HttpRequest("GET", "/readyz"))
    answer = orjson.loads(response.body)
    assert (status, word) == (response.status, answer["status"])
    assert (answer["redis"], answer["postgresql"]) == ("ok", "away")
    assert ("message" in answer) is (status == 503)


async def test_alive_and_figures(site: Website) -> None:
    """/healthz says that the process lives, /metrics has Prometheus' type."""
    assert orjson.loads((await site.respond(HttpRequest("GET", "/healthz"))).body) == {"status": "ok"}
    figures = await site.respond(HttpRequest("GET", "/metrics"))
    assert figures.body == b"figures 1\n"
    assert dict(figures.headers)["Content-Type"].startswith("text/plain; version=0.0.4")


async def test_upgrades(site: Website) -> None:
    """A foreign page gets no WebSocket, a client without an origin does; while draining nobody."""
    foreign = site.may_upgrade(HttpRequest("GET", "/ws", (("origin", "https://evil.example"),)))
    assert foreign is not None
    assert foreign.status == 403
    assert site.may_upgrade(HttpRequest("GET", "/ws")) is None
    assert site.may_upgrade(HttpRequest("GET", "/ws", OWN)) is None
    site.draining = True
    refused = site.may_upgrade(HttpRequest("GET", "/ws"))
    assert refused is not None
    assert refused.status == 503


async def test_full_house(site: Website) -> None:
    """Past the limit of connections everything is a 503 that ends the connection."""
    full = FullHouse(site)
    request = HttpRequest("GET", "/", OWN)
    response = full.finish(request, await full.respond(request))
    assert response.status == 503
    found = dict(response.headers)
    assert found["Connection"] == "close"
    assert int(found["Retry-After"]) > 0
    assert found["Access-Control-Allow-Origin"] == "http://h:1"
