"""What each request does: which command it sends, and what its reply becomes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from game.catalogue import UpgradeId
from game.errors import Refusal, UpgradeNotFound
from persistence.errors import LiveUnavailable, NotSent
from persistence.live.lane_contract import ReplyLost
from persistence.live.replies.play import Accrued, GoldenGuest, RankUnchanged, SessionShown
from persistence.live.replies.play_shapes import PLAY_SHAPES, play_reply
from persistence.live.replies.refusals import Missing, Stale
from persistence.live.replies.status import Status
from persistence.live.retries import RETRY_FOR_S
from server.protocol import results
from server.protocol.errors import refusal_of
from server.protocol.fields import ADDED
from server.protocol.messages import response

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from game.session import UserId
    from persistence.live.lane_contract import OnReply
    from persistence.live.replies.play import Change
    from persistence.live.replies.play_shapes import PlayReply
    from persistence.live.replies.refusals import RefusalReply
    from persistence.live.session_ref import SessionRef
    from persistence.live.sessions import Sessions
    from persistence.live.snapshots import Snapshot
    from persistence.live.sources import CatalogueSource
    from server.protocol.messages import Request
    from server.ws.exchange import Exchange, Player
    from server.ws.hub import Hub
    from server.ws.responder import Responder, Start

_OK: Final = Status.OK.value
_DUPLICATE: Final = Status.DUPLICATE.value
_WITH_INCOME: Final = (Accrued, GoldenGuest)
"""Whose copies for other connections are those of income. Named here, as each click is looked at for it."""


class Community(Protocol):
    """Leaderboard and names: answers from PostgreSQL, off the path of a click."""

    async def leaderboard(self, user_id: UserId, by: str) -> str:
        """Return the data of `leaderboard`, with braces."""

    async def set_name(self, user_id: UserId, name: str) -> str | Refusal:
        """Choose a player's public name; returns the data of `name_set`, with braces, or why not."""


