"""A server, or a flusher, with one behaviour broken on purpose: `BROKEN=name python -m scripts.chaos.broken`.

The checker must find each. A break takes one thing out, or does it wrong, and leaves all else as it is.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from asyncpg.connect_utils import SessionAttribute

from game.errors import NoDishes
from persistence import flusher
from persistence.durable import current_catalogue, pool
from persistence.durable import sessions as durable_sessions
from persistence.live import lane, lanes, pipeline, scripts, session_commands, subscriptions
from persistence.live.lane_contract import LaneDown, pack
from persistence.writeback import flusher as writeback
from runtime import log_output
from server import __main__ as server_main
from server.app.background import Background
from server.ws import catching_up, handlers, hub, responder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

FLUSHER: Final = "flusher"
"""The value of BROKEN_PROGRAM that starts a flusher in place of a server."""


def _pushes_dropped() -> None:
    """Leave every tenth change untold."""
    tell, calls = hub.Hub.tell_others, iter(range(10**9))

    def tell_others(self: hub.Hub, *args: Any) -> None:
        if next(calls) % 10:
            tell(self, *args)

    _put(hub.Hub, "tell_others", tell_others)


def _pushes_doubled() -> None:
    """Send every tenth change twice."""
    tell, calls = hub.Hub.tell_others, iter(range(10**9))

    def tell_others(self: hub.Hub, sender: Any, player: Any, change: Any) -> None:
        tell(self, sender, player, change)
        if next(calls) % 10 == 0:
            for exchange in player.exchanges:
                if exchange is not sender and exchange.version == change.version:
                    exchange.version -= 1
            tell(self, sender, player, change)

    _put(hub.Hub, "tell_others", tell_others)


def _pushes_out_of_order() -> None:
    """Send every tenth change after the one that follows it."""
    tell, calls = hub.Hub.tell_others, iter(range(10**9))
    held: dict[Any, tuple[Any, Any]] = {}

    def tell_others(self: hub.Hub, sender: Any, player: Any, change: Any) -> None:
        if next(calls) % 10 == 0 and player not in held:
            held[player] = (sender, change)
            return
        tell(self, sender, player, change)
        if player in held:
            before, older = held.pop(player)
            for exchange in player.exchanges:
                exchange.version = min(exchange.version, older.version - 1)
            tell(self, before, player, older)

    _put(hub.Hub, "tell_others", tell_others)


def _no_snapshot_after_a_move() -> None:
    """Send nobody the state where a subscription was made again: the snapshot went to the old master."""
    _put(hub.Hub, "subscribed", _nothing)


def _lost_subscription_left() -> None:
    """Leave a subscription that went with its slot."""
    _put(lanes.Lanes, "unsubscribed", _nothing)
    _put(lanes.Lanes, "refused", _nothing)
    subscribe = lanes.Lanes._subscribe_all  # noqa: SLF001 - a break is made inside

    def subscribe_all(self: lanes.Lanes, at: Any, buckets: Any = None) -> None:
        if buckets is None:
            subscribe(self, at)

    _put(lanes.Lanes, "_subscribe_all", subscribe_all)


def _own_tabs_left_out() -> None:
    """Forget the tabs of the sender's process where its reply was lost."""
    doubt = catching_up.CatchingUp.doubt

    def without_senders(self: catching_up.CatchingUp, player: Any) -> None:
        if sys._getframe(1).f_code.co_name != "_replied":  # noqa: SLF001 - a break looks at its caller
            doubt(self, player)

    _put(catching_up.CatchingUp, "doubt", without_senders)


def _doubt_by_version() -> None:
    """Leave out of a snapshot, which is read a moment later, connections that have its version already.

    Read at once it would lie in front of every click, and leave nobody out by its version.
    """
    tell, ask = catching_up.CatchingUp._tell, catching_up.CatchingUp._ask  # noqa: SLF001

    def by_version(self: catching_up.CatchingUp, player: Any, snapshot: Any, doubt: int) -> None:
        for exchange in player.exchanges:
            if exchange.version >= snapshot.version:
                exchange.doubt = 0
        tell(self, player, snapshot, doubt)

    def later(self: catching_up.CatchingUp, player: Any) -> None:
        asyncio.get_running_loop().call_later(0.3, ask, self, player)

    _put(catching_up.CatchingUp, "_tell", by_version)
    _put(catching_up.CatchingUp, "_ask", later)


def _log_out_not_heard() -> None:
    """Let the connections of a revoked log-in be."""
    _put(hub.Hub, "revoke", _nothing)


