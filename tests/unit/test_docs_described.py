"""openapi.yaml and asyncapi.yaml: valid, fresh, and about everything that the server speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from jsonschema import Draft202012Validator, ValidationError
from openapi_spec_validator import validate

from persistence.live.replies.publications import KIND_OF_CHANGE
from scripts.describe.__main__ import stale
from scripts.describe.asyncapi import request_data, title
from scripts.describe.openapi import routes
from scripts.describe.wire_shapes import PUSHES, RESPONSES
from server.protocol import fields
from server.protocol.close_codes import CloseCode
from server.protocol.messages import Refused, parse
from tests.support.doc_examples import read_document, wire_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_the_files_are_what_the_code_says(tmp_path: Path) -> None:
    """All files are fresh; one that says something else, or is missing, is named."""
    assert stale() == []
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "openapi.yaml").write_text("openapi: 3.1.0\n", encoding="utf-8")
    made = ["docs/openapi.yaml", "docs/asyncapi.yaml"]
    made += ["clients/js/lib/wire.d.ts", "clients/js/lib/click-and-cook.js"]
    assert stale(tmp_path) == made


def test_openapi_is_valid() -> None:
    """The HTTP document keeps to OpenAPI's own schema."""
    validate(read_document("openapi.yaml"))


def test_openapi_has_every_route() -> None:
    """Each route that the server serves is there with its method, and no other but the WebSocket's."""
    paths = read_document("openapi.yaml")["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert {("GET", "/ws"), *((route.method, route.path) for route in routes())} == described


@pytest.mark.parametrize("name", ["openapi.yaml", "asyncapi.yaml"])
def test_every_reference_leads_somewhere(name: str) -> None:
    """Each $ref names what the document holds."""
    document = read_document(name)
    for reference in set(_references(document)):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, reference
            node = node[part]


def test_asyncapi_is_sound() -> None:
    """It has the parts of AsyncAPI 3, and its schemas are JSON schemas."""
    document = read_document("asyncapi.yaml")
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= document["info"].keys()
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert operation["channel"] == {"$ref": "#/channels/game"}
        assert operation["messages"]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_asyncapi_has_every_request_push_and_close_code() -> None:
    """Each request type is an operation, each copy a push, each code that a client may see is listed."""
    document = read_document("asyncapi.yaml")
    received = {name for name, one in document["operations"].items() if one["action"] == "receive"}
    assert set(fields.REQUEST_TYPES) == received == RESPONSES.keys()
    assert set() == set(KIND_OF_CHANGE.values()) - PUSHES.keys()
    codes = document["channels"]["game"]["x-close-codes"]
    assert {code.value for code in CloseCode if code is not CloseCode.ABNORMAL} == codes.keys()


DATA: list[tuple[str, dict[str, object]]] = [
    ("cook", {}),
    ("cook", {"count": 1}),
    ("cook", {"count": fields.MAX_COUNT}),
    ("cook", {"count": 0}),
    ("cook", {"count": fields.MAX_COUNT + 1}),
    ("cook", {"count": "1"}),
    ("cook", {"client": "a", "seq": 1}),
    ("cook", {"client": "a"}),
    ("cook", {"seq": 1}),
    ("sell", {"client": "a" * fields.MAX_CLIENT_CHARS, "seq": fields.MAX_SEQ}),
    ("sell", {"client": "a" * (fields.MAX_CLIENT_CHARS + 1), "seq": 1}),
    ("sell", {"client": "", "seq": 1}),
    ("sell", {"client": "\0", "seq": 1}),
    ("level_up", {"client": "a", "seq": 0}),
    ("level_up", {"client": "a", "seq": fields.MAX_SEQ + 1}),
    ("upgrade_buy", {"id": 1}),
    ("upgrade_buy", {"id": 1, "count": fields.MAX_COUNT}),
    ("upgrade_buy", {"id": 1, "count": fields.MAX_COUNT + 1}),
    ("upgrade_buy", {"id": 1, "count": 0}),
    ("upgrade_buy", {"id": -1}),
    ("upgrade_buy", {"id": "1"}),
    ("upgrade_buy", {}),
    ("session", {"client": "a"}),
    ("session", {"client": 1}),
    ("leaderboard", {}),
    ("leaderboard", {"by": "stars"}),
    ("leaderboard", {"by": "dishes"}),
    ("leaderboard", {"by": None}),
    ("name_set", {"name": "a" * fields.MAX_NAME_CHARS}),
    ("name_set", {"name": "a" * (fields.MAX_NAME_CHARS + 1)}),
    ("name_set", {}),
    ("golden_guest", {}),
    ("golden_guest", {"serve": 1}),
    ("golden_guest", {"serve": 0}),
    ("golden_guest", {"serve": 1.5}),
    ("golden_guest", {"serve": fields.MAX_SEQ + 1}),
    ("passive", {"count": "ignored"}),
]


@pytest.mark.parametrize(("kind", "data"), DATA)
def test_the_schema_and_the_code_agree_on_a_request(kind: str, data: dict[str, object]) -> None:
    """What the code takes the schema takes, and what it refuses the schema refuses."""
    frame: dict[str, object] = {"message_type": "request", "request_id": "1", "request_type": kind}
    frame["data"] = {"token": "a.b.c", **data}
    try:
        wire_schema(f"{title(kind)}Request").validate(frame)
        valid = True
    except ValidationError:
        valid = False
    assert valid == _is_parsed(frame)


def _is_parsed(frame: dict[str, object]) -> bool:
    try:
        parse(orjson.dumps(frame))
    except Refused:
        return False
    return True


def test_every_declared_field_is_described() -> None:
    """The description of a request has the fields that the parser reads, and no other."""
    for kind, declared in fields.REQUEST_SHAPES.items():
        names = {"token", *(field.name for field in declared.fields)}
        properties = request_data(kind)["properties"]
        assert isinstance(properties, dict)
        assert names == properties.keys()
