"""The names in Redis: no two games share one, and a cluster keeps a player's together."""

from __future__ import annotations

import itertools
import re
from fnmatch import fnmatchcase

from game.session import UserId
from persistence.live.keys import BUCKETS, Bucket, Keys

USER = UserId(BUCKETS + 7)
PREFIXES = ("", "a:", "b:", "a", "session:", "user:", "user:3:", "3:")


def names_of(keys: Keys) -> list[str]:
    """List a game's names of keys for one player."""
    return [
        keys.session(USER),
        keys.dirty(Bucket(7)),
        keys.load(USER),
        keys.revoked(USER, "f"),
        keys.lease(7),
        keys.throttle(Bucket(7), "ab:cd"),
    ]


def test_no_two_games_share_a_key_or_a_channel() -> None:
    """Whatever the prefixes, in one database or in two."""
    games = [Keys(prefix, database) for prefix in PREFIXES for database in (0, 3, 33)]
    for one, other in itertools.combinations(games, 2):
        assert one.channel(USER) != other.channel(USER)
        if one.prefix != other.prefix:
            assert not {*names_of(one), one.flushers} & {*names_of(other), other.flushers}


def test_a_scan_finds_the_sessions_of_its_own_game_alone() -> None:
    """The pattern takes no other game's keys, not even one's whose prefix begins with this one."""
    for one, other in itertools.product(map(Keys, PREFIXES), repeat=2):
        assert fnmatchcase(other.session(USER), one.sessions_pattern) == (one == other)


def test_a_prefix_leaves_a_player_in_the_slot() -> None:
    """A cluster hashes what stands in the first braces: the bucket, whatever stands before them."""
    for keys in (Keys("game1:"), Keys("game1:", 5)):
        for name in (*names_of(keys), keys.channel(USER)):
            assert re.findall(r"\{(.*?)\}", name) == ["7"]
