"""The examples of the documents: fenced blocks, marked with what a test is to do with them.

`json request` is a frame to send, `json response` its answer, `json push` a frame that comes unasked,
`json shape` a frame that is only looked at; `http request` and `http response` are a request line or a
status, headers, an empty line and a body; `text close` is a close code. `json rule` and `json price` go to
the model.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator

DOCS: Final = Path(__file__).parents[2] / "docs"

VARYING: Final = frozenset({"version", "saved_version", "user_id", "place", "value", "guest"})
"""What differs from one play to the next: only its kind is compared."""


@dataclass(frozen=True, slots=True)
class Block:
    """One marked block: its language, its mark, its text, and the line where it begins."""

    language: str
    mark: str
    text: str
    line: int

    @property
    def frame(self) -> dict[str, object]:
        """The JSON object that the block holds."""
        found: dict[str, object] = json.loads(self.text)
        return found


@dataclass(frozen=True, slots=True)
class HttpExample:
    """A request or a response as a block writes it: the first line, headers by lower-case name, the body."""

    first_line: str
    headers: dict[str, str]
    body: str


def blocks(name: str) -> list[Block]:
    """Return the marked blocks of a document in order; those with a language alone are left out."""
    text = (DOCS / name).read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], found[3], text.count("\n", 0, found.start()) + 1)
        for found in re.finditer(r"^```(\w+) (\w+)\n(.*?)\n?^```$", text, re.MULTILINE | re.DOTALL)
    ]


def http_example(block: Block) -> HttpExample:
    """Take an HTTP block apart."""
    head, _, body = block.text.partition("\n\n")
    first_line, *lines = head.splitlines()
    pairs = (line.split(": ", 1) for line in lines)
    return HttpExample(first_line, {name.lower(): value for name, value in pairs}, body.strip())


@functools.cache
def read_document(name: str) -> dict[str, Any]:
    """Return a YAML document of the folder; nobody changes it."""
    document: dict[str, Any] = yaml.load((DOCS / name).read_bytes(), yaml.CSafeLoader)
    return document


@functools.cache
def wire_schema(name: str) -> Draft202012Validator:
    """Return what validates one of the named schemas of asyncapi.yaml."""
    return Draft202012Validator(
        {"components": read_document("asyncapi.yaml")["components"], "$ref": f"#/components/schemas/{name}"}
    )


def difference(expected: object, found: object, key: str = "", *, kind_only: bool = False) -> str:
    """Say where an answer is not as its example, or "" when it is.

    An answer may hold more. Texts in angle brackets, varying fields and the entries of lists stand for
    others of their kind; of a list the first entry counts.
    """
    varies = kind_only or key in VARYING
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return f"{key}: {found!r} is no object"
        missing = [name for name in expected if name not in found]
        if missing:
            return f"{key}: {', '.join(missing)} missing"
        faults = (difference(expected[name], found[name], name, kind_only=varies) for name in expected)
        return next(filter(None, faults), "")
    if isinstance(expected, list):
        if not isinstance(found, list) or (not found and expected):
            return f"{key}: {found!r} is no such list"
        return difference(expected[0], found[0], key, kind_only=True) if expected else ""
    if isinstance(expected, bool) or expected is None or isinstance(found, bool):
        return "" if expected == found else f"{key}: {found!r} is not {expected!r}"
    if isinstance(expected, (int, float)):
        matches = isinstance(found, (int, float)) and (varies or found == expected)
        return "" if matches else f"{key}: {found!r} is not {expected!r}"
    matches = isinstance(found, str) and (varies or str(expected).startswith("<") or found == expected)
    return "" if matches else f"{key}: {found!r} is not {expected!r}"
