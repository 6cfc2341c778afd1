"""A player, and what operators did, as lines for people."""

from __future__ import annotations

import time
from datetime import UTC
from typing import TYPE_CHECKING, Any

from game.clients import is_players
from persistence.durable.operator_log import Outcome
from server.desk.amounts import shown, title
from server.desk.showing import differences_of, last_used, owned, session_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from game.catalogue import Catalogue
    from server.desk.changing import Made
    from server.desk.orders import Result


def account_lines(kept: Mapping[str, Any], processes: int) -> Iterator[str]:
    """Say who a player is: the account, log-ins, and where the player is connected."""
    account = kept["account"]
    yield f"account      {account['user_id']}, opened {_utc(account['created_at'])}"
    yield f"e-mail       {account['email'] or '— (a guest)'}"
    yield f"name         {account['display_name'] or '—'}"
    yield f"connected    to {processes} server process{'' if processes == 1 else 'es'}"
    live = [family for family in kept["log_ins"] if family["revoked_at"] is None]
    yield f"log-ins      {len(live)} live, {len(kept['log_ins']) - len(live)} ended"
    for family in live:
        yield f"  {family['id']}  began {_utc(family['created_at'])}, last used {_utc(last_used(family))}"
    for suspension in kept["suspensions"]:
        until = _utc(suspension["ends_at"]) if suspension["ends_at"] else "an operator ends it"
        yield f"suspended    since {_utc(suspension['since'])} until {until}: {suspension['because']!r}"
    yield f"changes      {len(kept['operator_log'])} by operators"


def session_lines(kept: Mapping[str, Any], catalogue: Catalogue) -> Iterator[str]:
    """Show the session as Redis has it next to what PostgreSQL has."""
    live, saved = kept["live"], kept["saved"]
    for where, session in (("Redis", live), ("PostgreSQL", saved)):
        if session is not None and "unreadable" in session:
            yield f"{where} has a session that cannot be read: {session['unreadable']}"
            return
    if live is None and saved is None:
        yield "session      none: the player has never played"
        return
    yield f"{'':13}{'Redis':>26}{'PostgreSQL':>26}"
    for row in session_rows(kept):
        yield f"{row.name:13}{row.live:>26}{row.saved:>26}"
    has = owned(kept, catalogue)
    yield "owns         " + (", ".join(f"{what} {times} times" for what, times in has.items()) or "nothing")
    if live is not None:
        since_ms = live["unsaved_since"]
        unsaved = f"all but changes since {_ago(since_ms)}" if since_ms else "all"
        written = f"; last saved {_ago(1000 * saved['updated_at'].timestamp())}" if saved is not None else ""
        yield f"saved        {unsaved}{written}"
        for client in filter(is_players, live["clients"]):
            window = live["clients"][client]
            yield f"client       {client}: requests up to {window['highest']} (last 64: {window['applied']})"


def log_lines(entries: Sequence[Mapping[str, Any]], catalogue: Catalogue) -> Iterator[str]:
    """Show what operators did, an entry each."""
    for entry in entries:
        what = entry["what"]
        before, after = shown(what, entry["before"]), shown(what, entry["after"])
        undoes = f", takes back {entry['undoes']}" if entry["undoes"] else ""
        yield (
            f"{entry['number']}  {_utc(entry['made_at'])}  {entry['operator']}"
            f"  {entry['outcome']}{undoes}  {title(what, catalogue)} "
            f"{'a session' if entry['session_given'] else f'{before} → {after}'}"
            f"  version {entry['version'] or '—'}  {entry['reason']!r}"
        )


def result_lines(command: str, result: Result, catalogue: Catalogue) -> list[str]:
    """Say what came of an order, and of what others had begun."""
    settled = [f"begun earlier: {line}" for made in result.settled for line in _made_lines(made, catalogue)]
    if result.made is not None:
        return settled + _made_lines(result.made, catalogue)
    if result.outcome is not Outcome.DONE:
        return [f"change {result.number} is {result.outcome.value}: {result.why}"]
    return [result.link or f"change {result.number}: {command} is done"]


def _made_lines(made: Made, catalogue: Catalogue) -> list[str]:
    """Say what came of a change."""
    what = made.wish.what
    if made.earlier:
        return [f"change {made.number} did this already; --again does it once more"]
    if made.why:
        now = "" if made.before is None else f" ({shown(what, made.before)} now)"
        return [f"change {made.number} is {made.outcome.value}: {made.why}{now}"]
    if made.wish.session is not None:
        heading = f"change {made.number}: {what} is done at version {made.version}"
        if made.found is None:
            return [heading, "  what was there before is not known"]
        changed = differences_of(made, catalogue)
        return [heading, *(f"  {each.what:11} {each.before} → {each.after}" for each in changed)]
    before, after = shown(what, made.before), shown(what, made.after)
    return [f"change {made.number}: {title(what, catalogue)} {before} → {after} at version {made.version}"]


def _utc(moment: datetime) -> str:
    """Write a moment that PostgreSQL keeps."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _ago(moment_ms: float) -> str:
    """Say how long ago a moment was, by this machine's clock."""
    return f"{max(0.0, time.time() - moment_ms / 1000):.0f} s ago" if moment_ms else "never"