def _subscription_believed() -> None:
    """Believe in a subscription that is made only 6 s later."""
    subscribe = subscriptions.Subscriptions.subscribe

    def late(self: subscriptions.Subscriptions, ref: Any) -> None:
        asyncio.get_running_loop().call_later(6, subscribe, self, ref)

    _put(subscriptions.Subscriptions, "subscribe", late)
    _put(hub.Hub, "hears", lambda *_: True)


def _client_forgotten() -> None:
    """Remember one client of a player: each new one takes the place of the last."""
    _in_lua("CLIENTS, UNUSED_MS = 32,", "CLIENTS, UNUSED_MS = 1,")


def _versions_given_again() -> None:
    """Raise versions for players with income only, where another run of Redis may have lost changes."""
    _in_lua("local lost = run ~= new_run", "local lost = run ~= new_run and passive")
    _put(hub.Hub, "first_commands", lambda *_: [])


def _duplicate_overtakes() -> None:
    """Let each duplicate leave out the change that follows it on its connection: it overtook that one."""
    duplicate, tell = handlers.Handlers._duplicate, hub.Hub.tell_others  # noqa: SLF001 - a break is made inside
    ahead: list[Any] = []

    def overtaking(self: handlers.Handlers, by: Any, exchange: Any, request: Any, present: Any) -> None:
        duplicate(self, by, exchange, request, present)
        ahead.append(exchange)

    def tell_others(self: hub.Hub, sender: Any, player: Any, change: Any) -> None:
        for exchange in [one for one in player.exchanges if one in ahead and one is not sender]:
            ahead.remove(exchange)
            exchange.version = max(exchange.version, change.version)
        tell(self, sender, player, change)

    _put(handlers.Handlers, "_duplicate", overtaking)
    _put(hub.Hub, "tell_others", tell_others)


def _ask_refused() -> None:
    """Refuse a command whose slot is on its way."""

    def refused(self: pipeline.Pipeline, *_command: object) -> None:
        raise LaneDown(self.name)

    _put(pipeline.Pipeline, "send_asking", refused)


def _log_raises() -> None:
    """Let a log line that cannot be written be an error of the code that logs."""
    _put(log_output.LogOutput, "write", log_output.LogOutput._write)  # noqa: SLF001 - as above


def _read_only_kept() -> None:
    """Stay on a connection that says READONLY."""
    _put(lane.Lane, "check_role", _nothing)


def _read_only_pool_kept() -> None:
    """Take connections to a PostgreSQL that takes no writes, and keep them."""

    async def believe(*_arguments: object) -> None:
        """Look at nothing."""

    _put(pool, "_wanted_server", lambda _: SessionAttribute.any)
    _put(pool._ReadOnlyWatch, "_look", _nothing)  # noqa: SLF001 - a break is made inside
    _put(current_catalogue, "check_writable", believe)


def _never_ends() -> None:
    """Stay after the drain."""

    async def stay(_self: Background) -> None:
        time.sleep(10**6)  # noqa: ASYNC251 - that is the break

    _put(Background, "stop", stay)


def _future_marks_kept() -> None:
    """Leave marks of a time to come until that time."""
    _in_lua(
        "'-inf', until_ms,", "'-inf', math.min(now_ms, until_ms == '+inf' and now_ms or tonumber(until_ms)),"
    )

    async def leave(*_arguments: object) -> None:
        """Move no mark to the present."""

    _put(writeback, "make_due", leave)


def _not_fenced() -> None:
    """Write once more what was written the time before, over whatever is there."""
    write = durable_sessions.SessionWriter.write
    before: list[Any] = []

    async def write_twice(self: durable_sessions.SessionWriter, rows: Any) -> Any:
        result = await write(self, rows)
        older = [row for row in before if row.user_id in {one.user_id for one in rows}]
        await write(self, older)
        before[:] = rows
        return result

    _put(durable_sessions.SessionWriter, "write", write_twice)
    for name, value in vars(durable_sessions).items():
        if isinstance(value, str) and "saved.version < excluded.version" in value:
            setattr(durable_sessions, name, value.replace("saved.version < excluded.version", "true"))


def _dirty_session_expires() -> None:
    """Drop a session from Redis when its last tab leaves, saved or not."""
    commands = session_commands.SessionCommands

    def drop(self: Any, ref: Any, stamp: str, ttl_s: int) -> bytes:  # noqa: ARG001 - the contract of `release`
        return pack("DEL", self._keys.session(ref.user_id))

    _put(commands, "release", drop)


