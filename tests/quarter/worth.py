"""What the unspent coins of one purchase are worth, and how that moved: worked out from the diary, with fractions. It
shares no code with Tillbook."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from math import floor
from typing import NamedTuple

from tests.quarter.calendar import Calendar
from tests.quarter.diary import Sale

HALF = Fraction(1, 2)


def half_up(value: Fraction) -> int:
    return floor(value + HALF)


class Step(NamedTuple):
    """One movement of the liability. Sums are effects on it."""

    counts_at: datetime
    what: str
    coins: int
    minor: int


class _Happened(NamedTuple):
    booked_at: datetime
    place: int
    what: str
    amount: int
    at: datetime


def steps_of(sale: Sale, calendar: Calendar) -> Iterator[Step]:
    """In the order in which they were booked."""
    left, bonus, back, taken, value, breakage = sale.pack.coins, sale.pack.bonus, 0, 0, 0, 0
    for happened in _happened(sale, calendar):
        counts_at = calendar.counts_at(happened.at, happened.booked_at)
        before, coins, recognised = left, 0, sale.price - back - value
        if happened.what == "sold":
            value = sale.price
            yield Step(counts_at, "sold", left, value)
            continue
        if happened.what == "used":
            from_bonus = min(bonus, happened.amount)
            bonus -= from_bonus
            left -= happened.amount - from_bonus
        elif happened.what == "expired":
            left = 0
        else:
            back += happened.amount
            wanted = half_up(Fraction(sale.pack.coins * back, sale.price))
            left, taken = max(0, left - (wanted - taken)), wanted
            yield Step(counts_at, "refunded", left - before, -happened.amount)
        coins = left - before
        value = worth(sale, left, back)
        more = sale.price - back - value - recognised
        if happened.what != "refunded":
            breakage += more if happened.what == "expired" else 0
            yield Step(counts_at, happened.what, coins, -more)
            continue
        of_breakage = max(more, -breakage) if more < 0 else 0
        breakage += of_breakage
        yield Step(counts_at, "breakage_back", 0, -of_breakage)
        yield Step(counts_at, "taken_back", 0, of_breakage - more)


def _happened(sale: Sale, calendar: Calendar) -> list[_Happened]:
    known_at = sale.told_at or sale.paid_at
    happened = [_Happened(known_at, 0, "sold", 0, sale.paid_at)]
    happened += [_Happened(at, 2, "used", coins, at) for at, coins in sale.uses]
    happened += [_Happened(one.told_at or one.at, 3, "refunded", one.fen, one.at) for one in sale.back]
    if sale.pack.days:
        over = sale.paid_at + timedelta(days=sale.pack.days)
        happened.append(_Happened(over, 1, "expired", 0, over))
    return sorted(one for one in happened if one.booked_at <= calendar.now)


def worth(sale: Sale, left: int, back: int) -> int:
    price, coins = sale.price, sale.pack.coins
    if back == 0:
        return half_up(Fraction(price * left, coins))
    there = coins - half_up(Fraction(coins * back, price))
    return floor(Fraction((price - back) * min(left, there), there)) if there else 0


def left_of(sale: Sale, calendar: Calendar) -> tuple[int, int]:
    """How many of its paid coins are unspent, and what they are worth."""
    steps = list(steps_of(sale, calendar))
    return sum(step.coins for step in steps), sum(step.minor for step in steps)
