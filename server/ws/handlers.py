"""What each request does: which command it sends, and what its reply becomes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from game.catalogue import UpgradeId
from game.errors import Refusal, UpgradeNotFound
from persistence.live.session_recovery import RETRY_FOR_S
from server.protocol import results
from server.protocol.messages import response
from server.protocol.refusals import refusal_of

if TYPE_CHECKING:
    from game.session import UserId
    from persistence.live.lane_contract import OnReply
    from persistence.live.session_ref import SessionRef
    from persistence.live.sessions import Sessions
    from persistence.live.snapshots import Snapshot
    from persistence.live.sources import CatalogueSource
    from server.protocol.messages import Request
    from server.ws.dispatch import Dispatch
    from server.ws.exchange import Exchange
    from server.ws.hub import Hub, Player

Start = Callable[["Dispatch", "Exchange", "Request"], None]


class Community(Protocol):
    """Leaderboard and names: answers from PostgreSQL, beside the way of a click."""

    async def leaderboard(self, user_id: UserId, by: str) -> str:
        """Return the data of `leaderboard`, with braces."""

    async def set_name(self, user_id: UserId, name: str) -> str | Refusal:
        """Choose a player's public name; returns the data of `name_set`, with braces, or why not."""


class Handlers:
    """One method for each request type."""

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
        }

    def start(self, dispatch: Dispatch, exchange: Exchange, request: Request) -> None:
        """Begin a request whose token is good; the exchange is busy until it is answered.

        Raises LaneDown or LaneFull where its command could not be sent.
        """
        self._table[request.request_type](dispatch, exchange, request)

    def _target(self, dispatch: Dispatch, exchange: Exchange) -> tuple[SessionRef, OnReply]:
        """Return whose session a request is about, and what takes the reply."""
        if exchange.on_reply is None:
            exchange.on_reply = partial(self._replied, dispatch, exchange)
        return cast("Player", exchange.player).ref, exchange.on_reply

    # Commands.

    def _click(self, dispatch: Dispatch, exchange: Exchange, request: Request) -> None:
        if exchange.on_reply is None:
            exchange.on_reply = partial(self._replied, dispatch, exchange)
        self._sessions.click(
            cast("Player", exchange.player).ref,
            request.request_type,
            request.count,
            request.client,
            request.seq,
            exchange.on_reply,
        )

    def _buy(self, dispatch: Dispatch, exchange: Exchange, request: Request) -> None:
        upgrade = self._catalogues.current.by_id.get(UpgradeId(cast("int", request.subject)))
        if upgrade is None:
            dispatch.refuse(exchange, UpgradeNotFound())
            return
        ref, on_reply = self._target(dispatch, exchange)
        self._sessions.buy(ref, upgrade, request.client, request.seq, on_reply)

    def _level_up(self, dispatch: Dispatch, exchange: Exchange, request: Request) -> None:
        ref, on_reply = self._target(dispatch, exchange)
        self._sessions.level_up(ref, request.client, request.seq, on_reply)

    def _reset(self, dispatch: Dispatch, exchange: Exchange, request: Request) -> None:
        ref, on_reply = self._target(dispatch, exchange)
        self._sessions.session_reset(ref, request.client, request.seq, on_reply)

    def _accrue(self, dispatch: Dispatch, exchange: Exchange, _request: Request) -> None:
        self._sessions.accrue(*self._target(dispatch, exchange))

    def _session(self, dispatch: Dispatch, exchange: Exchange, request: Request) -> None:
        ref, on_reply = self._target(dispatch, exchange)
        self._sessions.session(ref, request.client, on_reply)

    # Replies of scripts.

    def _replied(self, dispatch: Dispatch, exchange: Exchange, reply: Any) -> None:
        """Take what the lane got for the command in flight; whatever goes wrong, the request is answered."""
        request = exchange.request
        if request is None:
            return
        try:
            if reply.__class__ is not list or reply[0] in (b"missing", b"stale"):
                dispatch.spawn(exchange, self._repeat(dispatch, exchange, request, reply))
            elif reply[0] == b"ok":
                self._succeeded(dispatch, exchange, request, reply)
            else:
                self._other_status(dispatch, exchange, request, reply)
        except Exception:  # noqa: BLE001 - the top of what a lane calls
            dispatch.failed(exchange)

    async def _repeat(self, dispatch: Dispatch, exchange: Exchange, request: Request, reply: object) -> None:
        # Packed anew: with a newer catalogue a purchase has another price. Executed also where the connection
        # is gone by now: the player sent it.
        await self._sessions.repeat(
            cast("Player", exchange.player).ref,
            reply,
            lambda: self.start(dispatch, exchange, request),
            exchange.started_s + RETRY_FOR_S,
            create=request.request_type == "session",
        )

    def _succeeded(self, dispatch: Dispatch, exchange: Exchange, request: Request, reply: list[Any]) -> None:
        kind = request.request_type
        player = cast("Player", exchange.player)
        if exchange.connection.closing:
            # Others of the player may be connected still, or again; they are told all the same.
            player = self._hub.players.get(player.user_id, player)
        player.active = True
        exchange.joined = True
        if kind == "session":
            self._session_opened(dispatch, exchange, player, request, reply)
            return
        values = reply[1:]
        exchange.version = values[0]
        if kind == "passive":
            if values[6]:
                self._hub.tell_others(exchange, player, kind, values[:6])
        else:
            if kind == "upgrade_buy":
                player.passive = bool(values[5])
            elif kind == "session_reset":
                player.passive = False
            if len(player.exchanges) > 1 or exchange.connection.closing:
                self._hub.tell_others(exchange, player, kind, values)
        data = results.COPIES[kind](values, self._catalogues.current)
        dispatch.answer(exchange, response(request.request_id_json, kind, f"{{{data}}}"), "ok")

    def _session_opened(
        self, dispatch: Dispatch, exchange: Exchange, player: Player, request: Request, reply: list[Any]
    ) -> None:
        values = reply[1:]
        exchange.version = max(exchange.version, values[0])
        player.passive = bool(values[19])
        if values[18]:
            paid = [values[index] for index in (0, 3, 4, 5, 6, 9)]
            self._hub.tell_others(exchange, player, "passive", paid)
        data = results.session(
            player.user_id, values, self._catalogues.current, with_client=bool(request.client)
        )
        dispatch.answer(exchange, response(request.request_id_json, "session", data), "ok")

    def _other_status(
        self, dispatch: Dispatch, exchange: Exchange, request: Request, reply: list[Any]
    ) -> None:
        """Answer what is neither a plain success nor to be recovered."""
        status = cast("bytes", reply[0]).decode()
        kind = request.request_type
        if status == "duplicate":
            exchange.joined = True
            exchange.version = max(exchange.version, reply[1])
            data = results.COPIES[kind](reply[1:], self._catalogues.current)
            payload = response(request.request_id_json, kind, f'{{{data},"duplicate":true}}')
            dispatch.answer(exchange, payload, "duplicate")
        elif status == "unchanged":
            exchange.joined = True
            exchange.version = max(exchange.version, reply[1])
            _, version, rank, xp, paid, money, dishes, accumulated = reply
            if paid:
                player = self._hub.players.get(
                    cast("UserId", exchange.user_id), cast("Player", exchange.player)
                )
                self._hub.tell_others(
                    exchange, player, "passive", [version, money, dishes, rank, xp, accumulated]
                )
            data = results.level_unchanged(reply[1:])
            dispatch.answer(exchange, response(request.request_id_json, kind, f"{{{data}}}"), "unchanged")
        else:
            dispatch.refuse(exchange, refusal_of(status, reply[1:]))

    # Reads.

    def _read(self, dispatch: Dispatch, exchange: Exchange, request: Request) -> None:
        ref = cast("Player", exchange.player).ref
        self._sessions.fresh_snapshot(ref, partial(self._was_read, dispatch, exchange, request))

    def _was_read(
        self,
        dispatch: Dispatch,
        exchange: Exchange,
        request: Request,
        snapshot: Snapshot | None,
        reply: object,
    ) -> None:
        try:
            if snapshot is not None:
                self._answer_read(dispatch, exchange, request, snapshot)
            else:
                dispatch.spawn(exchange, self._read_again(dispatch, exchange, request, reply))
        except Exception:  # noqa: BLE001 - the top of what a lane calls
            dispatch.failed(exchange)

    async def _read_again(
        self, dispatch: Dispatch, exchange: Exchange, request: Request, reply: object
    ) -> None:
        await self._sessions.repeat(
            cast("Player", exchange.player).ref,
            reply,
            lambda: self._read(dispatch, exchange, request),
            exchange.started_s + RETRY_FOR_S,
        )

    def _answer_read(
        self, dispatch: Dispatch, exchange: Exchange, request: Request, snapshot: Snapshot
    ) -> None:
        exchange.joined = True
        exchange.version = max(exchange.version, snapshot.version)
        data = results.READS[request.request_type](snapshot, self._catalogues.current)
        dispatch.answer(exchange, response(request.request_id_json, request.request_type, data), "ok")

    # What PostgreSQL answers.

    def _leaderboard(self, dispatch: Dispatch, exchange: Exchange, request: Request) -> None:
        user_id = cast("UserId", exchange.user_id)
        work = self._community.leaderboard(user_id, str(request.subject))
        dispatch.spawn(exchange, self._answer_with(dispatch, exchange, request, work))

    async def _answer_with(
        self, dispatch: Dispatch, exchange: Exchange, request: Request, work: Awaitable[str]
    ) -> None:
        data = await work
        dispatch.answer(exchange, response(request.request_id_json, request.request_type, data), "ok")

    def _name_set(self, dispatch: Dispatch, exchange: Exchange, request: Request) -> None:
        dispatch.spawn(exchange, self._set_name(dispatch, exchange, request))

    async def _set_name(self, dispatch: Dispatch, exchange: Exchange, request: Request) -> None:
        user_id = cast("UserId", exchange.user_id)
        answer = await self._community.set_name(user_id, str(request.subject))
        if isinstance(answer, Refusal):
            dispatch.refuse(exchange, answer)
        else:
            dispatch.answer(exchange, response(request.request_id_json, request.request_type, answer), "ok")
