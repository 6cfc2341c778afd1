"""What SMTP_URL, MAIL_FROM and PUBLIC_URL may say, and that a refusal shows no password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.mail_settings import SmtpServer, StartTls, check_public_url, check_sender, parse_smtp_url
from runtime.settings import StartupError, read_settings
from runtime.url_parts import UrlError
from server.mail.certificates import check_cafile
from tests.support.tls import make_certificate

if TYPE_CHECKING:
    from pathlib import Path

MAIL = {
    "SMTP_URL": "smtp://127.0.0.1:2525",
    "MAIL_FROM": "game@example.com",
    "PUBLIC_URL": "https://play.example/",
}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", ("mail.example", 587, False, StartTls.REQUIRED, None, None, None)),
        ("smtps://mail.example", ("mail.example", 465, True, StartTls.REQUIRED, None, None, None)),
        ("smtp://localhost:25/", ("localhost", 25, False, StartTls.OFFERED, None, None, None)),
        ("smtp://[::1]:25", ("::1", 25, False, StartTls.OFFERED, None, None, None)),
        ("smtp://mail:25?starttls=off", ("mail", 25, False, StartTls.OFF, None, None, None)),
        ("smtp://a%40b:p%2Fq@m.example", ("m.example", 587, False, StartTls.REQUIRED, "a@b", "p/q", None)),
        ("smtp://a:b@127.0.0.1", ("127.0.0.1", 587, False, StartTls.OFFERED, "a", "b", None)),
        ("smtps://a:b@m:1?cafile=/ca.pem", ("m", 1, True, StartTls.REQUIRED, "a", "b", "/ca.pem")),
    ],
)
def test_a_mail_server(url: str, expected: tuple[object, ...]) -> None:
    """Ports and TLS follow from the scheme and from where the server is."""
    read = parse_smtp_url(url)
    assert expected == tuple(getattr(read, name) for name in SmtpServer.__slots__)
    assert "p/q" not in repr(read)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://:25",
        "smtp://a:pepper@",
        "smtp://mail.example:0",
        "smtp://mail.example:smtp",
        "smtp://mail.example/path",
        "smtp://pepper@mail.example",
        "smtp://:pepper@mail.example",
        "smtp://a:pepper#b@mail.example",
        "smtp://a:pepper@mail.example?starttls=off",
        "smtp://a:pepper@mail.example?starttls=offered",
        "smtps://a:pepper@mail.example?starttls=required",
        "smtp://a:pepper@mail.example?starttls=maybe",
        "smtp://a:pepper@mail.example?tls=on",
        "smtp://a:pepper@one.example,two.example",
    ],
)
def test_no_mail_server(url: str) -> None:
    """What makes no sense is refused, and so is what would send a password in the clear."""
    with pytest.raises(UrlError) as refused:
        parse_smtp_url(url)
    assert ": " in str(refused.value)  # what is wrong: what to do
    assert "pepper" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["game@example.com", "Click & Cook <game@example.com>", "Кухня <game@example.com>", "a@localhost"]
)
def test_a_sender(text: str) -> None:
    """An address, with or without a name."""
    check_sender(text)


@pytest.mark.parametrize(
    "text",
    [
        "game",
        "game@",
        "@example.com",
        "a b@example.com",
        "a@b@c",
        "Name game@example.com",
        "a@b.c, d@e.f",
        "a@b.c\nBcc: d@e.f",
        "Name <>",
    ],
)
def test_no_sender(text: str) -> None:
    """What is no single address is refused."""
    with pytest.raises(UrlError):
        check_sender(text)


@pytest.mark.parametrize("text", ["https://play.example", "http://127.0.0.1:1323", "https://a.b/kitchen/"])
def test_a_public_url(text: str) -> None:
    """Where the page is, with or without a path."""
    check_public_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "play.example",
        "ftp://a.b",
        "https://",
        "https://a.b/?x",
        "https://a.b/#x",
        "https://u@a.b",
        "https://a:x",
    ],
)
def test_no_public_url(text: str) -> None:
    """What a link cannot begin with is refused."""
    with pytest.raises(UrlError):
        check_public_url(text)


def test_mail_needs_all_three() -> None:
    """With a mail server the sender and the page's address are needed; alone they do no harm."""
    read = read_settings(MAIL, None)
    assert read.smtp_url.reveal() == MAIL["SMTP_URL"]
    assert read.public_url == "https://play.example"
    for name in ("MAIL_FROM", "PUBLIC_URL"):
        with pytest.raises(StartupError, match=f"^{name} is missing"):
            read_settings({**MAIL, name: ""}, None)
    assert not read_settings({**MAIL, "SMTP_URL": ""}, None).smtp_url


@pytest.mark.parametrize(
    ("name", "value"),
    [("SMTP_URL", "smtp://a:pepper@mail.example?x=1"), ("MAIL_FROM", "pepper"), ("PUBLIC_URL", "pepper")],
)
def test_a_refusal_names_the_variable(name: str, value: str) -> None:
    """In one line, without the value."""
    with pytest.raises(StartupError) as refused:
        read_settings({**MAIL, name: value}, None)
    assert str(refused.value).startswith(f"{name} ")
    assert "\n" not in str(refused.value)
    assert "pepper" not in str(refused.value)


def test_a_file_of_certificates_is_tried_before_anything_starts(tmp_path: Path) -> None:
    """What cannot be read or holds none is refused by the variable's name, without the address."""
    certificate = make_certificate(tmp_path)

    def check(path: Path) -> None:
        check_cafile(read_settings({**MAIL, "SMTP_URL": f"smtps://a:pepper@mail?cafile={path}"}, None))

    check(certificate.file)
    check_cafile(read_settings(MAIL, None))
    check_cafile(read_settings({}, None))
    for path, line in {
        tmp_path / "none.pem": "cannot be read (No such file or directory): correct its path or mode",
        tmp_path: "cannot be read (Is a directory): correct its path or mode",
        certificate.key: "holds no certificate in PEM form: correct its path",
    }.items():
        with pytest.raises(StartupError) as refused:
            check(path)
        assert str(refused.value) == f"SMTP_URL: the file that cafile names {line}"
