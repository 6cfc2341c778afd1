"""The routes of the desk's page: each reads its fields, asks the operations and says what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog

from game.clients import is_players
from persistence.errors import StorageUnavailable
from persistence.outages import line_of
from server.desk.amounts import shown, title
from server.desk.changing import undoing
from server.desk.errors import NoPlayer, NotBegun, NotUnderstood
from server.desk.following import TooManyFollowError
from server.desk.orders import ORDERS, Order, checked_reason, duration
from server.desk.places import LOOKS, BusyError, Places
from server.desk.places import ORDERS as ORDERS_AT_ONCE
from server.desk.preview import preview
from server.desk.showing import differences_of, last_used, owned, session_rows
from server.http.error_answers import BearerRefused, BodyRefused, NotEnoughData
from server.http.forms import read_fields
from server.http.messages import STATUS_UNAVAILABLE, json_response, refusal
from server.http.routes import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from persistence.durable.find_player import Found
    from server.desk.figures import Figures
    from server.desk.following import Following
    from server.desk.guard import Guard, Operator
    from server.desk.operations import Operations
    from server.desk.orders import Result
    from server.http.messages import HttpRequest, HttpResponse

_log = structlog.get_logger(__name__)

_MOST_LISTED: Final = 20
_MOST_LOGGED: Final = 50
_MOST_QUERY: Final = 320
_STATUS_NOT_BEGUN: Final = 5
_STATUS_NO_PLAYER: Final = 3
_WITHOUT_END: Final = "without-end"
CHANGES: Final = frozenset({"/api/order"})
"""What a read-only token may not ask."""

_WORDS: Final = frozenset({"what", "amount", "rank", "number", "for", "name", "export", "again", "reason"})


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request of the page: the operator, and the texts of its body."""

    operator: str
    fields: Mapping[str, str]


def desk_routes(
    operations: Operations, figures: Figures, following: Following, guard: Guard
) -> tuple[Route, ...]:
    """Return the routes; all of them want a token, and those of CHANGES one that may change things."""
    desk = _Desk(operations, figures, following, guard)
    return (
        Route("GET", "/api/me", desk.me),
        Route("GET", "/api/figures", desk.show_figures),
        desk.route("/api/find", desk.find, "text"),
        desk.route("/api/player", desk.show, "id"),
        desk.route("/api/follow", desk.follow, "id", optional=frozenset({"since"})),
        desk.route("/api/export", desk.export, "id"),
        desk.route("/api/preview", desk.show_preview, "id", "command", optional=_WORDS),
        desk.route("/api/order", desk.give_order, "id", "command", optional=_WORDS),
    )


class _Desk:
    """What the routes do."""

    def __init__(self, operations: Operations, figures: Figures, following: Following, guard: Guard) -> None:
        self._operations = operations
        self._figures = figures
        self._following = following
        self._guard = guard
        self._orders = Places(ORDERS_AT_ONCE)
        self._looks = Places(LOOKS)

    def route(
        self,
        path: str,
        work: Callable[[_Asked], Awaitable[dict[str, Any]]],
        *names: str,
        optional: frozenset[str] = frozenset(),
    ) -> Route:
        """Make a route that hands `work` the operator and the texts of the body."""
        wanted = (*names, *sorted(optional))
        advice = "; the same again finds out whether it was done" if path in CHANGES else ""

        async def handle(request: HttpRequest) -> HttpResponse:
            operator = self._operator(request)
            texts = read_fields(request, *wanted, optional=optional)
            asked = _Asked(operator.name, dict(zip(wanted, texts, strict=True)))
            return await _answered(work, asked, advice)

        return Route("POST", path, handle)

    def _operator(self, request: HttpRequest) -> Operator:
        """Return who asks; the guard lets nobody else come so far."""
        operator = self._guard.operator_of(request)
        if operator is None:
            raise BearerRefused("token invalid")
        return operator

    async def me(self, request: HttpRequest) -> HttpResponse:
        """Say whose token this is, and what upgrades there are."""
        operator = self._operator(request)
        upgrades = [{"id": each.id, "icon": each.icon_name} for each in self._operations.catalogue.upgrades]
        said = {"name": operator.name, "read_only": operator.read_only, "upgrades": upgrades}
        return json_response(200, said)

    async def show_figures(self, _request: HttpRequest) -> HttpResponse:
        """Show the game's last quarter of an hour."""
        return json_response(200, self._figures.shown())

    async def find(self, asked: _Asked) -> dict[str, Any]:
        """List players by the beginning of an e-mail or name, or by id."""
        text = asked.fields["text"].strip()
        if len(text) > _MOST_QUERY:
            raise NotUnderstood("that is longer than any e-mail")
        async with self._looks.taken():
            listed = await self._operations.search(text, _MOST_LISTED + 1)
        players = [each._asdict() for each in listed[:_MOST_LISTED]]
        return {"players": players, "more": len(listed) > _MOST_LISTED}

    async def show(self, asked: _Asked) -> dict[str, Any]:
        """Show a player."""
        async with self._looks.taken():
            return await self._shown(await self._found(asked))

    async def follow(self, asked: _Asked) -> dict[str, Any]:
        """Show a player again once something changed, with what tabs were sent, or after some seconds."""
        async with self._looks.taken():
            found = await self._found(asked)
        heard = await self._following.wait(asked.operator, found.user_id, asked.fields["since"])
        async with self._looks.taken():
            player = await self._shown(found)
        lines = [line._asdict() for line in heard.lines]
        return {"since": heard.since, "lines": lines, "missed": heard.missed, "player": player}

    async def _shown(self, found: Found) -> dict[str, Any]:
        shown = await _shown(self._operations, found)
        # Redis counts the desk as well while it follows the player.
        others = max(0, shown["processes"] - self._following.hears(found.user_id))
        return {**shown, "processes": others}

    async def export(self, asked: _Asked) -> dict[str, Any]:
        """Return what the player gets by `GET /export`."""
        async with self._looks.taken():
            return await self._operations.kept(await self._found(asked))

    async def show_preview(self, asked: _Asked) -> dict[str, Any]:
        """Say what an order would change, before it is given."""
        operations, order = (
            self._operations,
            order_of(asked.operator, {**asked.fields, "reason": "a preview"}),
        )
        async with self._looks.taken():
            found = await self._found(asked)
            kept, entry = await operations.kept(found), await operations.log.get(found.user_id, order.number)
        return {"changes": [each._asdict() for each in preview(kept, order, entry, operations.catalogue)]}

    async def give_order(self, asked: _Asked) -> dict[str, Any]:
        """Carry an order out, and say what came of it."""
        order = order_of(asked.operator, asked.fields)
        async with self._orders.taken():
            found = await self._found(asked)
            result = await self._operations.carry_out(found, order)
        _log.info(
            "desk_order_executed",
            operator=order.operator,
            command=order.command,
            user=found.user_id,
            number=result.number,
            outcome=result.outcome.value,
        )
        return _plain(result, self._operations)

    async def _found(self, asked: _Asked) -> Found:
        """Find the player by id: what else there is to search by was searched before."""
        text = asked.fields["id"]
        if not (text.isascii() and text.isdecimal()):
            raise NoPlayer("a player's id is a whole number")
        return await self._operations.find(text)


