"""Commands as people start them: how each names itself, and how the documents write it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Final

from tests.support.game_server import REPOSITORY
from tests.support.limits import LIMIT_S

_PACKAGES: Final = ("persistence", "scripts", "seeds", "server")
_WITHOUT_ARGUMENTS: Final = frozenset(
    {
        "scripts.bench.naive",
        "scripts.bench.passes",
        "scripts.bench.single_calls",
        "scripts.chaos.broken",
        "scripts.hostile.watched",
    }
)
"""Started by other commands only, settings in the environment."""

_ASKING: Final = """
import contextlib, io, json, runpy, sys
modules, texts = sys.argv[1:], {}
for module in modules:
    said = texts[module] = io.StringIO()
    sys.argv = [module, "--help"]
    try:
        with contextlib.redirect_stdout(said):
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        assert not ended.code, (module, ended.code)
    else:
        raise AssertionError(f"{module} went on after its help")
print(json.dumps({module: said.getvalue() for module, said in texts.items()}))
"""


def commands() -> list[str]:
    """Name every module that can be started with `python -m`."""
    found = set()
    for package in _PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
            if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8"):
                found.add(module.removesuffix(".__main__"))
    return sorted(found - _WITHOUT_ARGUMENTS)


def usages(modules: list[str]) -> dict[str, str]:
    """Ask each command for its help, all in one process: what they import is imported once."""
    said = subprocess.run(
        [sys.executable, "-c", _ASKING, *modules],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    ).stdout
    texts: dict[str, str] = json.loads(said)
    return texts


def test_help_names_the_command_that_was_typed() -> None:
    """`--help` of every command begins with `usage: python -m …`, and does nothing else."""
    modules = commands()
    assert {"scripts.flush", "scripts.clicker", "seeds.create_upgrades", "persistence.flusher"} <= {*modules}
    texts = usages(modules)
    assert list(texts) == modules
    wrong = [
        module
        for module, text in texts.items()
        if not re.match(rf"usage: python -m {re.escape(module)}(\s|$)", text)
    ]
    assert wrong == []


def test_documents_run_commands_with_the_python_that_has_what_they_need() -> None:
    """What a reader copies starts `.venv/bin/python`: a bare `python` may not exist, or lack the packages."""
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
    bare = [
        f"{page.name}: {line.strip()}"
        for page in pages
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.match(r"    python\d? ", line)
        or (page.parent == REPOSITORY and re.search(r"(?<![/\w])python -", line))
    ]
    assert bare == []


def test_git_ignores_the_tokens_of_the_first_conversation() -> None:
    """`tokens.json` of the README is a live log-in: git leaves it out, and nobody else may read it."""
    ignored = (REPOSITORY / ".gitignore").read_text(encoding="utf-8").split()
    command = next(
        line
        for line in (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
        if "> tokens.json" in line
    )
    assert "/tokens.json" in ignored
    assert command.startswith("(umask 077 &&")


def test_git_ignores_the_second_folder_of_data() -> None:
    """So it does with the other DATA_DIR that the README suggests: the keys of log-ins lie there."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"DATA_DIR=([\w.]+)", text)
    assert named
    ignored = (REPOSITORY / ".gitignore").read_text(encoding="utf-8").split()
    assert [name for name in named if f"/{name}/" not in ignored] == []
