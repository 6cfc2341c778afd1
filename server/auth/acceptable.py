"""Which e-mail addresses and passwords an account may have. Pure."""

from __future__ import annotations

import re
import unicodedata
from importlib import resources
from typing import Final

from server.auth.errors import NotAcceptable

MIN_PASSWORD_CHARACTERS: Final = 8
MAX_PASSWORD_BYTES: Final = 72
"""bcrypt reads no further."""

_MAX_CHARACTERS_TO_COMPOSE: Final = 4 * MAX_PASSWORD_BYTES
"""No letter of Unicode is composed of more than four."""

MAX_EMAIL_CHARACTERS: Final = 254
"""RFC 5321's longest path; an index of PostgreSQL has its limit too."""

_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_EMAIL: Final = re.compile(rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})+")
"""The pattern of HTML's `type=email` (https://html.spec.whatwg.org/#valid-e-mail-address), with a dot."""


def _read_common() -> frozenset[str]:
    """Read the list of common passwords; the file says where it comes from."""
    text = resources.files("server.auth").joinpath("common_passwords.txt").read_text(encoding="ascii")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


COMMON_PASSWORDS: Final = _read_common()
"""In small letters. Guessing begins with these."""


def is_acceptable_email(email: str) -> bool:
    """Say whether an account may have this address; its case doesn't matter."""
    return len(email) <= MAX_EMAIL_CHARACTERS and _EMAIL.fullmatch(email) is not None


def require_acceptable_email(email: str) -> None:
    """Raise NotAcceptable, saying why, for an address that no account may have."""
    if len(email) > MAX_EMAIL_CHARACTERS:
        raise NotAcceptable(f"email is longer than {MAX_EMAIL_CHARACTERS} characters")
    if not is_acceptable_email(email):
        raise NotAcceptable("email is not an e-mail address")


def normal_form(password: str, field: str = "password") -> str:
    """Return a password as it is hashed: in NFC, one form whatever keyboard and system wrote it.

    Raises NotAcceptable for U+0000, which some programs take for the end of a text. What is too long in any
    form comes back as it is: composing takes a time that grows with the square of the combining marks.
    """
    if len(password) > _MAX_CHARACTERS_TO_COMPOSE:
        return password
    if "\0" in password:
        raise NotAcceptable(f"{field} contains U+0000")
    return unicodedata.normalize("NFC", password)


def require_acceptable_password(password: str, field: str = "password") -> None:
    """Raise NotAcceptable, naming the field and why, for a password, in NFC, that no account may have."""
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise NotAcceptable(f"{field} is shorter than {MIN_PASSWORD_CHARACTERS} characters")
    if len(password.encode()) > MAX_PASSWORD_BYTES:
        raise NotAcceptable(f"{field} is longer than {MAX_PASSWORD_BYTES} bytes")
    if password.lower() in COMMON_PASSWORDS:
        raise NotAcceptable(f"{field} is one of the {len(COMMON_PASSWORDS):,} most common ones")
