"""Changes of a session by an operator: logged, made once, in turn with other operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from game.adjusting import AMOUNTS, RANK, Adjustment
from persistence.durable.operator_log import Outcome, Wish
from persistence.errors import NoSession
from persistence.live.replies.play import Adjusted, AdjustedBefore, OutOfRange

if TYPE_CHECKING:
    from game.session import UserId
    from persistence.durable.operator_log import Intent, OperatorLog, Turn
    from scripts.player.sessions import OperatorSessions


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a wish: its number, and before and after where they are known.

    `earlier`: nothing was changed now, since the very same was done under this number. `why`: what refused.
    """

    number: int
    wish: Wish
    outcome: Outcome
    before: float | None = None
    after: float | None = None
    version: int | None = None
    earlier: bool = False
    why: str = ""


class Changes:
    """Makes changes of one player."""

    def __init__(self, log: OperatorLog, sessions: OperatorSessions, user_id: UserId) -> None:
        self._log = log
        self._sessions = sessions
        self._user_id = user_id

    async def settle(self) -> list[Made]:
        """Make what was begun and has no outcome; each is kept by itself. Safe to repeat."""
        settled: list[Made] = []
        while True:
            async with self._log.turn(self._user_id) as turn:
                intents = [] if turn is None else await turn.open()
                if turn is None or not intents:
                    return settled
                oldest, *_ = intents
                settled.append(await self._make(turn, oldest))

    async def make(self, wish: Wish, *, again: bool = False) -> tuple[Made | None, list[Made]]:
        """Make a change, after all that was begun before; returns it, and what was settled on the way.

        The very same as one that was done, and was not taken back, is not done again unless `again`; one that
        was begun and is settled now counts as this one. None: no such account. Raises StorageUnavailable: it
        may have happened; call again, with the same wish.
        """
        settled = await self.settle()
        same = [made for made in settled if made.wish == wish and made.outcome is not Outcome.UNKNOWN]
        if same:
            return same[-1], settled
        async with self._log.turn(self._user_id) as turn:
            if turn is None:
                return None, settled
            if not again and (number := await turn.same(wish)) is not None:
                return Made(number, wish, Outcome.DONE, earlier=True), settled
            if wish.undoes is not None and (number := await turn.undone_by(wish.undoes)) is not None:
                return Made(number, wish, Outcome.DONE, earlier=True), settled
            return await self._make(turn, await turn.begin(wish)), settled

    async def _make(self, turn: Turn, intent: Intent) -> Made:
        made = await self._made(intent)
        await turn.finish(intent, made.outcome, made.before, made.after, made.version)
        return made

    async def _made(self, intent: Intent) -> Made:
        number, wish = intent.number, intent.wish
        if intent.forgotten or not is_of_session(wish.what):
            return Made(number, wish, Outcome.UNKNOWN, why="it was begun, and nobody looked in time")
        try:
            reply = await self._sessions.adjust(self._user_id, Adjustment(wish.what, wish.amount), number)
        except NoSession:
            return Made(number, wish, Outcome.REFUSED, why="the player has never played")
        match reply:
            case Adjusted():
                before, after = float(reply.before), float(reply.after)
                return Made(number, wish, Outcome.DONE, before, after, reply.version)
            case AdjustedBefore():
                return Made(number, wish, Outcome.DONE, version=reply.version)
            case OutOfRange():
                before = float(reply.before)
                return Made(number, wish, Outcome.REFUSED, before, why="the rules allow no such amount")
            case _:
                return Made(number, wish, Outcome.REFUSED, why="the catalogue has no such upgrade")


def is_of_session(what: str) -> bool:
    """Say whether a logged change is one of the session."""
    return what in AMOUNTS or what == RANK or what.isdecimal()


def undoing(operator: str, reason: str, entry: dict[str, object]) -> Wish | None:
    """Return the wish that takes a logged change back; None where nothing can."""
    what, amount, number = str(entry["what"]), float(str(entry["amount"])), int(str(entry["number"]))
    if entry["outcome"] != Outcome.DONE.value or not is_of_session(what):
        return None
    if what != RANK:
        return Wish(operator, reason, what, -amount, number)
    before = entry["before"]
    return None if before is None else Wish(operator, reason, what, float(str(before)), number)
