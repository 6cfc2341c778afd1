"""Which e-mail addresses and passwords an account may have."""

from __future__ import annotations

from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.auth.acceptable import (
    COMMON_PASSWORDS,
    MAX_PASSWORD_BYTES,
    MIN_PASSWORD_CHARACTERS,
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


@pytest.mark.parametrize("password", ["1234567 ", "x" * 72, "ж" * 36, "        ", "a\0bcdefgh"])
def test_acceptable_password(password: str) -> None:
    """From 8 characters to 72 bytes everything goes that is not common."""
    require_acceptable_password(password)


@pytest.mark.parametrize(
    ("password", "why"), [("1234567", "shorter than 8"), ("x" * 73, "longer than 72"), ("ж" * 37, "longer")]
)
def test_unacceptable_password(password: str, why: str) -> None:
    """The message says which field and why."""
    with pytest.raises(NotAcceptable, match=f"new_password is {why}") as refused:
        require_acceptable_password(password, "new_password")
    assert refused.value.message == str(refused.value)


@pytest.mark.parametrize("password", ["password", "12345678", "PassWord", "1q2w3e4r", "qwertyuiop"])
def test_a_common_password(password: str) -> None:
    """What everybody tries first is refused, in small letters or capitals."""
    with pytest.raises(NotAcceptable, match="new_password is one of the 1,000 most common ones"):
        require_acceptable_password(password, "new_password")


def test_the_list_of_common_passwords() -> None:
    """It names its source, and holds only what would be acceptable otherwise, each once."""
    path = resources.files("server.auth").joinpath("common_passwords.txt")
    lines = path.read_text(encoding="utf-8").splitlines()
    entries = [line for line in lines if not line.startswith("#")]
    assert "Source: " in "".join(lines[: len(lines) - len(entries)])
    assert len(entries) == len(COMMON_PASSWORDS) == 1000
    for entry in entries:
        assert entry == entry.lower().strip()
        assert MIN_PASSWORD_CHARACTERS <= len(entry) <= MAX_PASSWORD_BYTES


@given(st.text(max_size=300))
def test_any_email(text: str) -> None:
    """Both questions agree on every text."""
    try:
        require_acceptable_email(text)
    except NotAcceptable:
        assert not is_acceptable_email(text)
    else:
        assert is_acceptable_email(text)