class Handlers:
    """One method for each request type. A handler is given the responder of the request in flight."""

    def __init__(
        self,
        sessions: Sessions,
        hub: Hub,
        catalogues: CatalogueSource,
        community: Community,
    ) -> None:
        self._sessions = sessions
        self._hub = hub
        self._catalogues = catalogues
        self._community = community
        self._table: dict[str, Start] = {
            "cook": self._click,
            "sell": self._click,
            "upgrade_buy": self._buy,
            "level_up": self._level_up,
            "session_reset": self._reset,
            "passive": self._accrue,
            "session": self._session,
            "upgrade_list": self._read,
            "level_check": self._read,
            "achievements": self._read,
            "leaderboard": self._leaderboard,
            "name_set": self._name_set,
            "golden_guest": self._golden_guest,
        }
        for request_type in ADDED:
            self._table[request_type] = partial(_knowing_more, self._table[request_type])

    def start(self, responder: Responder, request: Request) -> None:
        """Begin a request whose token is good; the exchange is busy until it is answered.

        Raises NotSent where its command could not be sent and waiting does not help.
        """
        if request.client:
            responder.exchange.knows_more = True
        try:
            self._table[request.request_type](responder, request)
        except NotSent as error:
            if not self._sessions.waits_for(error.failure):
                raise
            # A master is being replaced.
            responder.spawn(self._repeat(responder, request, error.failure))

    def _send(self, responder: Responder, request: Request) -> None:
        """Send the command of a request; raises NotSent."""
        self._table[request.request_type](responder, request)

    # Commands.

    def _target(self, responder: Responder) -> tuple[SessionRef, OnReply]:
        """Return whose session a request is about, and what takes the reply."""
        if responder.on_reply is None:
            responder.on_reply = partial(self._replied, responder)
        return _player(responder).ref, responder.on_reply

    def _click(self, responder: Responder, request: Request) -> None:
        if responder.on_click is None:
            responder.on_click = partial(self._clicked, responder)
        player: Player = responder.exchange.player  # type: ignore[assignment]  # its token was accepted
        self._sessions.click(
            player.ref, request.request_type, request.count, request.client, request.seq, responder.on_click
        )

    def _buy(self, responder: Responder, request: Request) -> None:
        upgrade = self._catalogues.current.by_id.get(UpgradeId(cast("int", request.subject)))
        if upgrade is None:
            responder.refuse(UpgradeNotFound())
            return
        ref, on_reply = self._target(responder)
        self._sessions.buy(ref, upgrade, request.count, request.client, request.seq, on_reply)

    def _level_up(self, responder: Responder, request: Request) -> None:
        ref, on_reply = self._target(responder)
        self._sessions.level_up(ref, request.client, request.seq, on_reply)

    def _reset(self, responder: Responder, request: Request) -> None:
        ref, on_reply = self._target(responder)
        self._sessions.session_reset(ref, request.client, request.seq, on_reply)

    def _accrue(self, responder: Responder, _request: Request) -> None:
        self._sessions.accrue(*self._target(responder))

    def _golden_guest(self, responder: Responder, request: Request) -> None:
        ref, on_reply = self._target(responder)
        self._sessions.golden_guest(ref, cast("int", request.subject or 0), on_reply)

    def _session(self, responder: Responder, request: Request) -> None:
        ref, on_reply = self._target(responder)
        self._sessions.session(ref, request.client, on_reply)

    # Replies of scripts.

    def _clicked(self, responder: Responder, reply: Any) -> None:
        """Take the reply to a click. The plain success is the hottest reply, and unpacked here, by name.

        Naming it by its type first, as `_replied` does with all the others, took a twentieth of the time that
        a click takes in the process.
        """
        exchange = responder.exchange
        request = exchange.request
        if request is None:
            return
        try:
            match reply:
                case [status, version, dishes, xp, applied] if status == _OK:
                    answer = results.cook_answer(request.request_id_json, version, dishes, xp, applied)
                case [status, version, dishes, money, xp, applied] if status == _OK:
                    answer = results.sell_answer(request.request_id_json, version, dishes, money, xp, applied)
                case _:
                    self._replied(responder, reply)
                    return
            player: Player = exchange.player  # type: ignore[assignment]  # its token was accepted
            closing = exchange.connection.closing
            if closing:
                player = self._present(exchange)
            if not player.active:
                player.stir()
            exchange.joined = True
            exchange.version = version
            if closing or len(player.exchanges) > 1:
                change = play_reply(PLAY_SHAPES[request.request_type], reply)
                self._hub.tell_others(exchange, player, cast("Change", change))
            responder.answer(answer, "ok")
        except Exception:  # noqa: BLE001 - the top of what a lane calls
            responder.fail()

    def _replied(self, responder: Responder, reply: object) -> None:
        """Take what the lane got for the command in flight; whatever goes wrong, the request is answered."""
        exchange = responder.exchange
        request = exchange.request
        if request is None:
            return
        try:
            if not isinstance(reply, list):
                if isinstance(reply, ReplyLost):
                    # It may have happened: this process' own news was in the reply. Other processes hear of
                    # it from Redis, unless the subscription that the script counted on was ended before.
                    self._hub.reply_lost(self._present(exchange))
                responder.spawn(self._repeat(responder, request, reply))
                return
            named = play_reply(PLAY_SHAPES[request.request_type], reply)
            if named.status == _OK:
                self._succeeded(responder, exchange, request, named)
            elif isinstance(named, Missing | Stale):
                responder.spawn(self._repeat(responder, request, reply))
            elif named.status == _DUPLICATE:
                self._duplicate(responder, exchange, request, cast("Change", named))
            elif isinstance(named, RankUnchanged):
                self._rank_unchanged(responder, exchange, request, named)
            else:
                responder.refuse(refusal_of(cast("RefusalReply", named)))
        except Exception:  # noqa: BLE001 - the top of what a lane calls
            responder.fail()

    async def _repeat(self, responder: Responder, request: Request, reply: object) -> None:
        # Packed again: with a newer catalogue a purchase has another price. Executed also where the
        # connection is gone by now: the player sent it.
        await self._sessions.repeat(
            _player(responder).ref,
            reply,
            lambda: self._send(responder, request),
            responder.exchange.started_s + RETRY_FOR_S,
            create=request.request_type == "session",
        )

    def _present(self, exchange: Exchange) -> Player:
        """Return the player whose other connections are to be sent a change.

        A connection that closes may have left the hub already: others of the player may be connected still,
        or again.
        """
        player = cast("Player", exchange.player)
        return self._hub.players.get(player.user_id, player) if exchange.connection.closing else player

    def _succeeded(
        self, responder: Responder, exchange: Exchange, request: Request, reply: PlayReply
    ) -> None:
        player = self._present(exchange)
        player.stir()
        exchange.joined = True
        if isinstance(reply, SessionShown):
            self._session_shown(responder, player, request, reply)
            return
        change = cast("Change", reply)
        exchange.version = change.version
        if isinstance(change, _WITH_INCOME):
            if change.changed:
                self._hub.tell_others(exchange, player, change.income)
        elif len(player.exchanges) > 1 or exchange.connection.closing:
            self._hub.tell_others(exchange, player, change)
        data = results.written(change)
        responder.answer(response(request.request_id_json, request.request_type, f"{{{data}}}"), "ok")

    def _session_shown(
        self, responder: Responder, player: Player, request: Request, shown: SessionShown
    ) -> None:
        exchange = responder.exchange
        exchange.version = max(exchange.version, shown.version)
        player.sent = shown.income.amounts
        if shown.paid:
            self._hub.tell_others(exchange, player, shown.income)
        data = results.session(
            player.user_id, shown, self._catalogues.current, with_client=bool(request.client)
        )
        responder.answer(response(request.request_id_json, "session", data), "ok")

    def _duplicate(self, responder: Responder, exchange: Exchange, request: Request, present: Change) -> None:
        """Answer a request that was applied before with the present state."""
        self._present(exchange).stir()
        exchange.joined = True
        exchange.version = max(exchange.version, present.version)
        data = f'{{{results.written(present)},"duplicate":true}}'
        responder.answer(response(request.request_id_json, request.request_type, data), "duplicate")

    def _rank_unchanged(
        self, responder: Responder, exchange: Exchange, request: Request, unchanged: RankUnchanged
    ) -> None:
        """Answer a `level_up` without enough xp."""
        player = self._present(exchange)
        player.stir()
        exchange.joined = True
        exchange.version = max(exchange.version, unchanged.version)
        if unchanged.paid:
            self._hub.tell_others(exchange, player, unchanged.income)
        data = f"{{{results.rank_unchanged(unchanged)}}}"
        responder.answer(response(request.request_id_json, request.request_type, data), "unchanged")

    # Reads.

    def _read(self, responder: Responder, request: Request) -> None:
        on_snapshot = partial(self._was_read, responder, request)
        self._sessions.fresh_snapshot(_player(responder).ref, on_snapshot)

    def _was_read(
        self, responder: Responder, request: Request, snapshot: Snapshot | None, reply: object
    ) -> None:
        try:
            exchange = responder.exchange
            _player(responder).unsettle()
            if snapshot is not None and snapshot.version < exchange.version:
                # Income that the connection was sent could not be paid in front of the read.
                responder.unavailable(LiveUnavailable("Redis did not pay income"))
            elif snapshot is not None:
                exchange.joined = True
                exchange.version = max(exchange.version, snapshot.version)
                data = results.READS[request.request_type](snapshot, self._catalogues.current)
                responder.answer(response(request.request_id_json, request.request_type, data), "ok")
            else:
                responder.spawn(self._read_again(responder, request, reply))
        except Exception:  # noqa: BLE001 - the top of what a lane calls
            responder.fail()

    async def _read_again(self, responder: Responder, request: Request, reply: object) -> None:
        await self._sessions.repeat(
            _player(responder).ref,
            reply,
            lambda: self._read(responder, request),
            responder.exchange.started_s + RETRY_FOR_S,
        )

    # What PostgreSQL answers.

    def _leaderboard(self, responder: Responder, request: Request) -> None:
        user_id = cast("UserId", responder.exchange.user_id)
        work = self._community.leaderboard(user_id, str(request.subject))
        responder.spawn(self._answer_with(responder, request, work))

    async def _answer_with(self, responder: Responder, request: Request, work: Awaitable[str]) -> None:
        data = await work
        responder.answer(response(request.request_id_json, request.request_type, data), "ok")

    def _name_set(self, responder: Responder, request: Request) -> None:
        responder.spawn(self._set_name(responder, request))

    async def _set_name(self, responder: Responder, request: Request) -> None:
        user_id = cast("UserId", responder.exchange.user_id)
        answer = await self._community.set_name(user_id, str(request.subject))
        if isinstance(answer, Refusal):
            responder.refuse(answer)
        else:
            responder.answer(response(request.request_id_json, request.request_type, answer), "ok")


def _knowing_more(start: Start, responder: Responder, request: Request) -> None:
    """Begin a request that the original system did not have: its sender is sent more from now on."""
    responder.exchange.knows_more = True
    start(responder, request)


def _player(responder: Responder) -> Player:
    """Return whose connection it is: its token was accepted."""
    return cast("Player", responder.exchange.player)
