"""Achievements as data: each is reached when one lifetime counter of the session gets to its threshold.

They are looked for beside clicks, announced once, and kept in the session's `achieved`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from game.accrual import CAP_S
from game.outcomes import Achieved

if TYPE_CHECKING:
    from collections.abc import Iterable

    from game.live_session import LiveSession
    from game.session import Session

STARS_SCALE: Final = 10_000


class Counter(StrEnum):
    """What an achievement counts: fields of the session, in their own units."""

    CLICKS = "clicks"
    COOKED = "cooked"
    EARNED = "earned"
    PURCHASES = "purchases"
    RESETS = "resets"
    RANK = "rank"
    STARS = "stars"


@dataclass(frozen=True, slots=True)
class Achievement:
    """One achievement. `threshold` is in the counter's unit: stars in ten-thousandths, the rest plain."""

    id: int
    key: str
    counter: Counter
    threshold: float
    title_ru: str
    title_en: str
    text_ru: str
    text_en: str

    def reached_by(self, session: Session) -> bool:
        """Whether a session's counter has got to the threshold."""
        reached: float = getattr(session, self.counter)
        return reached >= self.threshold

    def as_json(self, *, done: bool) -> dict[str, Any]:
        """Return what clients are shown, in both languages; `threshold` in the units that clients see."""
        scale = STARS_SCALE if self.counter is Counter.STARS else 1
        return {
            "id": self.id,
            "key": self.key,
            "title": {"ru": self.title_ru, "en": self.title_en},
            "text": {"ru": self.text_ru, "en": self.text_en},
            "counter": self.counter.value,
            "threshold": int(self.threshold) // scale,
            "done": done,
        }


def packed_achievements(achievements: Iterable[Achievement]) -> str:
    """Pack what `achieve.lua` takes: `id:counter:threshold,…`."""
    return ",".join(f"{one.id}:{one.counter.value}:{one.threshold:.17g}" for one in achievements)


_ROWS: Final = (
    (1, "first_dish", Counter.COOKED, 1, "Первое блюдо", "First dish", "Приготовьте блюдо", "Cook a dish"),
    (
        2,
        "line_cook",
        Counter.COOKED,
        1e3,
        "Повар",
        "Line cook",
        "Приготовьте 1 000 блюд",
        "Cook 1,000 dishes",
    ),
    (
        3,
        "banquet",
        Counter.COOKED,
        1e5,
        "Банкет",
        "Banquet",
        "Приготовьте 100 000 блюд",
        "Cook 100,000 dishes",
    ),
    (
        4,
        "food_city",
        Counter.COOKED,
        1e8,
        "Город еды",
        "Food city",
        "Приготовьте 100 млн блюд",
        "Cook 100 million dishes",
    ),
    (5, "warm_up", Counter.CLICKS, 100, "Разминка", "Warm-up", "Сделайте 100 кликов", "Make 100 clicks"),
    (
        6,
        "quick_hands",
        Counter.CLICKS,
        1e3,
        "Быстрые руки",
        "Quick hands",
        "Сделайте 1 000 кликов",
        "Make 1,000 clicks",
    ),
    (
        7,
        "tireless",
        Counter.CLICKS,
        1e4,
        "Без устали",
        "Tireless",
        "Сделайте 10 000 кликов",
        "Make 10,000 clicks",
    ),
    (
        8,
        "hundred_thousand",
        Counter.CLICKS,
        1e5,
        "Сто тысяч",
        "A hundred thousand",
        "Сделайте 100 000 кликов",
        "Make 100,000 clicks",
    ),
    (
        9,
        "click_legend",
        Counter.CLICKS,
        1e6,
        "Легенда клика",
        "Click legend",
        "Сделайте миллион кликов",
        "Make a million clicks",
    ),
    (10, "first_coin", Counter.EARNED, 1, "Первая монета", "First coin", "Заработайте деньги", "Earn money"),
    (
        11,
        "small_change",
        Counter.EARNED,
        1e4,
        "На мелкие расходы",  # noqa: RUF001 - Russian
        "Small change",
        "Заработайте 10 000",
        "Earn 10,000",
    ),
    (
        12,
        "millionaire",
        Counter.EARNED,
        1e6,
        "Миллионер",
        "Millionaire",
        "Заработайте миллион",
        "Earn a million",
    ),
    (
        13,
        "billionaire",
        Counter.EARNED,
        1e9,
        "Миллиардер",
        "Billionaire",
        "Заработайте миллиард",
        "Earn a billion",
    ),
    (
        14,
        "trillionaire",
        Counter.EARNED,
        1e12,
        "Триллионер",
        "Trillionaire",
        "Заработайте триллион",
        "Earn a trillion",
    ),
    (
        15,
        "first_purchase",
        Counter.PURCHASES,
        1,
        "Открытие",
        "Grand opening",
        "Купите улучшение",
        "Buy an upgrade",
    ),
    (
        16,
        "investor",
        Counter.PURCHASES,
        50,
        "Инвестор",
        "Investor",
        "Сделайте 50 покупок",
        "Make 50 purchases",
    ),
    (
        17,
        "magnate",
        Counter.PURCHASES,
        500,
        "Магнат",
        "Magnate",
        "Сделайте 500 покупок",
        "Make 500 purchases",
    ),
    (18, "trainee", Counter.RANK, 1, "Стажёр", "Trainee", "Получите 1-й уровень", "Reach level 1"),
    (19, "sous_chef", Counter.RANK, 10, "Сушеф", "Sous-chef", "Получите 10-й уровень", "Reach level 10"),
    (20, "head_chef", Counter.RANK, 40, "Шеф-повар", "Head chef", "Получите 40-й уровень", "Reach level 40"),
    (21, "maestro", Counter.RANK, 100, "Маэстро", "Maestro", "Получите 100-й уровень", "Reach level 100"),
    (
        22,
        "first_prestige",
        Counter.RESETS,
        1,
        "С чистого листа",  # noqa: RUF001 - Russian
        "Clean slate",
        "Обменяйте всё на престиж",
        "Trade everything for prestige",
    ),
    (
        23,
        "phoenix",
        Counter.RESETS,
        10,
        "Феникс",
        "Phoenix",
        "Обменяйте всё на престиж 10 раз",
        "Trade everything for prestige 10 times",
    ),
    (
        24,
        "michelin",
        Counter.STARS,
        100 * STARS_SCALE,
        "Сто звёзд",
        "A hundred stars",
        "Накопите 100 звёзд",
        "Gather 100 stars",
    ),
)

ACHIEVEMENTS: Final = tuple(Achievement(*row) for row in _ROWS)
"""All of them, by ascending id. An id is never given to another achievement: sessions hold it."""


def achieve(
    live: LiveSession, achievements: Iterable[Achievement], now_us: int, cap_s: int = CAP_S
) -> Achieved:
    """Record the achievements newly reached, income paid first; without any nothing changes."""
    state = live.session
    now_ms = now_us // 1000
    version, accrued = live.next_version(now_ms), live.accrue(now_ms, cap_s)
    paid = replace(state)
    accrued.write(paid)
    newly = sorted(one.id for one in achievements if one.id not in state.achieved and one.reached_by(paid))
    if newly:
        accrued.apply(state)
        state.achieved = tuple(sorted((*state.achieved, *newly)))
        live.change(version, now_ms)
    return Achieved(state.version, tuple(newly))
