"""Whole amounts in doubles: exact below 2^53, the nearest double beyond, at most 1e300.

Twin of `saturated`, `product`, `ceiling` and `half_up` in `persistence/live/lua/lib`: the same operations in
the same order, so that both give the same double for every input, also where it is no longer exact.
"""

from __future__ import annotations

import math
from typing import Final

LIMIT: Final = 1e300
"""Where amounts saturate."""
EXACT: Final = 9007199254740992.0
"""2^53: whole doubles below it are exact."""


def floor(number: float) -> float:
    """Round down to a whole double. Infinity stays what it is."""
    return number if math.isinf(number) else float(math.floor(number))


def saturated(amount: float) -> float:
    """Cut an amount to LIMIT."""
    return min(amount, LIMIT)


def _times(divisor: float, q: float, r: float, factor: float) -> tuple[float, float]:
    """Bring one more factor onto q * divisor + r. Once q fills a double, r is below its last digit."""
    if q >= EXACT:
        return saturated(q * factor), 0.0
    low = r * factor
    carry = floor(low / divisor)
    return saturated(q * factor + carry), low - carry * divisor


def product(divisor: float, a: float, b: float = 1.0, c: float = 1.0, d: float = 1.0) -> tuple[float, float]:
    """Return the product of whole factors as `q, r`: it is q * divisor + r.

    Exact while q stays below 2^53, even where the product itself does not, for whole divisors up to 1e5: with
    the largest factor first, a second one of 9e10 or more takes q past 2^53, so r * factor is exact wherever
    q is. Beyond, within 1e-12 of the true quotient.
    """
    whole = a * b * c * d
    if whole < EXACT:
        q = floor(whole / divisor)
        return q, whole - q * divisor
    if b > a:
        a, b = b, a
    if c > a:
        a, c = c, a
    if d > a:
        a, d = d, a
    q = floor(a / divisor)
    r = a - q * divisor
    q, r = _times(divisor, q, r, b)
    q, r = _times(divisor, q, r, c)
    return _times(divisor, q, r, d)


def ceiling(divisor: float, a: float, b: float, c: float = 1.0, d: float = 1.0) -> float:
    """Return the product of whole factors over a divisor, rounded up."""
    q, r = product(divisor, a, b, c, d)
    return q + 1 if r > 0 else q


def half_up(divisor: float, a: float, b: float = 1.0) -> float:
    """Return the product of whole factors over a divisor, rounded half up."""
    q, r = product(divisor, a, b)
    return q + 1 if 2 * r >= divisor else q