async def _answered(
    work: Callable[[_Asked], Awaitable[dict[str, Any]]], asked: _Asked, advice: str
) -> HttpResponse:
    """Answer with what came of it, or why nothing did, with `advice` where a database was away."""
    try:
        return json_response(200, await work(asked))
    except NoPlayer as error:
        return refusal(404, _STATUS_NO_PLAYER, str(error))
    except TooManyFollowError:
        return _busy("too many players are followed at once")
    except BusyError:
        return _busy("the desk is busy, and nothing was begun: try again")
    except NotBegun as error:
        return refusal(400, _STATUS_NOT_BEGUN, str(error))
    except StorageUnavailable as error:
        return refusal(503, STATUS_UNAVAILABLE, line_of(error) + advice, (("Retry-After", "2"),))


def _busy(message: str) -> HttpResponse:
    return refusal(503, STATUS_UNAVAILABLE, message, (("Retry-After", "5"),))


def order_of(operator: str, fields: Mapping[str, str]) -> Order:
    """Read an order of the page; raises NotUnderstood, BodyRefused or NotEnoughData."""
    command = fields["command"]
    if command not in ORDERS:
        raise BodyRefused(400, "malformed body: no such command")
    if not fields["reason"]:
        raise NotEnoughData
    return Order(
        command,
        operator,
        checked_reason(fields["reason"]),
        again=fields["again"] == "yes",
        what=fields["what"],
        amount=fields["amount"],
        rank=_whole(fields["rank"]),
        number=_whole(fields["number"]),
        seconds=_span(command, fields["for"]),
        name=fields["name"],
        export=_export(fields["export"]),
    )


def _span(command: str, text: str) -> int | None:
    """Read how long a player is suspended: `3d`, or in so many words without an end."""
    return None if command != "suspend" or text == _WITHOUT_END else duration(text)


def _whole(text: str) -> int:
    if not text:
        return 0
    if re.fullmatch(r"[0-9]{1,18}", text) is None:
        raise NotUnderstood("a rank, and the number of a change, is a whole number")
    return int(text)


def _export(text: str) -> object:
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError as error:
        raise NotUnderstood("the file is no JSON") from error


async def _shown(operations: Operations, found: Found) -> dict[str, Any]:
    """Return a player as the page shows one: texts with units, and nothing of tokens but their times."""
    kept = await operations.kept(found)
    live, saved = kept["live"] or {}, kept["saved"] or {}
    entries = await operations.log.latest(found.user_id, _MOST_LOGGED)
    return {
        "account": kept["account"],
        "processes": await operations.processes(found),
        "rows": [row._asdict() for row in session_rows(kept)],
        "owned": owned(kept, operations.catalogue),
        "unreadable": live.get("unreadable") or saved.get("unreadable"),
        "saved_at": saved.get("updated_at"),
        "unsaved_since": live.get("unsaved_since"),
        "clients": {
            name: window["highest"] for name, window in live.get("clients", {}).items() if is_players(name)
        },
        "log_ins": [
            {
                "id": family["id"],
                "began_at": family["created_at"],
                "used_at": last_used(family),
                "ended_at": family["revoked_at"],
            }
            for family in kept["log_ins"]
        ],
        "suspensions": kept["suspensions"],
        "log": [_entry(entry, operations) for entry in entries],
    }


def _entry(entry: Mapping[str, Any], operations: Operations) -> dict[str, Any]:
    """Return an entry of the log with amounts as people read them; an import's sessions are left out."""
    what = entry["what"]
    plain = {name: entry[name] for name in ("number", "made_at", "operator", "reason", "undoes", "outcome")}
    return {
        **plain,
        "what": title(what, operations.catalogue),
        "before": shown(what, entry["before"]),
        "after": shown(what, entry["after"]),
        "version": entry["version"],
        "can_undo": undoing("", "", entry) is not None,
    }


def _plain(result: Result, operations: Operations) -> dict[str, Any]:
    made = result.made
    changes = [] if made is None else differences_of(made, operations.catalogue)
    return {
        "number": result.number,
        "outcome": result.outcome.value,
        "why": result.why,
        "earlier": made is not None and made.earlier,
        "changes": [each._asdict() for each in changes],
        "link": result.link,
        "settled": len(result.settled),
    }