def _anothers_changes_told() -> None:
    """Take every twentieth publication for another player's, as if two games shared a channel."""
    published, calls = hub.Hub.published, iter(range(10**9))

    def misled(self: hub.Hub, channel: bytes, words: Any) -> None:
        channels = list(self._by_channel)
        if next(calls) % 20 == 0 and channels:
            channel = channels[(channels.index(channel) + 1) % len(channels) if channel in channels else 0]
        published(self, channel, words)

    _put(hub.Hub, "published", misled)


def _answers_dropped() -> None:
    """Never send every hundredth answer."""
    answer, calls = responder.Responder.answer, iter(range(1, 10**9))

    def dropped(self: responder.Responder, payload: bytes, result: str) -> None:
        if next(calls) % 100:
            answer(self, payload, result)

    _put(responder.Responder, "answer", dropped)


def _answers_wrong() -> None:
    """Say a dish more in every fiftieth answer to a cook."""
    answer, calls = responder.Responder.answer, iter(range(1, 10**9))

    def wrong(self: responder.Responder, payload: bytes, result: str) -> None:
        if next(calls) % 50 == 0:
            payload = payload.replace(b'"dishes":', b'"dishes":1')
        answer(self, payload, result)

    _put(responder.Responder, "answer", wrong)


def _sells_refused() -> None:
    """Refuse every tenth sell for want of dishes, whatever there is."""
    start, calls = handlers.Handlers.start, iter(range(1, 10**9))

    def refusing(self: handlers.Handlers, by: responder.Responder, request: Any) -> None:
        if request.request_type == "sell" and next(calls) % 10 == 0:
            by.refuse(NoDishes())
        else:
            start(self, by, request)

    _put(handlers.Handlers, "start", refusing)


def _every_refusal_traced() -> None:
    """Write a traceback for each request that cannot be served."""
    unavailable = responder.Responder.unavailable

    def traced(self: responder.Responder, fault: Any) -> None:
        server_main._log.error("request_not_served", exc_info=fault)  # noqa: SLF001 - as above
        unavailable(self, fault)

    _put(responder.Responder, "unavailable", traced)


BREAKS: Final[Mapping[str, Callable[[], None]]] = {
    function.__name__.strip("_").replace("_", " "): function
    for function in (
        _pushes_dropped, _pushes_doubled, _pushes_out_of_order, _no_snapshot_after_a_move,
        _lost_subscription_left, _own_tabs_left_out, _doubt_by_version, _log_out_not_heard,
        _subscription_believed, _client_forgotten, _versions_given_again, _duplicate_overtakes,
        _ask_refused, _log_raises, _read_only_kept, _read_only_pool_kept,
        _never_ends,
        _future_marks_kept, _not_fenced, _dirty_session_expires, _anothers_changes_told, _answers_dropped,
        _answers_wrong, _sells_refused, _every_refusal_traced,
    )
}  # fmt: skip
"""Each break by its name."""


def _put(owner: type | ModuleType, name: str, value: object) -> None:
    if name not in vars(owner):
        raise AttributeError(f"{owner.__name__} has no {name}: the break is out of date")
    if callable(value) and inspect.isfunction(replaced := vars(owner)[name]):
        _check_fits(replaced, value)
    setattr(owner, name, value)


def _check_fits(replaced: Callable[..., object], by: Callable[..., object]) -> None:
    """Raise TypeError where a function does not take what the one takes that it replaces."""
    taken = inspect.signature(replaced).parameters.values()
    if any(each.kind is each.VAR_POSITIONAL for each in taken):
        return  # of another break
    named = {each.name: each for each in taken if each.kind is each.KEYWORD_ONLY}
    inspect.signature(by).bind(*(each for each in taken if each.name not in named), **named)


def _nothing(*_args: Any, **_more: Any) -> None:
    """Do nothing in place of what is broken."""


def _in_lua(found: str, put: str) -> None:
    """Change a text in every script that has it."""
    joined, changed = scripts.joined, []

    def broken(text: str, libraries: Mapping[str, str]) -> str:
        source = joined(text, libraries)
        if found in source:
            changed.append(found)
        return source.replace(found, put)

    scripts.joined = broken
    scripts.load_scripts()
    if not changed:
        raise AttributeError(f"no script has {found}: the break is out of date")


def main() -> int:
    """Break what BROKEN names, then run the server or, where BROKEN_PROGRAM says so, the flusher."""
    BREAKS[os.environ["BROKEN"]]()
    return flusher.main() if os.environ.get("BROKEN_PROGRAM") == FLUSHER else server_main.main()


if __name__ == "__main__":
    sys.exit(main())
