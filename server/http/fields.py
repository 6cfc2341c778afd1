"""The fields of HTTP bodies, declared once: the routes read them, the API description shows them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from server.auth.acceptable import MAX_EMAIL_CHARACTERS, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARACTERS


@dataclass(frozen=True, slots=True)
class FormField:
    """A text that a body must hold. What is acceptable beyond "not empty" is checked where it is used.

    `schema` are the JSON schema's words for it, besides `type`. One that is not `required` may be left out.
    """

    name: str
    schema: tuple[tuple[str, str | int], ...] = (("minLength", 1),)
    required: bool = True


EMAIL: Final = FormField("email")
PASSWORD: Final = FormField("password")
PASSWORD_IF_ANY: Final = FormField("password", (("description", "A guest has none."),), required=False)

LINK_TOKEN: Final = FormField(
    "token", (("minLength", 1), ("description", "What the link has after #reset=."))
)

_ACCEPTABLE_PASSWORD: Final = (
    ("minLength", MIN_PASSWORD_CHARACTERS),
    ("maxLength", MAX_PASSWORD_BYTES),
    ("description", f"At most {MAX_PASSWORD_BYTES} bytes in UTF-8."),
)
ACCEPTABLE_EMAIL: Final = FormField(
    "email",
    (
        ("format", "email"),
        ("maxLength", MAX_EMAIL_CHARACTERS),
        (
            "description",
            "As HTML's type=email has it, with a dot in its domain; compared without regard to case.",
        ),
    ),
)
ACCEPTABLE_PASSWORD: Final = FormField("password", _ACCEPTABLE_PASSWORD)
ACCEPTABLE_NEW_PASSWORD: Final = FormField("new_password", _ACCEPTABLE_PASSWORD)
