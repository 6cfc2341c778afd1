"""The folder of documents: its list is complete, decisions have one form, and prose is plain English."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from scripts.checks.prose import files, findings
from scripts.checks.wrapping import wrapped
from tests.support.doc_examples import DOCS

if TYPE_CHECKING:
    from pathlib import Path

DECISIONS: Final = sorted(DOCS.glob("decisions/*.md"))
PAGES: Final = [*DOCS.glob("*.md"), *DECISIONS, DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"]
EXAMPLES: Final = {"docs/decisions/NNNN-name.md", "persistence/live/lua/deliver.lua"}
HEADINGS: Final = ["Context", "Choice", "Alternatives", "Cost", "When to look again"]


def test_every_page_is_listed() -> None:
    """docs/README.md links each page and each decision."""
    listed = set(re.findall(r"\]\(([^)#]+)\)", (DOCS / "README.md").read_text(encoding="utf-8")))
    pages = {path for pattern in ("*.md", "*.yaml", "decisions/*.md") for path in DOCS.glob(pattern)}
    assert {path.relative_to(DOCS).as_posix() for path in pages} - {"README.md"} <= listed


def test_files_that_documents_name_exist() -> None:
    """A code span that looks like a source file with its folder is the end of the path of one."""
    paths = [f"/{name}" for name in files("")]
    missing = [
        f"{page.name}: {span}"
        for page in PAGES
        for span in re.findall(
            r"`([\w.]+(?:/[\w.-]+)+\.(?:py|lua|js|json|txt|md))`", page.read_text(encoding="utf-8")
        )
        if span not in EXAMPLES and not any(name.endswith(f"/{span}") for name in paths)
    ]
    assert missing == []


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem[:4])
def test_a_decision_has_number_date_status_and_the_five_headings(page: Path) -> None:
    """Its title begins with the number of its file, date and status follow, then the headings in order."""
    text = page.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0].startswith(f"# {int(page.stem[:4])}. ")
    assert re.fullmatch(r"Date: \d{4}-\d\d-\d\d · Status: (accepted|superseded by \[.+\]\(.+\))", lines[2])
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("page.md", "A close amid\na message.\n", ["page.md:1: 'amid'"]),
        ("page.md", "The state is\ntold to others.\n", ["page.md:1: 'is told'"]),
        ("page.md", "Two tokens are told apart.\n", []),
        ("page.md", "`amid` and [a link](amid.md)\n\n```\namid\n```\n", []),
        ("page.py", "# Tried again ever\n# later.\n", ["page.py:1: 'ever later'"]),
        ("page.py", 'amid = f"{amid} reckoned"\n', ["page.py:1: 'reckoned'"]),
        ("page.lua", "local amid = 1\n-- Reckons it.\n", ["page.lua:2: 'Reckons'"]),
        (
            "page.js",
            'told();\n// This is told.\ntest("an ill part", run);\n',
            ["page.js:2: 'is told'", "page.js:3: 'ill'"],
        ),
        ("page.md", f"{'word ' * 25}\n", ["page.md:1: prose is wrapped at 110"]),
        ("page.md", f"| {'word ' * 25} |\n\n    {'word ' * 25}\n", []),
    ],
)
def test_words_that_stay_out_are_found_in_prose_alone(name: str, source: str, found: list[str]) -> None:
    """Code spans, blocks, tables' width and identifiers pass; text for people does not."""
    said = findings(name, source)
    assert len(found) == len(said)
    assert all(line.startswith(expected) for line, expected in zip(said, found, strict=True))


def test_wrapping_keeps_lists_code_and_meaning() -> None:
    """Long lines are wrapped with the indentation of their item; a second time changes nothing."""
    source = f"- {'word ' * 30}- dash `a b`\n\n{'x ' * 60}\n\n```\n{'y ' * 70}\n```\n"
    once = wrapped(source)
    assert once == wrapped(once)
    assert once.split() == source.split()
    assert once.splitlines()[1].startswith("  word")
    assert not any(line.startswith("- dash") for line in once.splitlines())
