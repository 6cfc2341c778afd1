"""The core over a pipe: one JSON object a line on standard input, one for each on standard output.

`python -m clickcook.conformance` is what `clients/conformance/run.py` drives; its README describes the lines.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from .closing import Options
from .core import Core
from .outputs import End, Output
from .waiting import Kept, KeptRequest

if TYPE_CHECKING:
    from .state import Game


_INPUTS: Final = frozenset(
    {
        "start",
        "tokens",
        "no_tokens",
        "opened",
        "closed",
        "message",
        "call",
        "network",
        "time",
        "stop",
    }
)
_INSIDE: Final = {"type": "request_type", "is": "state"}
_OUTSIDE: Final = {"request_type": "type"}


def new_core(options: dict[str, Any]) -> Core:
    """Return a core for a case: `client`, `kept` and `random` are its own, the rest are `Options`."""
    rest = dict(options)
    client, chance = rest.pop("client", "tab"), float(rest.pop("random", 0))
    kept = rest.pop("kept", {"client": client, "seq": 0, "waiting": []})
    waiting = tuple(KeptRequest(one["type"], one["data"], one["seq"]) for one in kept["waiting"])
    return Core(Options(**rest), kept=Kept(kept["client"], kept["seq"], waiting), chance=lambda: chance)


def give(core: Core, line: dict[str, Any]) -> list[Output]:
    """Give one input to the core: the line's fields are the method's arguments."""
    rest = {_INSIDE.get(name, name): value for name, value in line.items() if name not in ("do", "at_ms")}
    if line["do"] not in _INPUTS:
        raise ValueError(f"no such input: {line['do']}")
    if line["do"] == "call":
        rest.setdefault("data", {})
    outputs: list[Output] = getattr(core, line["do"])(line["at_ms"], **rest)
    return outputs


def shown(output: Output) -> dict[str, Any]:
    """Write an output as the lines have it."""
    line: dict[str, Any] = {"do": type(output).__name__.lower()}
    for field in fields(output):
        value = getattr(output, field.name)
        line[_OUTSIDE.get(field.name, field.name)] = value
    if isinstance(output, End):
        line["unsent"] = [
            {
                "call": one.call,
                "type": one.request_type,
                "data": one.data,
                "seq": one.seq or None,
                "maybe_applied": one.maybe_applied,
            }
            for one in output.unsent
        ]
    return line


def told(core: Core, outputs: list[Output]) -> dict[str, Any]:
    """Write the answer to one input: what is to be done, and how everything stands."""
    return {
        "out": [shown(output) for output in outputs],
        "wake_at_ms": core.wake_at_ms,
        "status": asdict(core.status),
        "unanswered": core.waiting.unanswered,
        "state": _shown_game(core.game),
        "optimistic": _shown_game(core.optimistic),
    }


def _shown_game(game: Game | None) -> dict[str, Any] | None:
    if game is None:
        return None
    plain = {field.name: getattr(game, field.name) for field in fields(game)}
    del plain["upgrades"], plain["need_is_known"]
    return {**plain, "owned": {str(key): times for key, times in game.owned.items()}}


def main() -> None:
    """Answer lines until there are no more."""
    core = new_core({})
    for text in sys.stdin:
        line = json.loads(text)
        if line["do"] == "case":
            core = new_core(line.get("options", {}))
            answer = told(core, [])
        else:
            answer = told(core, give(core, line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
