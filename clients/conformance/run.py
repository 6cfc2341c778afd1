"""Hold a client to the cases: `python clients/conformance/run.py -- COMMAND…`.

The command is a client's core behind a pipe: it reads one JSON object a line and answers each with one. The
README in this folder describes the lines. Prints a line for each case; exit code 1 where one fails, 2 where
the command cannot be run. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CASES = Path(__file__).parent / "cases"
_CHECKED = ("out", "wake_at_ms", "status", "unanswered", "state", "optimistic")


@dataclass(frozen=True)
class Case:
    """One conversation. Each step is an input together with what is expected of the answer."""

    file: str
    name: str
    says: str
    options: dict[str, Any]
    steps: tuple[dict[str, Any], ...]


def read_cases(folder: Path = CASES) -> Iterator[Case]:
    """Read all cases, file by file, `@name` replaced by the file's value of that name."""
    for path in sorted(folder.glob("*.json")):
        file = json.loads(path.read_text(encoding="utf-8"))
        for raw in file["cases"]:
            case = _replaced(raw, file.get("values", {}))
            steps = tuple(case["steps"])
            yield Case(path.stem, case["name"], case["says"], case.get("options", {}), steps)


class Pipe:
    """A client behind a pipe."""

    def __init__(self, given: IO[str], told: IO[str]) -> None:
        self._given = given
        self._told = told

    def ask(self, line: dict[str, Any]) -> dict[str, Any]:
        """Give one line and return its answer. Raises EOFError where the client has ended."""
        self._given.write(json.dumps(line) + "\n")
        self._given.flush()
        text = self._told.readline()
        if not text:
            raise EOFError("the client has ended")
        answer: dict[str, Any] = json.loads(text)
        return answer


def fault_of(case: Case, pipe: Pipe) -> str:
    """Play a case; return "" where the client does what it must, else the step and the difference."""
    pipe.ask({"do": "case", "name": case.name, "options": case.options})
    sent_ids: list[str] = []
    for number, step in enumerate(case.steps, 1):
        given = {name: value for name, value in step.items() if name not in _CHECKED}
        where = f"step {number} ({step['do']} at {step['at_ms']} ms)"
        answer = pipe.ask(_with_ids(given, sent_ids))
        for output in answer["out"]:
            if output["do"] == "send":
                if not output.get("request_id") or output["request_id"] in sent_ids:
                    return f"{where}: a frame needs a request_id of its own: {output}"
                sent_ids.append(output["request_id"])
        expected = {"out": [], **{name: step[name] for name in _CHECKED if name in step}}
        found = {name: answer.get(name) for name in expected}
        if fault := difference(expected, found):
            return f"{where}: {fault}\n    expected {json.dumps(expected)}\n    found    {json.dumps(found)}"
    return ""


def difference(expected: object, found: object, path: str = "") -> str:
    """Say how a value differs from what is expected of it; fields that are not named don't matter.

    The `data` of what is sent must be the same as a whole.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        if expected.get("do") == "send" and found.get("do") == "send" and expected["data"] != found["data"]:
            return f"{path}.data is another"
        for name, value in expected.items():
            if name not in found:
                return f"{path}.{name} is missing"
            if fault := difference(value, found[name], f"{path}.{name}"):
                return fault
        return ""
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return f"{path} has {len(found)} entries, not {len(expected)}"
        faults = (
            difference(*pair, f"{path}[{at}]") for at, pair in enumerate(zip(expected, found, strict=True))
        )
        return next((fault for fault in faults if fault), "")
    if isinstance(expected, bool) or isinstance(found, bool):
        return "" if expected is found else f"{path} is {found!r}, not {expected!r}"
    if isinstance(expected, int | float) and isinstance(found, int | float):
        close = math.isclose(expected, found, rel_tol=0, abs_tol=1e-6)  # times are sums of fractions
        return "" if close else f"{path} is {found}, not {expected}"
    return "" if expected == found else f"{path} is {found!r}, not {expected!r}"


def _replaced(value: Any, values: dict[str, Any]) -> Any:
    if isinstance(value, str) and value.startswith("@"):
        return values[value[1:]]
    if isinstance(value, dict):
        return {name: _replaced(one, values) for name, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, values) for one in value]
    return value


def _with_ids(line: dict[str, Any], sent_ids: Sequence[str]) -> dict[str, Any]:
    """Put the id of the n-th frame in the place of `$n`."""
    message = line.get("message")
    named = re.fullmatch(r"\$(\d+)", message["request_id"]) if isinstance(message, dict) else None
    if message is None or named is None:
        return line
    return {**line, "message": {**message, "request_id": sent_ids[int(named[1]) - 1]}}


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", action="append", help="only cases whose name holds this text")
    parser.add_argument("command", nargs="+", help="the client behind a pipe")
    options = parser.parse_args()
    cases = [
        one for one in read_cases() if not options.case or any(part in one.name for part in options.case)
    ]
    try:
        client = subprocess.Popen(  # noqa: S603 - the user's own command
            options.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
    except OSError as error:
        print(f"cannot run {options.command}: {error}", file=sys.stderr)
        return 2
    failed = 0
    with client:
        if client.stdin is None or client.stdout is None:
            raise RuntimeError("pipes were asked for")
        pipe = Pipe(client.stdin, client.stdout)
        for case in cases:
            try:
                fault = fault_of(case, pipe)
            except (EOFError, BrokenPipeError, ValueError, KeyError) as error:
                print(f"FAIL {case.file}: {case.name}: {error!r}")
                return 1
            failed += bool(fault)
            print(
                f"{'FAIL' if fault else 'ok  '} {case.file}: {case.name}" + (f"\n  {fault}" if fault else "")
            )
    print(f"{len(cases) - failed} of {len(cases)} cases passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
