"""The files of the page: read and packed at the start, so that no request can name one that isn't there."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

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
_NO_WEIGHT: Final = re.compile(r"q\s*=\s*0(\.0*)?")


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is served; `packed` is its gzip form where that is shorter."""

    body: bytes
    content_type: str
    etag: str
    packed: bytes | None = None

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer with the file, packed where the client can unpack it, or with 304 where it has the file."""
        # Asked for again each time: a new release shows at once, and an unchanged file costs a header.
        headers: Headers = (("Cache-Control", "no-cache"),)
        described: Headers = (("Content-Type", self.content_type),)
        body, etag = self.body, self.etag
        if self.packed is not None:
            headers += (("Vary", "Accept-Encoding"),)
            if takes_gzip(request.header("accept-encoding") or ""):
                # A tag names bytes: one form must not be taken for the other.
                body, etag = self.packed, f'{self.etag[:-1]}-gzip"'
                described += (("Content-Encoding", "gzip"),)
        headers += (("ETag", etag),)
        tags = (request.header("if-none-match") or "")[:_MAX_LIST_CHARACTERS].split(",")
        known = {tag.strip().removeprefix("W/") for tag in tags}
        if etag in known or "*" in known:
            return HttpResponse(304, headers=headers)
        return HttpResponse(200, body, described + headers)


def as_served(body: bytes, content_type: str) -> StaticFile:
    """Tag a file's bytes and pack them."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    packed = gzip.compress(body, mtime=0)
    return StaticFile(body, content_type, etag, packed if len(packed) < len(body) else None)


def takes_gzip(accepted: str) -> bool:
    """Say whether an Accept-Encoding names gzip with a weight above 0; `*` alone does not count."""
    for item in accepted[:_MAX_LIST_CHARACTERS].lower().split(","):
        coding, _, weight = item.partition(";")
        if coding.strip() == "gzip":
            return not _NO_WEIGHT.fullmatch(weight.strip())
    return False


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
