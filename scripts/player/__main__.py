"""See and change one player: `python -m scripts.player WHO COMMAND …`."""

from __future__ import annotations

import argparse
import getpass
import sys
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from persistence.durable.current_catalogue import open_catalogues
from persistence.durable.operator_log import Outcome
from persistence.durable.sessions import load_rows
from persistence.errors import StorageUnavailable
from persistence.outages import line_of
from runtime.exit_codes import REFUSED, UNFINISHED
from scripts.databases import Databases, fail, parser_for, run
from scripts.player.showing import account_lines, log_lines, result_lines, session_lines
from scripts.player.watching import watch_player
from server.desk.errors import NotBegun, NotUnderstood
from server.desk.operations import Operations
from server.desk.orders import Order, checked_reason, duration, refuse_naming
from server.desk.sessions import open_sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from persistence.durable.find_player import Found
    from server.desk.orders import Result

_DESCRIPTION: Final = (
    "See and change one player. A change needs a reason, is made once however often the command is repeated, "
    "and is kept in a log that cannot be changed. Exit code 1: refused by the rules, or not known whether it "
    "was made: the same command again settles that. 2: no such player, or nothing was begun."
)
_MOST_FILE_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with: the databases, the player, what operators do, the options."""

    databases: Databases
    found: Found
    operations: Operations
    options: argparse.Namespace

    def say(self, data: object, *lines: str) -> None:
        """Print lines, or with `--json` the data."""
        if self.options.json:
            sys.stdout.write(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode() + "\n")
        else:
            print("\n".join(lines))


async def show(desk: Desk) -> int:
    """Show the player: account, session in both databases, log-ins, connections."""
    kept = await desk.operations.kept(desk.found)
    processes = await desk.operations.processes(desk.found)
    lines = (*account_lines(kept, processes), *session_lines(kept, desk.operations.catalogue))
    desk.say({**kept, "server_processes": processes}, *lines)
    return 0


async def show_log(desk: Desk) -> int:
    """Show what operators did to the player, the newest first."""
    entries = await desk.operations.log.latest(desk.found.user_id, desk.options.last)
    desk.say(entries, *log_lines(entries, desk.operations.catalogue))
    return 0


async def watch(desk: Desk) -> int:
    """Show the session, then each change as it happens, until Ctrl-C."""
    await watch_player(desk.databases, desk.operations, desk.found, as_json=desk.options.json)
    return 0


async def export(desk: Desk) -> int:
    """Print everything that is kept of the player, as `GET /export` gives it to the player."""
    sys.stdout.write(orjson.dumps(await desk.operations.kept(desk.found)).decode() + "\n")
    return 0


async def order(desk: Desk) -> int:
    """Carry an order out and say what came of it."""
    options = vars(desk.options)
    given = {name: options[name] for name in Order.__dataclass_fields__ if name in options}
    if "file" in options:
        given["export"] = _read(options["file"])
    try:
        result = await desk.operations.carry_out(desk.found, Order(**given))
    except StorageUnavailable as error:
        return fail(UNFINISHED, f"{line_of(error)}; the same command again finds out whether it was made")
    lines = result_lines(desk.options.command, result, desk.operations.catalogue)
    desk.say(_plain(result), *lines)
    return 0 if result.outcome is Outcome.DONE else UNFINISHED


def _plain(result: Result) -> dict[str, Any]:
    """Return a result as `--json` prints it."""
    if result.made is not None:
        return {**asdict(result.made), "outcome": result.outcome.value}
    link = {"link": result.link} if result.link else {}
    return {"number": result.number, "outcome": result.outcome.value, "why": result.why, **link}


def _read(path: str) -> object:
    """Read an export from a file, or from standard input (`-`); raises NotUnderstood."""
    try:
        content = sys.stdin.buffer.read(_MOST_FILE_BYTES + 1) if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise NotUnderstood(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > _MOST_FILE_BYTES:
        raise NotUnderstood(f"{path} is too large for an export")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise NotUnderstood(f"{path} is no JSON") from error


@asynccontextmanager
async def _operations(databases: Databases) -> AsyncIterator[Operations]:
    """Open what operators do over a command's own connections."""
    settings, pool, store = databases.settings, databases.pool, databases.store
    catalogues = await open_catalogues(pool, settings.catalog_language)
    async with open_sessions(store, catalogues, partial(load_rows, pool), settings) as sessions:
        yield Operations(pool, store, sessions, settings.public_url)


async def work(options: argparse.Namespace, databases: Databases) -> int:
    """Find the player and do what the command says."""
    async with _operations(databases) as operations:
        try:
            found = await operations.find(options.who)
            refuse_naming(getattr(options, "reason", ""), found)
            done: Callable[[Desk], Awaitable[int]] = options.work
            return await done(Desk(databases, found, operations, options))
        except NotBegun as error:
            return fail(REFUSED, str(error))


def _argument(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Have argparse say what is wrong with an argument."""

    def checked(text: str) -> Any:
        try:
            return read(text)
        except NotUnderstood as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


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

    def change(name: str, text: str) -> argparse.ArgumentParser:
        one = command(name, order, text)
        reason = _argument(checked_reason)
        one.add_argument("--reason", type=reason, required=True, metavar="WHY", help="kept in the log")
        one.add_argument(
            "--operator", default=getpass.getuser(), metavar="NAME", help="who asks: %(default)s"
        )
        one.add_argument("--again", action="store_true", help="also where the very same was done before")
        return one

    command("show", show, "show account, session in Redis and PostgreSQL, log-ins, connections")
    log = command("log", show_log, "show what operators did, the newest first")
    log.add_argument("--last", type=int, default=50, metavar="N", help="at most so many: %(default)s")
    command("watch", watch, "show the session, then each change as it happens, until Ctrl-C")
    for name in ("give", "take"):
        one = change(name, f"{name} money, dishes, xp, stars, accumulated stars, boost or an upgrade")
        one.add_argument("what", metavar="WHAT", help="money … boost, or an upgrade's id or icon name")
        one.add_argument("amount", metavar="AMOUNT", help="above 0, as players read it")
    change("set-rank", "set the rank").add_argument("rank", type=int, metavar="RANK")
    change("undo", "take a change back").add_argument("number", type=int, metavar="N")
    suspended = change("suspend", "let nobody play as this player; the player reads the reason")
    how_long = suspended.add_mutually_exclusive_group(required=True)
    how_long.add_argument(
        "--for", dest="seconds", type=_argument(duration), metavar="TIME", help="90m, 12h, 3d"
    )
    how_long.add_argument("--without-end", dest="seconds", action="store_const", const=None)
    change("unsuspend", "let a suspended player play again")
    change("log-out", "end every log-in and close every connection")
    change("rename", "give the player another public name").add_argument("name", metavar="NAME")
    change("reset-link", "print a link that sets a new password, once, within 30 minutes")
    change("delete", "delete the account, the session and every log-in, for good")
    command("export", export, "print everything that is kept of the player, as JSON")
    for name, whose in (("import", "any player's"), ("restore-from", "this player's own")):
        one = change(name, f"put the session of {whose} export in the place of this player's")
        one.add_argument("file", metavar="FILE", help="what `export` printed; - reads standard input")
    return made


def main() -> int:
    """Parse the command line and run."""
    options = parser().parse_args()
    return run(lambda databases: work(options, databases))


if __name__ == "__main__":
    sys.exit(main())
