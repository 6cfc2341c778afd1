"""The wire contract as documented: its examples are what the code parses, in shape and in both languages."""

from __future__ import annotations

import re

import pytest

from scripts.describe.asyncapi import title
from server.protocol.close_codes import CloseCode
from server.protocol.errors import REFUSALS
from server.protocol.fields import REQUEST_TYPES
from server.protocol.messages import Refused, parse
from tests.support.doc_examples import DOCS, Block, blocks, difference, wire_schema

ENGLISH = "protocol.md"
RUSSIAN = "protocol.ru.md"
FRAMES = [block for block in blocks(ENGLISH) if block.language == "json"]
NOT_IN_TABLES = {CloseCode.NORMAL, CloseCode.ABNORMAL}


def _title(block: Block) -> str:
    return f"line {block.line}"


def _schema_name(block: Block) -> str:
    kind = str(block.frame["request_type"])
    if kind == "error":
        return "Error"
    name = title(kind)
    if block.mark == "request":
        return f"{name}Request"
    return f"{name}Push" if block.frame["request_id"] == "" else f"{name}Response"


def _refused_as(block: Block) -> str:
    """The code of the error that answers a request in the document, "" for another answer."""
    answer = FRAMES[FRAMES.index(block) + 1].frame["data"]
    return str(answer.get("code", "")) if isinstance(answer, dict) else ""


REQUESTS = [block for block in FRAMES if block.mark == "request"]
UNPARSED = {"unknown_request", "invalid_message"}


@pytest.mark.parametrize("block", [one for one in REQUESTS if _refused_as(one) not in UNPARSED], ids=_title)
def test_a_documented_request_is_parsed_as_its_type(block: Block) -> None:
    """Each request in the document is one for the code that reads requests, and for its schema."""
    request = parse(block.text.encode())
    assert block.frame["request_type"] == request.request_type
    wire_schema(_schema_name(block)).validate(block.frame)


@pytest.mark.parametrize("block", [one for one in REQUESTS if _refused_as(one) in UNPARSED], ids=_title)
def test_a_documented_mistake_is_refused_as_documented(block: Block) -> None:
    """What the document shows as refused for its shape is refused with that code."""
    with pytest.raises(Refused) as refused:
        parse(block.text.encode())
    assert _refused_as(block) == refused.value.refusal.code


@pytest.mark.parametrize("block", [one for one in FRAMES if one.mark != "request"], ids=_title)
def test_a_documented_answer_has_the_described_shape(block: Block) -> None:
    """Each response, push and shape in the document is valid by asyncapi.yaml."""
    wire_schema(_schema_name(block)).validate(block.frame)


def test_the_conversation_covers_every_request_type_and_refusal() -> None:
    """No request type and no error code is without an example."""
    shown = {str(block.frame["request_type"]) for block in FRAMES}
    assert set() == REQUEST_TYPES - shown
    datas = [block.frame["data"] for block in FRAMES if block.frame["request_type"] == "error"]
    codes = {data["code"] for data in datas if isinstance(data, dict)}
    assert {refusal.code for refusal in REFUSALS} == codes


@pytest.mark.parametrize("name", [ENGLISH, RUSSIAN])
def test_the_tables_name_every_code(name: str) -> None:
    """Every request type, error code, text and close code of the code stands in a table of the document."""
    text = (DOCS / name).read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `?(\w+)`? \| (.*)$", text, re.MULTILINE))
    assert set() == REQUEST_TYPES - rows.keys()
    assert set() == {str(code.value) for code in CloseCode if code not in NOT_IN_TABLES} - rows.keys()
    for refusal in REFUSALS:
        documented = re.sub(r"\b[ABN]\b|…", "{}", rows[refusal.code].partition("`,")[0])
        assert re.sub(r"\{\w+\}", "{}", refusal.text) in documented


def test_both_languages_show_the_same_examples() -> None:
    """The Russian document has the English one's blocks, word for word and in the same order."""
    english, russian = blocks(ENGLISH), blocks(RUSSIAN)
    assert [(one.language, one.mark, one.text) for one in english] == [
        (one.language, one.mark, one.text) for one in russian
    ]


def test_both_languages_have_the_same_tables() -> None:
    """Row by row, the first cells of the tables are the same but for their headings."""
    cells = [
        re.findall(r"^\| (`[^|]+?`|\d+)", (DOCS / name).read_text(encoding="utf-8"), re.MULTILINE)
        for name in (ENGLISH, RUSSIAN)
    ]
    words = [[cell.split("`")[1] if "`" in cell else cell for cell in found] for found in cells]
    assert words[0] == words[1]


@pytest.mark.parametrize(
    ("expected", "found", "fault"),
    [
        ({"xp": 5}, {"xp": 5, "more": 1}, ""),
        ({"xp": 5}, {"xp": 6}, "xp: 6 is not 5"),
        ({"xp": 5}, {}, ": xp missing"),
        ({"version": 5}, {"version": 6}, ""),
        ({"version": 5}, {"version": "6"}, "version: '6' is not 5"),
        ({"token": "<token>"}, {"token": "x"}, ""),
        ({"done": True}, {"done": False}, "done: False is not True"),
        ({"items": [{"id": 1}]}, {"items": [{"id": 2}, {"id": 3}]}, ""),
        ({"items": [{"id": 1}]}, {"items": []}, "items: [] is no such list"),
        ({"items": [{"id": 1}]}, {"items": [{}]}, "items: id missing"),
    ],
)
def test_an_answer_is_compared_with_its_example(expected: object, found: object, fault: str) -> None:
    """An example stands for its exact values, but for what varies and the entries of lists."""
    assert fault == difference(expected, found)
