"""The price of a plan without coins is earned by day, whatever is refunded, and nothing of it is lost."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.domain.plan_revenue import PlanPool, ends_of_plan_days
from app.domain.recognition import ChangeCause, Movement, PooledPurchase, PurchaseChange

CHINA = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
DAY = date(2026, 1, 2)


def earned(days: int, price: int, *, refunds: dict[int, int] | None = None) -> list[int]:
    """What each day earns, where so much goes back before it does."""
    purchase = PooledPurchase({"": PlanPool("")})
    changes = [PurchaseChange(START, DAY, ChangeCause.SALE, "", days, days, price)]
    for number in range(days):
        back = (refunds or {}).get(number, 0)
        if back:
            changes.append(PurchaseChange(START, DAY, ChangeCause.REFUND, refunded_minor=back))
        changes.append(PurchaseChange(START, DAY, ChangeCause.USE, "", -1))
    found = list[int]()
    for change in changes:
        moved = list(purchase.follow([change]))
        if change.cause is ChangeCause.USE:
            found.append(-sum(each.value_minor for each in moved if each.movement is Movement.USED))
        if change.cause is ChangeCause.REFUND:
            found.append(-sum(each.value_minor for each in moved if each.movement is Movement.TAKEN_BACK))
    assert purchase.value_minor == 0
    return found


def test_each_day_earns_alike_and_the_last_one_the_rest() -> None:
    assert earned(31, 900) == [29] * 30 + [30]
    assert earned(3, 2) == [0, 0, 2]
    assert earned(1, 1500) == [1500]


def test_a_refund_takes_what_is_not_earned_and_then_what_was() -> None:
    # 10 of 30 days are earned at 30 each: 600 of 900 are not.
    assert earned(30, 900, refunds={10: 200}) == [30] * 10 + [0] + [20] * 20
    assert earned(30, 900, refunds={10: 600}) == [30] * 10 + [0] + [0] * 20
    assert earned(30, 900, refunds={10: 900}) == [30] * 10 + [-300] + [0] * 20
    # Undone: first the revenue that was taken back, then what is still to be earned.
    assert earned(30, 900, refunds={10: 900, 20: -900}) == [30] * 10 + [-300] + [0] * 10 + [300] + [60] * 10


def test_all_that_is_kept_is_earned_whatever_goes_back_when() -> None:
    chance = random.Random(7)
    for _ in range(300):
        days, price = chance.randint(1, 40), chance.randint(1, 5000)
        refunds = dict[int, int]()
        left = price
        for number in sorted(chance.sample(range(days), min(days, 4))):
            refunds[number] = chance.randint(-(price - left), left) or 1
            left -= refunds[number]
            if not 0 <= left <= price:
                left += refunds.pop(number)
        assert sum(earned(days, price, refunds=refunds)) == left


def test_days_are_those_of_the_books_zone() -> None:
    until = datetime(2026, 2, 2, 3, 4, tzinfo=UTC)
    ends = list(ends_of_plan_days(START, until, CHINA))
    assert (len(ends), ends[0].astimezone(CHINA).date(), ends[-1].astimezone(CHINA).date()) == (
        31,
        date(2026, 1, 2),
        date(2026, 2, 1),
    )
    evening = datetime(2026, 1, 2, 17, tzinfo=UTC)  # the third of January in China
    assert next(ends_of_plan_days(evening, until, CHINA)).astimezone(CHINA).date() == date(2026, 1, 3)
    assert len(list(ends_of_plan_days(START, START + timedelta(hours=1), UTC))) == 1
