"""The players connected to this process and their connections: who is sent what."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog

from persistence.live.replies.play import Income
from persistence.live.replies.publications import (
    ALL_FAMILIES,
    KIND_OF_CHANGE,
    FamilyRevoked,
    NewlyAchieved,
    Reloaded,
    publication_of,
)
from server.protocol import results
from server.protocol.close_codes import CloseCode
from server.protocol.messages import PUSH, response
from server.ws.catching_up import CatchingUp
from server.ws.exchange import Player
from server.ws.frames import text_frame
from server.ws.portions import Portions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from game.session import UserId
    from persistence.durable.current_catalogue import Catalogues
    from persistence.live.lane import Lane
    from persistence.live.lanes import FirstCommand
    from persistence.live.replies.play import Change
    from persistence.live.sessions import Sessions
    from server.ws.exchange import Exchange
    from server.ws.gathering import Gathering
    from server.ws.outgoing import Message

_log = structlog.get_logger(__name__)


class Hub:
    """All players of this process. A player is subscribed to from the first connection to the last."""

    def __init__(
        self,
        sessions: Sessions,
        catalogues: Catalogues,
        max_connections_per_user: int,
        session_ttl_s: int,
        gathering: Gathering,
    ) -> None:
        self._sessions = sessions
        self._catalogues = catalogues
        self._max_connections_per_user = max_connections_per_user
        self._session_ttl_s = session_ttl_s
        self._gathering = gathering
        catalogues.watch(self.catalogue_changed)
        self.players: dict[UserId, Player] = {}
        self._by_channel: dict[bytes, Player] = {}
        self.portions = Portions(sessions)
        self.redis_back = asyncio.Event()
        """Set whenever a connection to Redis is up again; the task that waits for it clears it."""
        self.copies = 0
        self.publications = 0
        self.refused_per_user = 0
        self.catching_up = CatchingUp(sessions, catalogues)

    def attach(self, exchange: Exchange, user_id: UserId) -> Player | None:
        """Count a connection among its player's; None when the player has too many: close it with 4002."""
        player = self.players.get(user_id)
        if player is None:
            ref = self._sessions.ref(user_id)
            player = Player(user_id, ref)
            self.players[user_id] = player
            self.portions.add(player)
            self._by_channel[ref.channel] = player
            self._sessions.subscribe(ref)
            player.branch = self._sessions.lane_of(ref).branch
        elif 0 < self._max_connections_per_user <= len(player.exchanges):
            self.refused_per_user += 1
            return None
        player.unsettle()
        player.exchanges.append(exchange)
        exchange.player = player
        return player

    def detach(self, exchange: Exchange) -> None:
        """Forget a connection; with the last one goes the subscription, and a clean session may expire."""
        player = exchange.player
        if player is None or exchange not in player.exchanges:
            return
        player.unsettle()
        player.exchanges.remove(exchange)
        if not player.exchanges:
            player.earns = False
            if player.block is not None:
                player.block.remove(player)
            del self.players[player.user_id]
            del self._by_channel[player.ref.channel]
            self._sessions.release(player.ref, self._session_ttl_s)

    def catalogue_changed(self) -> None:
        """Address every session again, and read it again."""
        self._sessions.epoch_ended()
        self.portions.stir()

    # What changed goes to the player's other connections.

    def tell_others(self, sender: Exchange | None, player: Player, change: Change) -> None:
        """Send a state change to each joined connection of a player but the sender's.

        Where one was sent just before, it goes a little later, together with those that follow.
        """
        kind = KIND_OF_CHANGE[change.__class__]
        version = change.version
        if isinstance(change, Income):
            player.sent = change.amounts
        payload = frame = b""
        waits = False
        for exchange in player.exchanges:
            if exchange is sender or not exchange.joined or exchange.version >= version:
                continue
            if not payload:
                payload = response(PUSH, kind, f"{{{results.written(change)}}}")
                frame = text_frame(payload)
                waits = kind != "passive" and self._gathering.waits(player)
            exchange.version = version
            self.copies += 1
            if waits:
                exchange.connection.hold(payload, frame)
            elif kind == "passive":
                exchange.connection.send_latest(payload, frame)
            else:
                exchange.connection.send(payload, frame)

    def tell_income(
        self,
        player: Player,
        version: int,
        rank: int,
        amounts: tuple[float, float, float, float],
        messages: list[Message],
    ) -> None:
        """Add computed income for each joined connection to `messages`, all of which are then sent at once.

        A connection that knows its version may lack parts of it. Hot.
        """
        payload = frame = b""
        for exchange in player.exchanges:
            if exchange.joined and exchange.version <= version:
                if not payload:
                    payload = results.computed(version, rank, amounts)
                    frame = text_frame(payload)
                exchange.version = version
                messages.append((exchange.connection, payload, frame))

    def published(self, channel: bytes, words: list[bytes]) -> None:
        """Take another process' publication: kind, version and the rest."""
        player = self._by_channel.get(channel)
        if player is None:
            return
        self.publications += 1
        publication = publication_of(words)
        match publication:
            case None:
                return  # of a newer release
            case FamilyRevoked():
                self.revoke(player.user_id, publication.family.decode())
            case Reloaded():
                self.catching_up.missed(player)
            case NewlyAchieved():
                player.stir()
                self.tell_achieved(player, publication.version, publication.newly)
            case _:
                player.stir()
                # Where income changed nothing, only who computes it has to know.
                if not (isinstance(publication, Income) and publication.amounts == player.sent):
                    self.tell_others(None, player, publication)

    def hears(self, player: Player) -> bool:
        """Say whether a player's publications reach this process; ask behind a reply of the player's lane.

        Where they don't, the lane's owner is subscribing again: ask later.
        """
        return self._sessions.lane_of(player.ref).hears(player.ref.channel)

    def tell_achieved(self, player: Player, version: int, packed: bytes) -> None:
        """Announce achievements to every joined connection of a player that knows of them.

        Clients of the original system warn of what they don't know.
        """
        payload = results.achievement_push(version, packed, self._catalogues.current)
        for exchange in player.exchanges:
            if exchange.joined and exchange.knows_more:
                exchange.version = max(exchange.version, version)
                exchange.connection.send(payload)

    def revoke(self, user_id: UserId, family: str) -> None:
        """Close the connections of a revoked family (`*`: of all the player's families) with 4001.

        A connection that has only shown a token of it, and waits for the check, stays and is refused.
        """
        player = self.players.get(user_id)
        if player is None:
            return
        for exchange in list(player.exchanges):
            if family in (ALL_FAMILIES, exchange.family):
                exchange.revoked = True
                exchange.connection.close(CloseCode.REVOKED, "log-in revoked")
            elif family == exchange.checking:
                exchange.checking = ""

    # After a connection to Redis was lost, publications may have been missed.

    def channels_of(self, lane: Lane) -> list[bytes]:
        """Name the channels this process needs on a lane."""
        return [
            player.ref.channel
            for player in self.players.values()
            if self._sessions.lane_of(player.ref) is lane
        ]

    def first_commands(self, lane: Lane) -> list[FirstCommand]:
        """Keep sessions from taking versions again that connections of this process were sent.

        A Redis that may have lost changes may give the same versions to others: only of one branch of its
        history each version is one state.
        """
        commands: list[FirstCommand] = []
        branch = lane.branch
        for player in self.players.values():
            if self._sessions.lane_of(player.ref) is not lane or player.branch == branch:
                continue
            player.unsettle()
            sent = max(exchange.version for exchange in player.exchanges)
            if sent:
                packed = self._sessions.raise_above(player.ref, sent)
                commands.append((packed, partial(setattr, player, "branch", branch)))
            else:
                player.branch = branch
        return commands

    def subscribed(self, lane: Lane, channel: bytes) -> None:
        """Send a player's connections the present state: what was published before was not heard.

        Nobody has joined yet where it is the first subscription to the channel.
        """
        player = self._by_channel.get(channel)
        if player is not None and self._sessions.lane_of(player.ref) is lane:
            self.catching_up.doubt(player)
            self._sessions.confirmed(player.ref)
            if any(exchange.joined for exchange in player.exchanges):
                # A log-out that was published before was not heard either: revocations are published again.
                self.redis_back.set()

    def unheard(self, lane: Lane, channel: bytes) -> None:
        """Take note that a player's connections miss changes from now on, though commands go on."""
        player = self._by_channel.get(channel)
        if player is None:
            self._sessions.ended(channel, lane)
        elif player.ref.heard:
            self.catching_up.lapsed(player)
            self._sessions.lapsed(player.ref, lane)

    def reply_lost(self, player: Player) -> None:
        """Send a player's connections the state: a command may have been executed unheard."""
        self._sessions.reply_lost(player.ref)
        self.catching_up.doubt(player)

    def lane_ready(self, lane: Lane) -> None:
        """Address every session again; send the players their state for whom the lane was down before."""
        self._sessions.epoch_ended()
        self._sessions.lane_ready(lane)
        self.portions.stir(lane)
        self.redis_back.set()
        self.catching_up.lane_ready(lane)

    @property
    def snapshots(self) -> int:
        """How many snapshots were sent to connections that may have missed a change."""
        return self.catching_up.snapshots

    def exchanges(self) -> Iterator[Exchange]:
        """Go through every connection that has a player."""
        for player in self.players.values():
            yield from player.exchanges
