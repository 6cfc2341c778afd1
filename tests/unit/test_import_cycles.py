"""The check that no two files import each other."""

from __future__ import annotations

import pytest

from scripts.checks.cycles import circles, imports_of, problems

NONE_ALLOWED: frozenset[frozenset[str]] = frozenset()

ANNOTATION = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a.one import One\n"
LAZY = "def f():\n    import a.one\n"
PLAIN = "from a import one\n"


@pytest.mark.parametrize("back", [ANNOTATION, LAZY, PLAIN])
def test_two_files_that_import_each_other_are_found(back: str) -> None:
    """An import for an annotation, one within a function and a plain one all close a circle."""
    sources = {"a": "", "a.one": "from a.two import Two\n", "a.two": back}

    (line,) = problems(circles(imports_of(sources)), NONE_ALLOWED)

    assert line in {"a circle: a.one → a.two → a.one", "a circle: a.two → a.one → a.two"}


def test_circles_around_corners_are_found() -> None:
    """Three files in a circle, and two circles at once, are all named."""
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"c"}}

    found = {frozenset(circle) for circle in circles(graph)}

    assert {frozenset("abc"), frozenset("cd")} == found


def test_one_way_is_no_circle() -> None:
    """Files that import one way, and what others import, are not mentioned."""
    sources = {"a": "import b\nimport json\n", "b": "from c import thing\n", "c": "import a2\n"}

    assert circles(imports_of(sources)) == []


def test_what_is_allowed_must_be_there() -> None:
    """An allowed circle is not reported; once it is gone, the list has to be shortened."""
    allowed = frozenset({frozenset({"a", "b"})})

    assert problems([["a", "b", "a"]], allowed) == []
    assert problems([], allowed) == ["gone, take it out of ALLOWED: a, b"]


def test_relative_imports_are_read_where_they_are_allowed() -> None:
    """Client libraries are installed under another name, so their imports are relative."""
    sources = {"clients.lib": "from .one import x", "clients.lib.one": "from .two import y"}
    graph = imports_of({**sources, "clients.lib.two": "from .one import z"})
    assert graph["clients.lib"] == {"clients.lib.one"}
    assert circles(graph) == [["clients.lib.one", "clients.lib.two", "clients.lib.one"]]


def test_relative_imports_are_refused_elsewhere() -> None:
    """A relative import would pass unseen: it is an error."""
    with pytest.raises(ValueError, match="absolute"):
        imports_of({"a.one": "from . import two\n", "a.two": ""})
