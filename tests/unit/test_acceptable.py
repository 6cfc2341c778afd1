"""Which e-mail addresses and passwords an account may have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.auth.acceptable import (
    is_acceptable_email,
    require_acceptable_email,
    require_acceptable_password,
)
from server.auth.errors import NotAcceptable


@pytest.mark.parametrize(
    "email",
    ["a@b.c", "A.b+c@Example.COM", "o'neil!#$%&*/=?^_`{|}~-@x-y.example", "1@1.1", "a@" + "b" * 63 + ".c"],
)
def test_acceptable_email(email: str) -> None:
    """HTML's pattern decides, and a dot in the domain."""
    require_acceptable_email(email)
    assert is_acceptable_email(email)


@pytest.mark.parametrize(
    "email",
    [
        "a@localhost",
        "a@b",
        "@b.c",
        "a@",
        "a b@c.d",
        "a@-b.c",
        "a@b-.c",
        "a@b..c",
        "a@.b.c",
        "a@b.c.",
        "a@b.c\n",
        "a\0@b.c",
        "é@b.c",
        "a@é.c",
        "a@b.c@d.e",
        '"a b"@c.d',
        "a@" + "b" * 64 + ".c",
        "a" * 251 + "@b.c",
    ],
)
def test_unacceptable_email(email: str) -> None:
    """What the pattern refuses is refused with a message that says so."""
    assert not is_acceptable_email(email)
    with pytest.raises(NotAcceptable, match="email"):
        require_acceptable_email(email)


@pytest.mark.parametrize("password", ["12345678", "x" * 72, "ж" * 36, "        ", "a\0bcdefgh"])
def test_acceptable_password(password: str) -> None:
    """From 8 characters to 72 bytes everything goes."""
    require_acceptable_password(password)


@pytest.mark.parametrize(
    ("password", "why"), [("1234567", "shorter than 8"), ("x" * 73, "longer than 72"), ("ж" * 37, "longer")]
)
def test_unacceptable_password(password: str, why: str) -> None:
    """The message says which field and why."""
    with pytest.raises(NotAcceptable, match=f"new_password is {why}") as refused:
        require_acceptable_password(password, "new_password")
    assert refused.value.message == str(refused.value)


@given(st.text(max_size=300))
def test_any_email(text: str) -> None:
    """Both questions agree on every text."""
    try:
        require_acceptable_email(text)
    except NotAcceptable:
        assert not is_acceptable_email(text)
    else:
        assert is_acceptable_email(text)
