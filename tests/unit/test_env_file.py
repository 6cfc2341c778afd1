"""`.env`: in UTF-8 it is read, in anything else it is refused by name, and no line is passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.settings import StartupError, read_settings

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "PORT=2000\nACCESS_TOKEN_SECRET=pepper\n"


@pytest.mark.parametrize(
    "raw",
    [TEXT.encode(), TEXT.encode("utf-8-sig"), TEXT.replace("\n", "\r\n").encode()],
    ids=["plain", "BOM", "CRLF"],
)
def test_utf_8_is_read(tmp_path: Path, raw: bytes) -> None:
    """With a byte order mark and line ends of Windows too, whose first line holds a setting as well."""
    (tmp_path / ".env").write_bytes(raw)

    settings = read_settings({}, tmp_path / ".env")

    assert settings.port == 2000
    assert settings.access_token_secrets[0].reveal() == "pepper"


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (TEXT.encode("utf-16"), "is in UTF-16"),
        (TEXT.encode("utf-16-le"), "is in UTF-16"),
        (TEXT.encode("utf-16-be"), "is in UTF-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "is in UTF-16"),
        ("PORT=1\nACCESS_TOKEN_SECRET=pepper_ключ\n".encode("cp1251"), "is not in UTF-8"),
        ("PORT=1\nACCESS_TOKEN_SECRET=pepper_é\n".encode("latin-1"), "is not in UTF-8"),
        (TEXT.encode()[:-1] + b"\xd0", "is not in UTF-8"),
    ],
    ids=["UTF-16", "UTF-16 LE", "UTF-16 BE", "UTF-16 BE with BOM", "Windows-1251", "Latin-1", "cut short"],
)
def test_another_encoding_is_refused(tmp_path: Path, raw: bytes, word: str) -> None:
    """One line names the file and what to do, and shows nothing of it."""
    (tmp_path / ".env").write_bytes(raw)

    line = refusal(tmp_path / ".env")

    assert f".env {word}: save it as UTF-8" in line
    assert "pepper" not in line


@pytest.mark.parametrize(
    ("text", "number"),
    [("PORT 2000\n", 1), ("\n\n# a comment\nPORT=1\nHOST\tpepper\n", 5), ('PORT=1\nA="pepper\n', 2)],
    ids=["no =", "no = further down", "an open quote"],
)
def test_a_line_that_is_no_setting_is_refused(tmp_path: Path, text: str, number: int) -> None:
    """It is named by its number: a setting that was passed over would be missed much later."""
    (tmp_path / ".env").write_text(text)

    line = refusal(tmp_path / ".env")

    assert f".env makes no sense in line {number}: give NAME=value" in line
    assert "pepper" not in line


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the system's reason; simulated, since root may read every file."""

    def deny(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / ".env").write_text(TEXT)
    monkeypatch.setattr(type(tmp_path), "read_bytes", deny)

    assert refusal(tmp_path / ".env").endswith(
        ".env cannot be read: Permission denied; correct its owner or mode"
    )


def test_no_file_is_no_fault(tmp_path: Path) -> None:
    """A missing file, and a folder of that name, hold no settings."""
    (tmp_path / "folder").mkdir()

    for name in ("none", "folder"):
        assert read_settings({}, tmp_path / name) == read_settings({}, None)


def refusal(path: Path) -> str:
    """Read a file that is refused, and return the line."""
    with pytest.raises(StartupError) as refused:
        read_settings({}, path)
    line = str(refused.value)
    assert line.isprintable()
    return line
