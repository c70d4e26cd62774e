"""Works out the quarter's figures from the diary alone, with fractions and by the contracts' words: the second opinion
about Tillbook's books. It shares no code with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from math import floor

from tests.quarter.diary import Diary, Sale

RATE = {"alipay": Fraction(6, 1000), "wechat": Fraction(6, 1000), "apple": Fraction(0)}
"""The fee for each payment, rounded half up to the fen."""
GIVES_FEES_BACK = ("wechat",)
HALF = Fraction(1, 2)


def half_up(value: Fraction) -> int:
    return floor(value + HALF)


@dataclass(slots=True)
class Figures:
    """Sums from the first day until a moment, in fen."""

    gross: dict[str, int]
    """By provider, without what is in suspense."""
    refunded: dict[str, int]
    fees: dict[str, int]
    """Net of what came back."""
    payouts: dict[str, int]
    others: dict[str, int]
    """Of other systems, less their fees."""
    suspense: int = 0
    liability: int = 0
    earned: int = 0
    breakage: int = 0


def recount(diary: Diary, until: datetime) -> Figures:
    """What the books have to come to just before that moment."""
    nothing = dict.fromkeys(RATE, 0)
    found = Figures({**nothing}, {**nothing}, {**nothing}, {**nothing}, {**nothing})
    for sale in diary.sales:
        _count_fees(found, sale, until)
        if _known_at(sale) < until:
            _count_value(found, sale, until)
    for provider, fen, at in diary.aliens:
        if at < until:
            found.others[provider] += fen - half_up(fen * RATE[provider])
    for provider, fen, at in diary.strays:
        if at < until:
            found.suspense += fen
            found.fees[provider] += half_up(fen * RATE[provider])
    for provider, fen, at in diary.payouts:
        if at < until:
            found.payouts[provider] += fen
    return found


def _known_at(sale: Sale) -> datetime:
    return sale.told_at or sale.paid_at


def _count_fees(found: Figures, sale: Sale, until: datetime) -> None:
    """The provider takes its fee whether we know of the purchase or not."""
    rate = RATE[sale.provider]
    if sale.fee_at < until:
        found.fees[sale.provider] += half_up(sale.pack.fen * rate)
    for at, fen in sale.back:
        if at < until and sale.provider in GIVES_FEES_BACK:
            found.fees[sale.provider] -= half_up(fen * rate)


def _count_value(found: Figures, sale: Sale, until: datetime) -> None:
    found.gross[sale.provider] += sale.pack.fen
    found.refunded[sale.provider] += sum(fen for at, fen in sale.back if at < until)
    value = earned = breakage = 0
    for name, now, back in _worths(sale, until):
        moved = sale.pack.fen - back - now - earned - breakage
        if name == "expiry":
            breakage += moved
        else:
            earned += moved
        value = now
    found.liability += value
    found.earned += earned
    found.breakage += breakage


def _worths(sale: Sale, until: datetime) -> Iterator[tuple[str, int, int]]:
    """After each thing that happened before that moment: what it was, what the unspent coins are worth, and how much of
    the money is back."""
    pack = sale.pack
    happened = [(at, 1, "use", coins) for at, coins in sale.uses] + [(at, 2, "back", fen) for at, fen in sale.back]
    if pack.days:
        happened.append((sale.paid_at + timedelta(days=pack.days), 0, "expiry", 0))
    left, bonus, back, taken = pack.coins, pack.bonus, 0, 0
    yield "sale", pack.fen, 0
    for at, _, name, amount in sorted(happened):
        if at >= until:
            return
        if name == "use":
            from_bonus = min(bonus, amount)
            bonus -= from_bonus
            left -= amount - from_bonus
        elif name == "expiry":
            left = 0
        else:
            back += amount
            wanted = half_up(Fraction(pack.coins * back, pack.fen))
            left, taken = max(0, left - (wanted - taken)), wanted
        yield name, _worth(sale, left, back), back


def _worth(sale: Sale, left: int, back: int) -> int:
    price, coins = sale.pack.fen, sale.pack.coins
    if back == 0:
        return half_up(Fraction(price * left, coins))
    there = coins - half_up(Fraction(coins * back, price))
    return floor(Fraction((price - back) * min(left, there), there)) if there else 0
