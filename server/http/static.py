"""The files of the page: read and packed at the start, so that no request can name one that isn't there."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import brotli  # type: ignore[import-untyped]  # neither it nor a package of stubs has types

from server.http.messages import Headers, HttpRequest, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".webmanifest": "application/manifest+json; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/vnd.microsoft.icon",
    ".woff2": "font/woff2",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
}
"""A file of another kind is not served: what lies about by accident stays private."""

_INDEX: Final = "/index.html"
_MAX_LIST_CHARACTERS: Final = 512
"""What stands behind in a header is not read."""
_CODINGS: Final = ("br", "gzip", "identity")
"""What a file is sent in, the shortest form first."""
_WEIGHT: Final = re.compile(r"q\s*=\s*(?P<weight>0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")


@dataclass(slots=True)
class StaticFile:
    """One file as it is served; `packed` is its gzip form where that is shorter."""

    body: bytes
    content_type: str
    etag: str
    packed: bytes | None = None
    _brotli: bytes | None = field(default=None, init=False)

    async def serve(self, request: HttpRequest) -> HttpResponse:
        """Answer as `answer` does, but pack in a thread: Brotli may take 80 ms for a file, once."""
        if self._brotli is None and self._coding(request) == "br":
            await asyncio.to_thread(self.as_brotli)
        return self.answer(request)

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer with the form that the client likes best, or with 304 where it has that one."""
        # Asked for again each time: a new release shows at once, and an unchanged file costs a header.
        headers: Headers = (("Cache-Control", "no-cache"),)
        described: Headers = (("Content-Type", self.content_type),)
        etag, coding = self.etag, self._coding(request)
        if self.packed is not None:
            headers += (("Vary", "Accept-Encoding"),)
        if coding != "identity":
            # A tag names bytes: one form must not be taken for another.
            etag = f'{self.etag[:-1]}-{coding}"'
            described += (("Content-Encoding", coding),)
        headers += (("ETag", etag),)
        tags = (request.header("if-none-match") or "")[:_MAX_LIST_CHARACTERS].split(",")
        known = {tag.strip().removeprefix("W/") for tag in tags}
        if etag in known or "*" in known:
            return HttpResponse(304, headers=headers)
        return HttpResponse(200, self.form(coding), described + headers)

    def form(self, coding: str) -> bytes:
        """Return the file in one of the codings; where gzip makes it no shorter it has but one form."""
        if self.packed is None or coding == "identity":
            return self.body
        return self.as_brotli() if coding == "br" else self.packed

    def as_brotli(self) -> bytes:
        """Pack the file with Brotli when first asked for: 0.3 s for the whole page would delay a start."""
        if self._brotli is None:
            self._brotli = bytes(brotli.compress(self.body))
        return self._brotli

    def _coding(self, request: HttpRequest) -> str:
        return "identity" if self.packed is None else coding_for(request.header("accept-encoding") or "")


def as_served(body: bytes, content_type: str) -> StaticFile:
    """Tag a file's bytes and pack them."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    packed = gzip.compress(body, mtime=0)
    return StaticFile(body, content_type, etag, packed if len(packed) < len(body) else None)


def coding_for(accepted: str) -> str:
    """Choose what an Accept-Encoding gives the highest weight, the shortest form of equals.

    Where it names none it is `identity`. `*` names nothing, and a weight that cannot be read is 0.
    """
    weights = dict.fromkeys(_CODINGS, 0.0)
    for item in accepted[:_MAX_LIST_CHARACTERS].lower().split(","):
        coding, semicolon, weight = item.partition(";")
        found = _WEIGHT.fullmatch(weight.strip())
        if coding.strip() in weights:
            weights[coding.strip()] = float(found["weight"]) if found else float(not semicolon)
    best = max(_CODINGS, key=lambda coding: weights[coding])
    return best if weights[best] else "identity"


def read_files(folder: Path, at: str = "") -> Mapping[str, StaticFile]:
    """Read the files of known kinds under a folder, by their paths on the wire; `/` is `index.html`.

    `at` is the path of the folder itself, without a slash at its end. Hidden files, links and Python's are
    left out. Packing makes less than half of the page.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith((".", "_")) for part in relative.parts)
        if hidden or path.is_symlink() or not path.is_file() or path.suffix.lower() not in _TYPES:
            continue
        files[f"{at}/{relative.as_posix()}"] = as_served(path.read_bytes(), _TYPES[path.suffix.lower()])
    if _INDEX in files:
        files["/"] = files[_INDEX]
    return files


def file_for(files: Mapping[str, StaticFile], path: str) -> StaticFile | None:
    """Find the file of a request's path, in either spelling of its characters."""
    try:
        return files.get(unquote(path, errors="strict"))
    except UnicodeDecodeError:
        return None
