"""See and change one player: `python -m scripts.player WHO COMMAND …`."""

from __future__ import annotations

import argparse
import getpass
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from game.adjusting import RANK
from persistence.durable.find_player import Found, find_player
from persistence.durable.operator_log import OperatorLog, Outcome, Wish
from persistence.errors import StorageUnavailable
from persistence.live.keys import bucket_of
from persistence.live.store import call, expect
from persistence.outages import line_of
from persistence.recovery.export import export_player
from runtime.exit_codes import REFUSED, UNFINISHED
from scripts.databases import Databases, fail, parser_for, run
from scripts.player.access import Access, duration
from scripts.player.amounts import NotUnderstood, in_units, thing
from scripts.player.changing import Changes, Made, undoing
from scripts.player.sessions import OperatorSessions, open_sessions
from scripts.player.showing import account_lines, log_lines, made_line, session_lines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_DESCRIPTION: Final = (
    "See and change one player. A change needs a reason, is made once however often the command is repeated, "
    "and is kept in a log that cannot be changed. Exit code 1: refused by the rules, or not known whether it "
    "was made: the same command again settles that. 2: no such player, or nothing was begun."
)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with: the databases, the player, the sessions, the options."""

    databases: Databases
    found: Found
    sessions: OperatorSessions
    options: argparse.Namespace

    @property
    def log(self) -> OperatorLog:
        """What operators did."""
        return OperatorLog(self.databases.pool)

    def say(self, data: object, *lines: str) -> None:
        """Print lines, or with `--json` the data."""
        if self.options.json:
            sys.stdout.write(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode() + "\n")
        else:
            print("\n".join(lines))


async def show(desk: Desk) -> int:
    """Show the player: account, session in both databases, log-ins, connections."""
    store, user_id = desk.databases.store, desk.found.user_id
    kept = await export_player(desk.databases.pool, store, user_id)
    if kept is None:
        return fail(REFUSED, "this account was deleted a moment ago")
    channel = store.keys.channel(user_id)
    [reply] = await store.run([call(bucket_of(user_id), "PUBSUB", "SHARDNUMSUB", channel)])
    _channel, processes = expect(reply, list)
    lines = (*account_lines(kept, processes), *session_lines(kept, desk.sessions.catalogue))
    desk.say({**kept, "server_processes": processes}, *lines)
    return 0


async def show_log(desk: Desk) -> int:
    """Show what operators did to the player, the newest first."""
    entries = await desk.log.latest(desk.found.user_id, desk.options.last)
    desk.say(entries, *log_lines(entries, desk.sessions.catalogue))
    return 0


async def export(desk: Desk) -> int:
    """Print everything that is kept of the player, as `GET /export` gives it to the player."""
    kept = await export_player(desk.databases.pool, desk.databases.store, desk.found.user_id)
    if kept is None:
        return fail(REFUSED, "this account was deleted a moment ago")
    sys.stdout.write(orjson.dumps(kept).decode() + "\n")
    return 0


async def give(desk: Desk) -> int:
    """Give or take an amount, or an upgrade."""
    options = desk.options
    what = thing(options.what, desk.sessions.catalogue)
    amount = in_units(what, options.amount)
    sign = -1 if options.command == "take" else 1
    return await _make(desk, Wish(options.operator, options.reason, what, sign * amount))


async def set_rank(desk: Desk) -> int:
    """Set the rank."""
    return await _make(desk, Wish(desk.options.operator, desk.options.reason, RANK, float(desk.options.rank)))


async def undo(desk: Desk) -> int:
    """Take a change back."""
    options = desk.options
    entry = await desk.log.get(desk.found.user_id, options.number)
    if entry is None:
        return fail(REFUSED, f"there is no change {options.number} of this player")
    if entry["what"] == RANK and await _rank(desk) != entry["after"]:
        return fail(REFUSED, "the rank has changed since: set-rank sets it")
    wish = undoing(options.operator, options.reason, entry)
    if wish is None:
        return fail(
            REFUSED, f"change {options.number} cannot be taken back: {entry['outcome']} {entry['what']}"
        )
    return await _make(desk, wish)


async def suspend(desk: Desk) -> int:
    """Suspend the player."""
    options = desk.options
    access = Access(desk.databases, desk.found.user_id)
    return await _changed(desk, access.suspend(options.operator, options.reason, options.seconds))


async def unsuspend(desk: Desk) -> int:
    """End a suspension."""
    access = Access(desk.databases, desk.found.user_id)
    return await _changed(desk, access.unsuspend(desk.options.operator, desk.options.reason))


async def log_out(desk: Desk) -> int:
    """End all log-ins."""
    access = Access(desk.databases, desk.found.user_id)
    return await _changed(desk, access.log_out(desk.options.operator, desk.options.reason))


async def reset_link(desk: Desk) -> int:
    """Make a link for a new password, and print it."""
    if not desk.found.email:
        return fail(REFUSED, "a guest has no password to set")
    options = desk.options
    access = Access(desk.databases, desk.found.user_id)
    try:
        made = await access.reset_link(options.operator, options.reason, desk.found.email)
    except StorageUnavailable as error:
        return fail(UNFINISHED, f"{line_of(error)}; the same command again makes another link")
    if made is None:
        return fail(REFUSED, "this account was deleted a moment ago")
    number, link = made
    desk.say({"number": number, "link": link}, link)
    return 0


async def rename(desk: Desk) -> int:
    """Give the player another public name."""
    options = desk.options
    access = Access(desk.databases, desk.found.user_id)
    try:
        renamed = await access.rename(options.operator, options.reason, options.name)
    except StorageUnavailable as error:
        return fail(UNFINISHED, f"{line_of(error)}; the same command again makes sure")
    if renamed is None:
        return fail(REFUSED, "this account was deleted a moment ago")
    number, refusal = renamed
    if refusal is not None:
        return fail(UNFINISHED, f"change {number} is refused: {refusal}")
    desk.say({"number": number}, f"change {number}: rename is done")
    return 0


async def delete(desk: Desk) -> int:
    """Delete the player."""
    access = Access(desk.databases, desk.found.user_id)
    return await _changed(desk, access.delete(desk.options.operator, desk.options.reason))


async def _changed(desk: Desk, changing: Awaitable[int | None]) -> int:
    """Wait for a change of access and say its number."""
    try:
        number = await changing
    except StorageUnavailable as error:
        return fail(UNFINISHED, f"{line_of(error)}; the same command again makes sure")
    if number is None:
        return fail(REFUSED, "this account was deleted a moment ago")
    desk.say({"number": number}, f"change {number}: {desk.options.command} is done")
    return 0


async def _rank(desk: Desk) -> float | None:
    """Return the rank as it is now; None where it is not known."""
    kept = await export_player(desk.databases.pool, desk.databases.store, desk.found.user_id) or {}
    session: dict[str, Any] = kept.get("live") or kept.get("saved") or {}
    return session.get("rank")


async def _make(desk: Desk, wish: Wish) -> int:
    """Make a change and say what came of it, and of what others had begun."""
    changes = Changes(desk.log, desk.sessions, desk.found.user_id)
    try:
        made, settled = await changes.make(wish, again=desk.options.again)
    except StorageUnavailable as error:
        return fail(UNFINISHED, f"{line_of(error)}; the same command again finds out whether it was made")
    if made is None:
        return fail(REFUSED, "this account was deleted a moment ago")
    catalogue = desk.sessions.catalogue
    others = [each for each in settled if each is not made]
    lines = [f"begun earlier: {made_line(each, catalogue)}" for each in others]
    desk.say(_plain(made), *lines, made_line(made, catalogue))
    return 0 if made.outcome is Outcome.DONE else UNFINISHED


def _plain(made: Made) -> dict[str, Any]:
    return {**asdict(made), "outcome": made.outcome.value}


def _of_player(reason: str, found: Found) -> bool:
    """Say whether a reason names the player: the log must not, since it outlives the account."""
    return "@" in reason or (bool(found.name) and found.name.casefold() in reason.casefold())


async def work(options: argparse.Namespace, databases: Databases) -> int:
    """Find the player and do what the command says."""
    found = await find_player(databases.pool, options.who)
    if found is None:
        return fail(REFUSED, f"no player has the id, e-mail or name {options.who!r}")
    if _of_player(getattr(options, "reason", ""), found):
        return fail(REFUSED, "a reason names no player and no e-mail: the log outlives the account")
    async with open_sessions(databases) as sessions:
        try:
            done: Callable[[Desk], Awaitable[int]] = options.work
            return await done(Desk(databases, found, sessions, options))
        except NotUnderstood as error:
            return fail(REFUSED, str(error))


def _reason(text: str) -> str:
    """Take a reason that says something."""
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError("a reason says why, in one line")
    return text.strip()


def parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    made = parser_for("scripts.player", _DESCRIPTION)
    made.add_argument("who", metavar="WHO", help="an id, an e-mail or a name")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, do: Callable[[Desk], Awaitable[int]], text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("--json", action="store_true", help="print JSON")
        one.set_defaults(work=do)
        return one

    def change(name: str, do: Callable[[Desk], Awaitable[int]], text: str) -> argparse.ArgumentParser:
        one = command(name, do, text)
        one.add_argument("--reason", type=_reason, required=True, metavar="WHY", help="kept in the log")
        one.add_argument(
            "--operator", default=getpass.getuser(), metavar="NAME", help="who asks: %(default)s"
        )
        one.add_argument("--again", action="store_true", help="also where the very same was done before")
        return one

    command("show", show, "show account, session in Redis and PostgreSQL, log-ins, connections")
    log = command("log", show_log, "show what operators did, the newest first")
    log.add_argument("--last", type=int, default=50, metavar="N", help="at most so many: %(default)s")
    for name in ("give", "take"):
        one = change(name, give, f"{name} money, dishes, xp, stars, accumulated stars, boost or an upgrade")
        one.add_argument("what", metavar="WHAT", help="money … boost, or an upgrade's id or icon name")
        one.add_argument("amount", metavar="AMOUNT", help="above 0, as players read it")
    change("set-rank", set_rank, "set the rank").add_argument("rank", type=int, metavar="RANK")
    change("undo", undo, "take a change back").add_argument("number", type=int, metavar="N")
    suspended = change("suspend", suspend, "let nobody play as this player; the player reads the reason")
    how_long = suspended.add_mutually_exclusive_group(required=True)
    how_long.add_argument("--for", dest="seconds", type=duration, metavar="TIME", help="90m, 12h, 3d")
    how_long.add_argument("--without-end", dest="seconds", action="store_const", const=None)
    change("unsuspend", unsuspend, "let a suspended player play again")
    change("log-out", log_out, "end every log-in and close every connection")
    change("rename", rename, "give the player another public name").add_argument("name", metavar="NAME")
    change("reset-link", reset_link, "print a link that sets a new password, once, within 30 minutes")
    change("delete", delete, "delete the account, the session and every log-in, for good")
    command("export", export, "print everything that is kept of the player, as JSON")
    return made


def main() -> int:
    """Parse the command line and run."""
    options = parser().parse_args()
    return run(lambda databases: work(options, databases))


if __name__ == "__main__":
    sys.exit(main())
