"""Plain English: words that stay out of prose, and the width of prose in Markdown.

    python -m scripts.checks.prose          # prints each finding; exits with 1 where there is one
    python -m scripts.checks.prose --wrap   # wraps paragraphs of Markdown that have a line over the width

Looks through Markdown outside code, through the comments, docstrings and texts of Python, and through the
comments of Lua and JavaScript. `words.py` has the words.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.checks.words import AVOIDED
from scripts.checks.wrapping import WIDTH, is_too_long, paragraphs, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(__file__).parents[2]
NOT_OURS: Final = frozenset({"scripts/checks/words.py", "tests/unit/test_docs_pages.py", "docs/licences.md"})
"""The list of the words and its test, and what is generated from the texts of others."""

_TEXTS: Final = frozenset({tokenize.STRING, tokenize.COMMENT}) | {
    getattr(tokenize, name) for name in ("FSTRING_MIDDLE",) if hasattr(tokenize, name)
}
_COMMENTS: Final = {
    ".lua": re.compile(r"--.*"),
    ".js": re.compile(r"//[^\n]*|/\*.*?\*/|\b(?:test|describe)\(\"[^\"]*\"", re.DOTALL),
}
_COMMENT_MARKS: Final = re.compile(r"\n\s*(?:#|--|//|\*)")
_CODE: Final = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`|\]\([^)]*\)", re.DOTALL | re.MULTILINE)
_IDENTIFIER: Final = re.compile(r"\"\w+\"")
"""A text of one word: a key or a label, not prose."""

_PLACE: Final = re.compile(r"\{[^{}\n]*\}")
"""A place of an f-string: code, not prose."""

Piece = tuple[int, str]
"""A text, and the line on which it begins."""


def prose_of(name: str, source: str) -> list[Piece]:
    """Find the texts for people in a file: Markdown, Python, Lua or JavaScript, by the ending of its name."""
    match Path(name).suffix:
        case ".md":
            return [(1, _CODE.sub(_blank, source))]
        case ".py":
            return list(_joined(_python(source)))
        case suffix:
            found = _COMMENTS[suffix].finditer(source)
            return list(_joined((source.count("\n", 0, each.start()) + 1, each[0]) for each in found))


def _blank(code: re.Match[str]) -> str:
    return re.sub(r"[^\n]", "`", code[0])


def _python(source: str) -> Iterator[Piece]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in _TEXTS and not _IDENTIFIER.fullmatch(token.string):
            yield token.start[0], _PLACE.sub(_blank, token.string)


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Join comments on lines that follow one another, so that a phrase is found across their ends."""
    begun, text = 0, ""
    for line, piece in pieces:
        if text and line == begun + text.count("\n") + 1:
            text += "\n" + piece
            continue
        if text:
            yield begun, text
        begun, text = line, piece
    if text:
        yield begun, text


def findings(name: str, source: str) -> list[str]:
    """Say what is wrong with the prose of a file, a line for each finding."""
    found: list[tuple[int, str]] = []
    for begun, piece in prose_of(name, source):
        # Marks of comments are taken out of the text, but not its line ends.
        text = _COMMENT_MARKS.sub("\n", piece)
        for avoided in AVOIDED:
            for hit in avoided.pattern.finditer(text):
                line = begun + text.count("\n", 0, hit.start())
                word = " ".join(hit[0].split())
                found.append((line, f"{word!r}: {avoided.why}; write {avoided.instead}"))
    if name.endswith(".md"):
        found += [(line, f"prose is wrapped at {WIDTH}: --wrap does it") for line in _too_long(source)]
    return [f"{name}:{line}: {what}" for line, what in sorted(found)]


def _too_long(source: str) -> Iterator[int]:
    line = 1
    for is_prose, piece in paragraphs(source):
        if is_prose:
            yield from (line + index for index, text in enumerate(piece) if is_too_long(text))
        line += len(piece)


def files(*endings: str) -> list[str]:
    """Return the paths of the project's files with one of the endings, without hidden folders."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        found += [str((Path(folder) / name).relative_to(ROOT)) for name in names if name.endswith(endings)]
    return sorted(found)


def main() -> int:
    """Check or wrap the project's files; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.checks.prose", description="Check the prose.")
    parser.add_argument("--wrap", action="store_true", help="wrap long lines of Markdown instead")
    arguments = parser.parse_args()
    found: list[str] = []
    for name in files(".md", ".py", ".lua", ".js"):
        if name in NOT_OURS:
            continue
        source = (ROOT / name).read_text(encoding="utf-8")
        if not arguments.wrap:
            found += findings(name, source)
        elif name.endswith(".md") and (new := wrapped(source)) != source:
            (ROOT / name).write_text(new, encoding="utf-8")
    for line in found:
        sys.stderr.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
