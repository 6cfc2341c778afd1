"""What the game writes to players, in Russian and English. Pure.

Nobody knows which language a forgotten password has, so each mail has both; the server's own comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple


class _Words(NamedTuple):
    """A mail in one language; the text has places for values."""

    subject: str
    text: str


_RESET: Final = {
    "ru": _Words(
        "Новый пароль",
        """\
Кто-то, скорее всего вы, хочет задать новый пароль для кухни с этой почтой.
По этой ссылке это можно сделать один раз, в течение {minutes} минут:

{link}

Если это были не вы, ничего не делайте: пароль остался прежним.
""",
    ),
    "en": _Words(
        "A new password",
        """\
Somebody, most likely you, wants a new password for the kitchen with this
e-mail. This link sets one, once, within {minutes} minutes:

{link}

If it was not you, do nothing: the password is what it was.
""",
    ),
}
_CHANGED: Final = {
    "ru": _Words(
        "Адрес изменён",
        """\
У вашей кухни теперь другой адрес почты, и письма на этот больше не приходят.
Если это были не вы, сообщите об этом тем, кто ведёт игру.
""",
    ),
    "en": _Words(
        "Another e-mail",
        """\
Your kitchen has another e-mail address now, and this one gets no more mail.
If it was not you, tell the people who run the game.
""",
    ),
}
_GAME: Final = "Click & Cook"
_BETWEEN: Final = "\n* * *\n\n"


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one player."""

    recipient: str
    subject: str
    text: str


def reset_letter(recipient: str, link: str, minutes: int, language: str) -> Letter:
    """Write the mail with a link that sets a new password once; `language` (ru or en) comes first."""
    return _letter(recipient, _RESET, language, link=link, minutes=minutes)


def email_changed_letter(recipient: str, language: str) -> Letter:
    """Write to the address that an account had before."""
    return _letter(recipient, _CHANGED, language)


def _letter(recipient: str, words: dict[str, _Words], language: str, **values: str | int) -> Letter:
    ordered = [words[language], *(other for name, other in words.items() if name != language)]
    subject = " / ".join(each.subject for each in ordered)
    text = _BETWEEN.join(each.text.format(**values) for each in ordered)
    return Letter(recipient, f"{_GAME}: {subject}", text)
