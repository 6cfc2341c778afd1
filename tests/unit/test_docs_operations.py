"""The operators' page: its settings are the server's, its warnings those that the code writes."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Final

from dotenv import dotenv_values

from runtime.settings import Secret, Settings
from scripts.describe.licences import PAGE as LICENCES
from scripts.describe.licences import rendered
from tests.support.doc_examples import DOCS

if TYPE_CHECKING:
    from pathlib import Path

ROOT: Final = DOCS.parent
PAGE: Final = (DOCS / "operations.md").read_text(encoding="utf-8")
SPOKEN: Final = {"warning", "error", "exception"}

# Keys in the code are several; the variable is one.
NAMES: Final = {
    "access_token_secrets": "ACCESS_TOKEN_SECRET",
    "refresh_token_secrets": "REFRESH_TOKEN_SECRET",
}
NAMES["trace_endpoint"] = "OTEL_EXPORTER_OTLP_ENDPOINT"
_WORDS: Final = {"on", "ru", "info", "console"}
NOT_AN_OPERATORS: Final = {"worker_index", "worker_folder"}


def _section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def _rows(section: str) -> list[list[str]]:
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _shown(name: str, value: object) -> str:
    match value:
        case Secret():
            return "embedded" if name.endswith("_connection") else "none"
        case bool():
            return "`on`" if value else "`off`"
        case tuple() | frozenset() | "":
            return "none"
        case _:
            return f"`{value}`"


def test_every_setting_is_on_the_page_with_its_default() -> None:
    """The table has the fields of the settings, each with the default that the code has."""
    defaults = Settings()
    expected = {}
    for field in fields(Settings):
        if field.name not in NOT_AN_OPERATORS:
            name = NAMES.get(field.name, field.name.upper())
            secret = field.name.endswith("_secrets")
            shown = _shown(field.name, getattr(defaults, field.name))
            expected[name] = "made and kept in `DATA_DIR`" if secret else shown
    documented = {row[0].strip("`"): row[1] for row in _rows(_section("Settings"))}
    assert expected == documented


def test_the_example_of_an_env_file_has_every_setting() -> None:
    """.env.example lists the same variables, commented out, with the same defaults."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", text, re.MULTILINE))
    documented = {row[0].strip("`"): row[1].strip("`") for row in _rows(_section("Settings"))}
    assert documented.keys() == listed.keys()
    # What has no default of its own shows an example, or nothing.
    defaulted = [name for name, value in documented.items() if value[0] in "0123456789." or value in _WORDS]
    assert {name: listed[name] for name in defaulted} == {name: documented[name] for name in defaulted}
    assert dotenv_values(ROOT / ".env.example") == {}


def _events() -> set[str]:
    """The events that the server and what it stands on log as a warning or worse."""
    found = set()
    folders = ("server", "persistence", "seeds", "runtime")
    for path in (path for folder in folders for path in ROOT.glob(f"{folder}/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            logs = isinstance(node.func.value, ast.Name) and node.func.value.id == "_log"
            if logs and node.func.attr in SPOKEN and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found


def test_every_warning_is_explained() -> None:
    """Each event of level warning or above is on the page, and the page names no other."""
    rows = _rows(_section("What each warning means"))
    explained = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row[0])}
    assert _events() == explained


def test_links_lead_somewhere() -> None:
    """Each relative link of a document names a file, and an anchor a heading of it."""
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
            name, _, anchor = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            assert file.exists(), f"{page.name}: {target}"
            if anchor and file.suffix == ".md":
                assert anchor in _anchors(file), f"{page.name}: {target}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_licences_are_those_of_the_lock() -> None:
    """The page is what `python -m scripts.describe.licences` writes."""
    assert rendered() == LICENCES.read_text(encoding="utf-8")
