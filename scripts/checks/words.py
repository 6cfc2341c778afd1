"""Words that stay out of prose: each with what to write in its place. Data of `scripts.checks.prose`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Avoided:
    """A word or phrase that stays out. `pattern` is matched without regard to case, across line ends."""

    pattern: re.Pattern[str]
    instead: str
    why: str


def _avoided(pattern: str, instead: str, why: str) -> Avoided:
    return Avoided(re.compile(rf"\b(?:{pattern})\b".replace(" ", r"\s+"), re.IGNORECASE), instead, why)


_OLD: Final = "no longer said"
_OURS: Final = "a phrase of this project alone"
_VAGUE: Final = "a reader does not know who or what"

AVOIDED: Final = (
    _avoided("amid(?:st)?", "during, in the middle of", _OLD),
    _avoided("anew", "again", _OLD),
    _avoided("as ever", "as always, as before", _OLD),
    _avoided("ever (?:later|more|less)", "with increasing delay; more and more", _OLD),
    _avoided("for the while", "for as long as …", _OLD),
    _avoided("hence|whence|thence|thereby|wherein|thereof|lest|betwixt", "so, from where, in which", _OLD),
    _avoided("mend(?:s|ed|ing)?", "fix, repair", _OLD),
    _avoided("reckon(?:s|ed|ing)?", "compute, calculate", _OLD),
    _avoided("ill", "faulty; what is wrong", "sickness"),
    _avoided("its ill", "what is wrong with it", _OURS),
    _avoided("mis-?shape(?:d|n)", "malformed", "the field's own word"),
    _avoided("strangers?", "unauthenticated connection, unknown client", "the field's own word"),
    _avoided("comebacks?", "restart, reconciliation", _OURS),
    _avoided("looked through", "checked, reconciled", _OURS),
    _avoided("fell back", "lost its last seconds; went back", "to fall back is to use a substitute"),
    _avoided("doubted", "suspicious", _OURS),
    _avoided("somebody owns", "supervised (of a task)", _VAGUE),
    _avoided("who(?:so|m)?ever", "name who: a client, a player, an operator", _VAGUE),
    _avoided("(?:is|are|was|were|be|been|being|got|gets|get) (?:all |both |each |also )?told(?! apart)",
             "sent, notified; names who says what", "data is sent, not told"),
    _avoided("(?:can|cannot|can't|could|to) be had", "is available, can be used, is free", _OURS),
    _avoided("work(?:s|ed|ing)? off", "process", _OURS),
    _avoided("(?:on|off) the way of a click", "on the path of a click", _OURS),
    _avoided("(?:for|to|from|by) who", "name who: a client, a player, an operator", _VAGUE),
    _avoided("had for nothing", "free of charge; needs no code", _OURS),
)  # fmt: skip
