"""A file of settings such as `.env`, read strictly: every fault in it is reported, never skipped."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from dotenv.parser import parse_stream

if TYPE_CHECKING:
    from pathlib import Path

    from dotenv.parser import Original


class EnvFileError(ValueError):
    """The file makes no sense. The text is one line that says what to do and shows nothing of its values."""


def read_env_file(path: Path) -> dict[str, str]:
    """Read a file of UTF-8 with `NAME=value` in each line; {} where there is none. Raises EnvFileError."""
    try:
        raw = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise EnvFileError(f"{path} cannot be read: {error.strerror}; correct its owner or mode") from error
    values = {}
    for binding in parse_stream(io.StringIO(_text(path, raw))):
        if binding.error:
            raise EnvFileError(
                f"{path} makes no sense in line {_line_of(binding.original)}: give NAME=value, "
                "the value in quotes where it holds spaces, # or quotes"
            )
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values


def _text(path: Path, raw: bytes) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in raw:
        raise EnvFileError(f"{path} is in UTF-16: save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")  # editors of Windows begin a file with a byte order mark
    except UnicodeError:
        # Without its cause, which holds the file.
        raise EnvFileError(f"{path} is not in UTF-8: save it as UTF-8") from None


def _line_of(original: Original) -> int:
    """Return the number of a binding's first line, without the empty lines before it."""
    blank = len(original.string) - len(original.string.lstrip())
    return original.line + original.string[:blank].count("\n")
