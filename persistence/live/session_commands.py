"""The bytes of each command on a session. Pure: what is packed here is sent by `persistence.live.sessions`.

Most scripts share their first arguments, which hold for a player until the epoch ends; a `Command` is what
stands before and after them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from game.adjusting import OPERATORS
from game.catalogue import UpgradeType
from game.golden import GUESTS
from persistence.live.catalogue_arguments import packed_boosts, packed_changes, packed_levels
from persistence.live.courses import COURSE_FIELDS
from persistence.live.keys import bucket_of
from persistence.live.lane_contract import pack
from persistence.live.progress_text import progress_text
from persistence.live.snapshots import SNAPSHOT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from game.adjusting import Adjustment
    from game.catalogue import Catalogue, Upgrade
    from game.replacing import Progress
    from game.session import UserId
    from persistence.live.keys import Keys
    from persistence.live.scripts import Script
    from persistence.live.session_ref import SessionRef

Command = tuple[bytes, bytes]
"""A call of one script but for the player: what stands before the player's `head`, and what after it."""

FLOOR_KEPT_MS: Final = 600_000
"""How long a version waits for a session that is not in Redis: the connections that were sent it ask soon."""

_BULK_HEADS: Final = tuple(f"${size}\r\n" for size in range(64 * 4 + 1))
"""Heads of bulk strings up to the longest `client`, 64 characters of four bytes. Looking one up takes a third
less time than formatting it."""

_SHARED_ARGS: Final = 5
_CLICKS_SHARED_ARGS: Final = 5
_CLICK_ARGS: Final = 5
_PLAIN_CLICK_ARGS: Final = 1
_REFRESH_ARGS: Final = 7


@dataclass(frozen=True, slots=True)
class PlayLimits:
    """What the game allows a player: clicks a second (0: any number), clicks at once, seconds of income."""

    click_rate: float
    click_burst: int
    offline_cap_s: int


def bulk(*words: bytes | str | float) -> bytes:
    """Pack words as RESP bulk strings, without the array's head."""
    parts = []
    for word in words:
        text = word if isinstance(word, bytes) else (word if isinstance(word, str) else repr(word)).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(parts)


