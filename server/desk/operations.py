"""Everything an operator does with a player: looked up, shown, ordered. Commands and pages call the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from game.adjusting import RANK
from persistence.durable.find_player import find_player, search_players
from persistence.durable.operator_log import OperatorLog, Outcome, Wish
from persistence.live.keys import bucket_of
from persistence.live.store import call, expect
from persistence.recovery.export import export_player
from server.desk.access import GONE, Access
from server.desk.amounts import in_units, thing
from server.desk.changing import Changes, undoing
from server.desk.errors import NoPlayer, NotBegun
from server.desk.importing import progress_in, progress_json
from server.desk.orders import Result, refuse_naming

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from game.catalogue import Catalogue
    from persistence.durable.find_player import Found, Listed
    from persistence.durable.pool import Pool
    from persistence.live.store import LiveStore
    from server.desk.orders import Order
    from server.desk.sessions import OperatorSessions


class Operations:
    """What operators do. Methods raise StorageUnavailable where a database is away, NotBegun with why."""

    def __init__(self, pool: Pool, store: LiveStore, sessions: OperatorSessions, public_url: str) -> None:
        self._pool = pool
        self._store = store
        self._sessions = sessions
        self._public_url = public_url
        self.log = OperatorLog(pool)

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in force."""
        return self._sessions.catalogue

    async def find(self, who: str) -> Found:
        """Find a player by id, e-mail or name; raises NoPlayer."""
        found = await find_player(self._pool, who)
        if found is None:
            raise NoPlayer(f"no player has the id, e-mail or name {who!r}")
        return found

    async def search(self, text: str, at_most: int) -> list[Listed]:
        """List players whose e-mail or name begins with a text, or whose id it is."""
        return await search_players(self._pool, text, at_most)

    async def kept(self, found: Found) -> dict[str, Any]:
        """Return everything that is kept of the player; raises NoPlayer."""
        kept = await export_player(self._pool, self._store, found.user_id)
        if kept is None:
            raise NoPlayer(GONE)
        return kept

    async def processes(self, found: Found) -> int:
        """Count the server processes that the player is connected to."""
        user_id = found.user_id
        channel = self._store.keys.channel(user_id)
        [reply] = await self._store.run([call(bucket_of(user_id), "PUBSUB", "SHARDNUMSUB", channel)])
        _channel, processes = expect(reply, list)
        return int(processes)

    async def carry_out(self, found: Found, order: Order) -> Result:
        """Do what an order says, once however often it is repeated, and log it.

        After StorageUnavailable the same order again finds out whether it was done.
        """
        refuse_naming(order.reason, found)
        return await self._works[order.command](self, found, order)

    async def _give(self, found: Found, order: Order) -> Result:
        what = thing(order.what, self.catalogue)
        amount = in_units(what, order.amount)
        sign = -1 if order.command == "take" else 1
        return await self._change(found, order, Wish(order.operator, order.reason, what, sign * amount))

    async def _set_rank(self, found: Found, order: Order) -> Result:
        return await self._change(found, order, Wish(order.operator, order.reason, RANK, float(order.rank)))

    async def _import(self, found: Found, order: Order) -> Result:
        own = found.user_id if order.command == "restore-from" else None
        session = progress_json(progress_in(order.export, only_of=own))
        wish = Wish(order.operator, order.reason, order.command, session=session)
        return await self._change(found, order, wish)

    async def _undo(self, found: Found, order: Order) -> Result:
        entry = await self.log.get(found.user_id, order.number)
        if entry is None:
            raise NotBegun(f"there is no change {order.number} of this player")
        if entry["what"] == RANK and await self._rank(found) != entry["after"]:
            raise NotBegun("the rank has changed since: set-rank sets it")
        wish = undoing(order.operator, order.reason, entry)
        if wish is None:
            raise NotBegun(f"change {order.number} cannot be taken back: {entry['outcome']} {entry['what']}")
        return await self._change(found, order, wish)

    async def _suspend(self, found: Found, order: Order) -> Result:
        return await self._access(found).suspend(order.operator, order.reason, order.seconds)

    async def _unsuspend(self, found: Found, order: Order) -> Result:
        return await self._access(found).unsuspend(order.operator, order.reason)

    async def _log_out(self, found: Found, order: Order) -> Result:
        return await self._access(found).log_out(order.operator, order.reason)

    async def _rename(self, found: Found, order: Order) -> Result:
        return await self._access(found).rename(order.operator, order.reason, order.name)

    async def _reset_link(self, found: Found, order: Order) -> Result:
        if not found.email:
            raise NotBegun("a guest has no password to set")
        return await self._access(found).reset_link(order.operator, order.reason, found.email)

    async def _delete(self, found: Found, order: Order) -> Result:
        return await self._access(found).delete(order.operator, order.reason)

    _works: Final[dict[str, Callable[[Operations, Found, Order], Awaitable[Result]]]] = {
        "give": _give,
        "take": _give,
        "set-rank": _set_rank,
        "import": _import,
        "restore-from": _import,
        "undo": _undo,
        "suspend": _suspend,
        "unsuspend": _unsuspend,
        "log-out": _log_out,
        "rename": _rename,
        "reset-link": _reset_link,
        "delete": _delete,
    }

    def _access(self, found: Found) -> Access:
        return Access(self._pool, self._store, self._public_url, found.user_id)

    async def _rank(self, found: Found) -> float | None:
        """Return the rank as it is now; None where it is not known."""
        kept = await self.kept(found)
        session: dict[str, Any] = kept["live"] or kept["saved"] or {}
        return session.get("rank")

    async def _change(self, found: Found, order: Order, wish: Wish) -> Result:
        """Make a change of the session, and what others had begun before."""
        made, settled = await Changes(self.log, self._sessions, found.user_id).make(wish, again=order.again)
        if made is None:
            raise NoPlayer(GONE)
        others = [each for each in settled if each is not made]
        why = made.why if made.outcome is not Outcome.DONE else ""
        return Result(made.number, made.outcome, why, made, others)
