"""Bodies: three encodings, one meaning; and nothing but a refusal for the rest."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.error_answers import BodyRefused, NotEnoughData
from server.http.forms import read_fields
from server.http.messages import HttpRequest

JSON = "application/json"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=XX"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def body(content: bytes, kind: str | None) -> HttpRequest:
    """A request with a body."""
    headers = () if kind is None else (("content-type", kind),)
    return HttpRequest("POST", "/reg", headers, content)


def parts(*pairs: tuple[str, bytes], end: bytes = b"--XX--\r\n") -> bytes:
    """A multipart body with these dispositions and contents."""
    blocks = [
        b"--XX\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"
        for disposition, content in pairs
    ]
    return b"".join(blocks) + end


@given(email=TEXTS, password=TEXTS)
def test_three_encodings(email: str, password: str) -> None:
    """The same fields come out of JSON, urlencoded and multipart as browsers write them."""
    fields = {"email": email, "password": password}
    multipart = httpx.Request("POST", "http://h", files={name: (None, text) for name, text in fields.items()})
    for content, kind in (
        (json.dumps(fields).encode(), "Application/JSON; charset=UTF-8"),
        (urlencode(fields).encode(), URLENCODED),
        (multipart.read(), multipart.headers["content-type"]),
    ):
        assert (email, password) == read_fields(body(content, kind), "email", "password")


@pytest.mark.parametrize(
    "request_",
    [
        body(b"", None),
        body(b"", JSON),
        body(b"", MULTIPART),
        body(b"{}", JSON),
        body(b'{"email":null,"password":"x"}', JSON),
        body(b'{"email":"","password":"x"}', JSON),
        body(b"email=&password=x", URLENCODED),
        body(b"password=x", URLENCODED),
        body(parts(('form-data; name="password"', b"x")), MULTIPART),
        body(parts(('form-data; name="email"; filename="e"', b"x"), ("x", b"y")), MULTIPART),
        body(b"--XX--\r\n", MULTIPART),
    ],
)
def test_missing_or_empty(request_: HttpRequest) -> None:
    """A field that is missing, empty or a file is not there."""
    with pytest.raises(NotEnoughData):
        read_fields(request_, "email", "password")


@pytest.mark.parametrize(
    "request_",
    [
        body(b"{", JSON),
        body(b"[]", JSON),
        body(b'"text"', JSON),
        body(b'{"email":5,"password":"x"}', JSON),
        body(b'{"email":["a"],"password":"x"}', JSON),
        body(b'{"email":"\\ud800","password":"x"}', JSON),
        body(b'{"email":"\xff"}', JSON),
        body(b"[" * 10_000, JSON),
        body(b"email=%ff&password=x", URLENCODED),
        body(b"email=\xff", URLENCODED),
        body(b"a=1&" * 100, URLENCODED),
        body(b"x", "multipart/form-data"),
        body(b"x", "multipart/form-data; boundary="),
        body(b"x", "multipart/form-data; boundary=" + "b" * 300),
        body(b"nonsense", MULTIPART),
        body(parts(('form-data; name="email"', b"x"), end=b""), MULTIPART),
        body(parts(('form-data; name="email"', b"\xff"), ('form-data; name="password"', b"x")), MULTIPART),
        body(parts(*[('form-data; name="a"', b"x")] * 65), MULTIPART),
    ],
)
def test_malformed(request_: HttpRequest) -> None:
    """What cannot be read is a 400."""
    with pytest.raises(BodyRefused) as refused:
        read_fields(request_, "email", "password")
    assert refused.value.http_status == 400


@pytest.mark.parametrize(
    "kind", [None, "text/plain;charset=UTF-8", "application/xml", "application/json; charset=koi8-r", "", ";"]
)
def test_other_types(kind: str | None) -> None:
    """Another type, or another character set, is a 415."""
    with pytest.raises(BodyRefused) as refused:
        read_fields(body(b"{}", kind), "email")
    assert refused.value.http_status == 415


def test_last_one_counts() -> None:
    """Of a field sent twice the last counts, in each encoding."""
    for content, kind in (
        (b'{"a":"1","a":"2"}', JSON),
        (b"a=1&a=2", URLENCODED),
        (parts(('form-data; name="a"', b"1"), ("form-data; name=a", b"2")), MULTIPART),
    ):
        assert read_fields(body(content, kind), "a") == ("2",)


@given(
    content=st.binary(max_size=200)
    | st.lists(
        st.sampled_from([b"--XX", b"\r\n", b"--", b'Content-Disposition: form-data; name="a"', b":", b"x"])
    ).map(b"".join),
    kind=st.sampled_from([JSON, URLENCODED, MULTIPART, "multipart/form-data; boundary=\xff"])
    | st.text(max_size=30),
)
def test_any_body(content: bytes, kind: str) -> None:
    """Whatever the body and its type: fields, or one of the two refusals."""
    kind = kind.encode("latin-1", errors="ignore").decode("latin-1")
    try:
        (value,) = read_fields(body(content, kind), "a")
    except (BodyRefused, NotEnoughData):
        return
    assert value
