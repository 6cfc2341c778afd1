"""Amounts as an operator writes them."""

from __future__ import annotations

import pytest

from server.desk.amounts import in_units
from server.desk.errors import NotUnderstood


@pytest.mark.parametrize(
    ("what", "text", "units"),
    [
        ("money", "500", 500),
        ("xp", "2.5", 250),
        ("stars", ".0001", 1),
        ("boost", "1.6", 16),
        ("money", "1e3", 1000),
    ],
)
def test_an_amount_is_read_in_the_unit_of_its_field(what: str, text: str, units: float) -> None:
    """As players read it, whatever unit the session keeps."""
    assert in_units(what, text) == units


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 5",
        "5 ",
        "1_000",
        "1,5",
        "+5",
        "-5",
        "0",
        "0.5",
        "0x10",
        "\uff15",
        "\u0665",
        "NaN",
        "inf",
        "1e400",
        "9" * 320,
        "1e-400",
        "1e9999",
        "1.2.3",
        "9" * 500,
    ],
)
def test_what_is_no_plain_amount_is_refused(text: str) -> None:
    """Only digits and a point, above 0, as fine as the field is, and within what a number can be."""
    with pytest.raises(NotUnderstood):
        in_units("money", text)
