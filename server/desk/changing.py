"""Changes of a session by an operator: logged, made once, in turn with other operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from game.adjusting import AMOUNTS, RANK, Adjustment
from game.replacing import Progress
from persistence.durable.operator_log import Outcome, Wish
from persistence.errors import NoSession
from persistence.live.progress_text import parse_progress
from persistence.live.replies.play import Adjusted, AdjustedBefore, NotAllowed, OutOfRange, Replaced
from server.desk.errors import NotBegun
from server.desk.importing import progress_json, progress_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from game.session import UserId
    from persistence.durable.operator_log import Intent, OperatorLog, Turn
    from server.desk.sessions import OperatorSessions


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a wish: its number, and before and after where they are known.

    `found`: what was in the session before an import.
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
    found: Progress | None = None


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
                intents = [] if turn is None else [each for each in await turn.open() if _is_left(each)]
                if turn is None or not intents:
                    return settled
                oldest, *_ = intents
                settled.append(await self._make(turn, oldest))

    async def make(self, wish: Wish, *, again: bool = False) -> tuple[Made | None, list[Made]]:
        """Make a change, after all that was begun before; returns it, and what was settled on the way.

        The very same as one that was done, and was not taken back, is not done again unless `again`; one that
        was begun and is settled now counts as this one. None: no such account. Raises StorageUnavailable: it
        may have happened; call again, with the same wish. NotBegun: an import that is to be taken back is no
        longer the latest.
        """
        settled = await self.settle()
        same = [made for made in settled if made.wish == wish and made.outcome is not Outcome.UNKNOWN]
        if same:
            *_, last = same
            return last, settled
        async with self._log.turn(self._user_id) as turn:
            if turn is None:
                return None, settled
            if not again and (number := await turn.same(wish)) is not None:
                return Made(number, wish, Outcome.DONE, earlier=True), settled
            if wish.undoes is not None and (number := await turn.undone_by(wish.undoes)) is not None:
                return Made(number, wish, Outcome.DONE, earlier=True), settled
            if wish.undoes is not None and wish.session is not None:
                latest = await turn.latest_import()
                if latest != wish.undoes:
                    raise NotBegun(
                        f"change {latest} was an import as well: only the latest can be taken back"
                    )
            return await self._make(turn, await turn.begin(wish)), settled

    async def _make(self, turn: Turn, intent: Intent) -> Made:
        made = await self._made(intent)
        found = None if made.found is None else progress_json(made.found)
        await turn.finish(intent, made.outcome, made.before, made.after, made.version, found)
        return made

    async def _made(self, intent: Intent) -> Made:
        number, wish = intent.number, intent.wish
        if intent.forgotten or not (wish.session or is_of_session(wish.what)):
            return Made(number, wish, Outcome.UNKNOWN, why="it was begun, and nobody looked in time")
        try:
            if wish.session is not None:
                reply = await self._sessions.replace(self._user_id, progress_of(wish.session), number)
            else:
                change = Adjustment(wish.what, wish.amount)
                reply = await self._sessions.adjust(self._user_id, change, number)
        except NoSession:
            return Made(number, wish, Outcome.REFUSED, why="the player has never played")
        match reply:
            case Adjusted():
                before, after = float(reply.before), float(reply.after)
                return Made(number, wish, Outcome.DONE, before, after, reply.version)
            case Replaced():
                found = parse_progress(reply.found.decode())
                return Made(number, wish, Outcome.DONE, version=reply.version, found=found)
            case AdjustedBefore():
                return Made(number, wish, Outcome.DONE, version=reply.version)
            case OutOfRange():
                before = float(reply.before)
                return Made(number, wish, Outcome.REFUSED, before, why="the rules allow no such amount")
            case NotAllowed():
                what = reply.what.decode()
                what = f"upgrade {what}" if what.isdecimal() else what
                return Made(number, wish, Outcome.REFUSED, why=f"the rules allow no such {what}")
            case _:
                return Made(number, wish, Outcome.REFUSED, why="the catalogue has no such upgrade")


def _is_left(intent: Intent) -> bool:
    """Say whether nobody works on an intent: of the session it is worked on in a turn alone."""
    return intent.abandoned or intent.wish.session is not None or is_of_session(intent.wish.what)


def is_of_session(what: str) -> bool:
    """Say whether a logged change is one of the session."""
    return what in AMOUNTS or what == RANK or what.isdecimal()


def undoing(operator: str, reason: str, entry: Mapping[str, Any]) -> Wish | None:
    """Return the wish that takes a logged change back; None where nothing can."""
    what, amount, number = str(entry["what"]), float(entry["amount"]), int(entry["number"])
    if entry["outcome"] != Outcome.DONE.value:
        return None
    if entry["session_found"] is not None:
        session = progress_json(Progress.read(entry["session_found"]))
        return Wish(operator, reason, "import", undoes=number, session=session)
    if not is_of_session(what):
        return None
    if what != RANK:
        return Wish(operator, reason, what, -amount, number)
    before = entry["before"]
    return None if before is None else Wish(operator, reason, what, float(before), number)