class SessionCommands:
    """Packs commands on sessions, with what is the same for everybody packed once.

    `client` and `seq` tag a command so that it is applied once; without a `seq` (0) neither is sent.
    """

    def __init__(
        self, scripts: Mapping[str, Script], keys: Keys, limits: PlayLimits, achievements: str
    ) -> None:
        self._scripts = scripts
        self._keys = keys
        self._cap = str(limits.offline_cap_s)
        self._rate = (repr(1e6 / limits.click_rate) if limits.click_rate else "0", str(limits.click_burst))
        self._prefixes: dict[tuple[str, int], bytes] = {}
        self._catalogue: Catalogue | None = None
        self._levels = ""
        self._refresh_tail = b""
        self.plain_clicks = {kind: self.click(kind, 1, "", 0) for kind in ("cook", "sell")}
        """One click without a tag, by kind."""
        self._one_click = bulk("1", *self._rate).decode()
        self.plain_words = bulk("1", "", "")
        """What one player of several asks for with one click without a tag, where others ask for more."""
        self.own_words = {heard: bulk(str(int(heard))) for heard in (False, True)}
        """Whether this process is subscribed to a player's channel, as it stands before that."""
        self._clicks_prefixes: dict[tuple[str, int, bool], bytes] = {}
        self._cap_word = bulk(self._cap).decode()
        self.accrue = self._command("passive", self._cap)
        """Income up to now."""
        self.achieve = self._command("achieve", achievements, self._cap)
        """The achievements that were reached."""

    def click(self, kind: str, count: int, client: str, seq: int) -> Command:
        """Pack `count` clicks of a kind, `cook` or `sell`."""
        if count == 1 and seq:
            number = str(seq)
            heads = _BULK_HEADS
            tag = f"{heads[len(client.encode())]}{client}\r\n{heads[len(number)]}{number}\r\n"
            tail = f"{self._one_click}{tag}{self._cap_word}"
            prefix, _ = self.plain_clicks[kind]
            return prefix, tail.encode()
        return self._command(kind, str(count), *self._rate, *_tag(client, seq), self._cap)

    def clicks_prefix(self, kind: str, players: int, *, plain: bool) -> bytes:
        """Pack the beginning of a call in which several players click: KEYS follow, two for each.

        `plain`: each of them clicks once without a tag, and this process is subscribed to all of their
        channels, which alone stand for them then.
        """
        script = self._scripts[f"{kind}s"]
        prefix = self._clicks_prefixes.get((kind, players, plain))
        if prefix is None:
            keys = script.keys * players
            arguments = _PLAIN_CLICK_ARGS if plain else _CLICK_ARGS
            words = 3 + keys + _CLICKS_SHARED_ARGS + arguments * players
            prefix = b"*%d\r\n%b" % (words, bulk("EVALSHA", script.sha, keys))
            self._clicks_prefixes[kind, players, plain] = prefix
        return prefix

    def clicks_shared(self, stamp: str, origin: bytes) -> bytes:
        """Pack what the players of such a call share; it stands behind the KEYS."""
        return bulk(stamp, origin, *self._rate, self._cap)

    def click_words(self, count: int, client: str, seq: int) -> bytes:
        """Pack what one player of such a call asks for; it stands behind channel and `own`."""
        number = str(seq)
        heads = _BULK_HEADS
        if count == 1:
            words = f"$1\r\n1\r\n{heads[len(client.encode())]}{client}\r\n{heads[len(number)]}{number}\r\n"
            return words.encode()
        return bulk(count, *_tag(client, seq))

    def buy(self, upgrade: Upgrade, count: int, client: str, seq: int) -> Command:
        """Pack `count` purchases of an upgrade at the figures of its catalogue."""
        return self._command(
            "upgrade_buy",
            self._cap,
            *_tag(client, seq),
            str(upgrade.id),
            str(count),
            repr(upgrade.price),
            repr(upgrade.price_factor),
            str(upgrade.access_level),
            "1" if upgrade.upgrade_type is UpgradeType.DISH else "0",
            upgrade.boost.boost_type,
            str(upgrade.boost.value_hundredths),
        )

    def level_up(self, catalogue: Catalogue, client: str, seq: int) -> Command:
        """Pack a rise by one rank under a catalogue."""
        self._take(catalogue)
        return self._command("level_up", self._cap, *_tag(client, seq), self._levels)

    def session_reset(self, client: str, seq: int) -> Command:
        """Pack the trade of everything for prestige."""
        return self._command("session_reset", self._cap, *_tag(client, seq))

    def session(self, client: str) -> Command:
        """Pack the request for the whole session, and for the highest seq of a client (empty: of none)."""
        return self._command("session", self._cap, client)

    def golden_guest(self, serve: int) -> Command:
        """Pack the question for the next golden guest, with one to `serve` first (0: nobody)."""
        return self._command("golden_guest", self._cap, GUESTS, str(serve))

    def adjust(self, change: Adjustment, number: int, catalogue: Catalogue) -> Command:
        """Pack an operator's change of this number under a catalogue."""
        self._take(catalogue)
        return self._command(
            "adjust",
            self._cap,
            OPERATORS,
            str(number),
            change.what,
            repr(change.by),
            packed_boosts(catalogue),
            self._levels,
        )

    def replace(self, progress: Progress, number: int, catalogue: Catalogue) -> Command:
        """Pack an operator's import of this number under a catalogue."""
        self._take(catalogue)
        boosts = packed_boosts(catalogue)
        own = (self._cap, OPERATORS, str(number), progress_text(progress), boosts, self._levels)
        return self._command("replace", *own)

    # Commands whose arguments differ.

    def refresh(self, ref: SessionRef, stamp: str, catalogue: Catalogue, *, apart: bool = False) -> bytes:
        """Pack the call that derives a session's boosts again, under a new stamp.

        `apart`: with the session's key alone, as the marks may be on another node.
        """
        self._take(catalogue)
        user_id = ref.user_id
        session, marks = self._keys_of(user_id)
        keys = session, session if apart else marks
        head = bulk(*keys, stamp, user_id, self._cap, ref.channel)
        return b"".join((self._prefix("refresh", _REFRESH_ARGS), head, self._refresh_tail))

    def note(self, user_id: UserId) -> bytes:
        """Pack the call that marks a player whose session may be on another node."""
        return pack("EVALSHA", self._scripts["note"].sha, 1, self._keys.dirty(bucket_of(user_id)), user_id)

    def raise_above(self, user_id: UserId, version: int) -> bytes:
        """Pack the call that keeps a session from taking a version again that was sent."""
        sha = self._scripts["raise_above"].sha
        return pack("EVALSHA", sha, 1, self._keys.session(user_id), version, FLOOR_KEPT_MS)

    def release(self, ref: SessionRef, stamp: str, ttl_s: int) -> bytes:
        """Pack the call that lets a clean session expire `ttl_s` from now, paid where nobody is connected."""
        sha, keys = self._scripts["release"].sha, self._keys_of(ref.user_id)
        return pack("EVALSHA", sha, 2, *keys, stamp, ref.user_id, ref.channel, self._cap, ttl_s)

    def snapshot(self, user_id: UserId) -> bytes:
        """Pack the command that reads a snapshot; `snapshot_of` takes its reply."""
        return pack("HMGET", self._keys.session(user_id), *SNAPSHOT_FIELDS)

    def course(self, user_id: UserId) -> bytes:
        """Pack the command that reads a course; `course_of` takes its reply."""
        return pack("HMGET", self._keys.session(user_id), *COURSE_FIELDS)

    def _keys_of(self, user_id: UserId) -> tuple[str, str]:
        """Name the KEYS that most scripts take."""
        return self._keys.session(user_id), self._keys.dirty(bucket_of(user_id))

    def _take(self, catalogue: Catalogue) -> None:
        """Pack a catalogue's own arguments once, as long as it is in force."""
        if self._catalogue is not catalogue:
            self._catalogue = catalogue
            self._levels = packed_levels(catalogue)
            self._refresh_tail = bulk(packed_boosts(catalogue), self._levels, packed_changes(catalogue))

    def _command(self, script: str, *args: bytes | str | float) -> Command:
        return self._prefix(script, _SHARED_ARGS + len(args)), bulk(*args)

    def _prefix(self, script: str, args: int) -> bytes:
        prefix = self._prefixes.get((script, args))
        if prefix is None:
            sha = self._scripts[script].sha.encode()
            prefix = b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n$1\r\n2\r\n" % (5 + args, sha)
            self._prefixes[script, args] = prefix
        return prefix


def _tag(client: str, seq: int) -> tuple[str, str]:
    return (client, str(seq)) if seq else ("", "")
