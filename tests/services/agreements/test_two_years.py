"""Two simulated years of some users with a provider that refuses, keeps silent and answers late; messages are lost.

A model that knows nothing of our code (it reads only what the provider charged) says each day what must be active.
"""

from __future__ import annotations

import calendar
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.domain.facts import Kind, Refusal
from app.domain.status import PaymentStatus
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.debit_provider import Trade
from tests.support.world import World

DAYS = 731
ZONES = ("Asia/Shanghai", "Europe/Berlin")
SIGNED_ON = (date(2026, 1, 31), date(2026, 3, 29))
GRACE = timedelta(days=1)

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def month_later(anchor: datetime, months: int, zone: str) -> datetime:
    """By the clock on the user's wall: the same day and time, or the last day that the month has."""
    local = anchor.astimezone(ZoneInfo(zone))
    month = local.month - 1 + months
    year, month = local.year + month // 12, month % 12 + 1
    day = min(local.day, calendar.monthrange(year, month)[1])
    return datetime(year, month, day, local.hour, local.minute, local.second, tzinfo=ZoneInfo(zone)).astimezone(UTC)


class Model:
    """What must hold for one user, from the provider's books alone: the n-th paid trade pays the n-th month."""

    def __init__(self, anchor: datetime, zone: str) -> None:
        self.anchor, self.zone = anchor, zone

    def until(self, trades: list[Trade], *, is_over: bool) -> datetime:
        paid = sum(trade.status is Kind.PAID for trade in trades)
        end = month_later(self.anchor, paid, self.zone)
        return end if is_over else end + GRACE


def test_each_period_is_paid_once_and_what_is_active_is_what_a_model_says(house: AgreementHouse) -> None:
    chance, clock = random.Random(20260101), house.world.clock
    numbers, models = dict[str, int](), dict[str, Model]()
    seen, waiting = set[str](), set[str]()
    for day in range(DAYS):
        now = datetime(2026, 1, 2, 22, tzinfo=UTC) + timedelta(days=day)
        clock.advance((now - clock.now()).total_seconds())
        for n, signed_on in enumerate(SIGNED_ON):
            if now.date() == signed_on:
                user = f"user-{n}"
                numbers[user] = house.signed(user, zone=ZONES[n])
                models[user] = Model(now, ZONES[n])
        house.debit.script.clear()
        if chance.random() < 0.5:
            house.debit.script.append(chance.choice(("no_money", "lost", "dark", "pending", "over_limit")))
        if day % 31 > 2 and chance.random() < 0.6:
            continue  # no worker ran today
        house.work()
        clock.advance(1800)  # the first queries about what was begun today are due
        waiting |= house.debit.trades.keys() - seen
        seen |= waiting
        _decide_what_waits(house, chance, waiting)
        if day % 9 == 0:
            _compare(house, numbers, models)
    _compare(house, numbers, models)
    paid = [trade for trade in house.debit.trades.values() if trade.status is Kind.PAID]
    for user, number in numbers.items():
        own = sum(trade.agreement == str(number) for trade in paid)
        assert house.world.coins(user) == 100 * own
        assert own > 10
    house.world.assert_balanced()


def _decide_what_waits(house: AgreementHouse, chance: random.Random, waiting: set[str]) -> None:
    """What is pending at the provider is decided, and the message of it is sometimes lost: the query tells it then."""
    for number, trade in house.debit.trades.items():
        if trade.status is Kind.PENDING:
            to = chance.choice((Kind.PAID, Kind.PAID, Kind.FAILED))
            fact = house.debit.decide(number, to, Refusal.NO_MONEY if to is Kind.FAILED else None)
            if chance.random() < 0.5:
                house.tell(fact)
    for number in sorted(waiting):
        house.settle_payments(int(number))
        if house.world.payment(int(number)).status not in (PaymentStatus.PENDING, PaymentStatus.UNKNOWN):
            waiting.remove(number)


def _compare(house: AgreementHouse, numbers: dict[str, int], models: dict[str, Model]) -> None:
    for user, number in numbers.items():
        row = house.row(number)
        trades = [trade for trade in house.debit.trades.values() if trade.agreement == str(number)]
        periods = Counter(period.number for period in house.periods(number) if period.status == "paid")
        assert set(periods.values()) <= {1}
        assert sum(periods.values()) == sum(trade.status is Kind.PAID for trade in trades)
        until = models[user].until(trades, is_over=row.status == "ended" or row.cancel_at is not None)
        active = house.active(user)
        if until <= house.world.clock.now():
            assert active == {}, user
        elif trades and any(trade.status is Kind.PAID for trade in trades):
            assert active == {"vip": until}, user
