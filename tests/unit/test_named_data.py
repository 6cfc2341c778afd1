"""The check that no value is read by its position."""

from __future__ import annotations

import pytest

from scripts.checks.named_data import check, defects


def test_nothing_is_read_by_position() -> None:
    """Replies, rows and tuples have names wherever they are read."""
    assert check() == []


@pytest.mark.parametrize(
    "expression",
    ["reply[0]", "row[-1]", "values[1:7]", "words[:2]", "call()[3]", "self.pair[1]", "pairs[1::2]"],
)
def test_a_position_is_a_defect(expression: str) -> None:
    """A constant index or slice is named with its line, whatever it is taken of."""
    assert defects("a.py", f"import b\nx = {expression}\n", {}) == [
        f"a.py:2: {expression} is read by position"
    ]


@pytest.mark.parametrize(
    "expression",
    [
        "record['id']",
        "rows[at]",
        "rows[:half]",
        "text.partition(' ')[0]",
        "key.rpartition(b':')[2]",
        "all[:]",
    ],
)
def test_a_name_a_variable_and_a_part_of_a_text_are_none(expression: str) -> None:
    """Names, computed places and the parts that `partition` makes may be taken."""
    assert defects("a.py", f"x = {expression}\n", {}) == []


def test_an_exception_has_a_reason_and_a_use() -> None:
    """What is allowed passes, and an entry for what is not there any more is a defect."""
    assert defects("a.py", "x = reply[0]\n", {"reply[0]": "unpacked once"}) == []
    assert defects("a.py", "x = 1\n", {"reply[0]": "unpacked once"}) == [
        "a.py: reply[0] is allowed and not there"
    ]
