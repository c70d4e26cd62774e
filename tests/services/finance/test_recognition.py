"""Unspent coins are worth their money, day by day and to the last minor unit, whatever happened to them.

The test keeps its own account: at the end of each day it reads by plain SQL how many coins of each purchase are left
anywhere, and works out with fractions what they are worth. Recognition comes later, and has to find the same days.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from fractions import Fraction
from math import floor

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.domain.numbers import slot_of_user
from app.domain.spending import Spend
from app.providers.facts import Kind
from app.services import ledger
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.audit.recognition import audit_recognition
from app.services.finance import recognition
from app.services.ledger.reversals import Reverse, reverse
from tests.support.buyer import Buyer
from tests.support.friends import Friends, friends_in
from tests.support.world import CATALOGUE, World

PAID, COINS = 600, 60
MOST_ON_POSTGRES = 2
"""There each statement takes longer, and the rules are those of SQLite."""
_orders = itertools.count()
DAY = 86_400.0
LEFT = """\
/* sweep: audit */
SELECT payment, SUM(coins) FROM (
  SELECT l.payment AS payment, CASE WHEN a.open_lot = l.version THEN a.open_left ELSE l.remaining END AS coins
  FROM lots l JOIN accounts a ON a.slot = l.slot AND a.id = l.account_id WHERE NOT l.bonus AND l.payment <> ''
  UNION ALL
  SELECT p.payment, p.amount FROM gift_parts p JOIN gifts g ON g.slot = p.slot AND g.id = p.gift_id
  WHERE g.status = 'sent' AND NOT p.bonus
) AS found GROUP BY payment"""
BACK = """\
/* sweep: audit */
SELECT p.reference, SUM(CASE WHEN t.kind = 'refund' THEN t.amount ELSE -t.amount END)
FROM transfers t JOIN transfers p ON p.slot = t.slot AND p.id = t.cause_id
WHERE p.kind = 'payment' AND t.kind IN ('refund', 'refund_undone') GROUP BY p.reference"""
MOVED = """\
/* sweep: audit */
SELECT t.reference, SUM(CASE WHEN a.id = t.credit_id THEN t.amount ELSE -t.amount END) AS moved
FROM transfers t JOIN accounts a ON a.slot = t.slot AND a.id IN (t.debit_id, t.credit_id)
WHERE a.code = :code AND t.kind IN ('recognised', 'breakage', 'opening_value') GROUP BY t.reference"""


def worth(left: int, back: int) -> int:
    """What so many coins of a purchase of 60 for 600 are worth when `back` of its money went back."""
    if back == 0:
        return floor(Fraction(PAID * left, COINS) + Fraction(1, 2))
    there = COINS - floor(Fraction(COINS * back, PAID) + Fraction(1, 2))
    return floor(Fraction((PAID - back) * min(left, there), there)) if there else 0


@dataclass
class Again(Buyer):
    """One more purchase of a user who may have bought before."""

    def __post_init__(self) -> None:
        view = self.world.order(self.user, key=f"diary-{next(_orders)}")
        self.order_id, self.payment_id = view.order.id, view.payments[0].id
        self.slot = slot_of_user(self.user)
        self.theirs = self.world.at_provider(self.payment_id).id


@dataclass(repr=False)
class Diary:
    """A world, and what its unspent coins were worth at the end of each day."""

    friends: Friends
    buyers: list[Buyer] = field(default_factory=list)
    spends: list[tuple[str, object]] = field(default_factory=list)
    cash: dict[date, int] = field(default_factory=dict)
    value: dict[date, int] = field(default_factory=dict)
    coins: dict[date, int] = field(default_factory=dict)
    keys: itertools.count[int] = field(default_factory=itertools.count)
    examples: int = 0

    @property
    def world(self) -> World:
        return self.friends.world

    @property
    def today(self) -> date:
        return self.world.clock.now().astimezone(UTC).date()

    def buy(self, user: str) -> None:
        buyer = Again(self.world, user)
        buyer.pay()
        self.buyers.append(buyer)

    def spend(self, user: str, amount: int) -> None:
        wanted = Spend(user, "coin", amount, f"diary-{next(self.keys)}", environment="sandbox")
        core = self.world.core
        done = core.whole.transact(lambda tx: ledger.spend(tx, slot_of_user(user), wanted))
        if hasattr(done, "balance"):
            self.spends.append((user, done.id))

    def undo(self, number: int, amount: int) -> None:
        """Reverse a spend, or a part of it; a second time is refused, and harmless."""
        if not self.spends:
            return
        user, transfer = self.spends.pop(number % len(self.spends))
        wanted = Reverse(transfer, f"undo-{next(self.keys)}", "a test", "test", amount)  # type: ignore[arg-type]
        self.world.core.whole.transact(lambda tx: reverse(tx, slot_of_user(user), wanted))

    def give(self, giver: str, receiver: str, amount: int) -> None:
        if self.friends.balance(giver).balance >= amount:
            self.friends.give(giver, receiver, amount, key=f"diary-{next(self.keys)}")

    def send_only(self, giver: str, receiver: str, amount: int) -> None:
        """The gift stays under way until the worker finds it."""
        if self.friends.balance(giver).balance >= amount:
            self.friends.send_only(giver, receiver, amount)

    def refund(self, number: int, money: int) -> None:
        if self.buyers:
            buyer = self.buyers[-1 - number % len(self.buyers)]
            money = min(money, PAID - buyer.refunded)
            if money:
                told = buyer.fact(Kind.REFUNDED, 0, refund=f"r{next(self.keys)}", money=money)
                buyer.tell(replace(told, at=self.world.clock.now()))
                self.friends.work(0)

    def sleep(self, days: int) -> None:
        """The day ends: write down how it ended, and for how many days nothing else happens."""
        for _ in range(days):
            self._write_down()
            self.world.clock.advance(DAY)
            while self.world.expire_due():
                pass

    def _write_down(self) -> None:
        read = self.world.core.whole.read
        left = dict(read(lambda tx: [tuple(row) for row in tx.execute(text(LEFT))]))
        back = dict(read(lambda tx: [tuple(row) for row in tx.execute(text(BACK))]))
        paid = {str(buyer.payment_id) for buyer in self.buyers}
        self.value[self.today] = sum(worth(int(left.get(one, 0)), int(back.get(one, 0))) for one in paid)
        self.coins[self.today] = sum(int(left.get(one, 0)) for one in paid)
        self.cash[self.today] = len(paid) * PAID - sum(int(back.get(one, 0)) for one in paid)

    def recognise(self) -> None:
        while recognition.recognise_next(self.world.core):
            pass

    def moved(self, code: str) -> dict[date, int]:
        """What recognition booked to an account, by the day that it is about."""
        rows = self.world.core.whole.read(lambda tx: tx.execute(text(MOVED), {"code": code}).all())
        return {date.fromisoformat(row.reference): int(row.moved) for row in rows}

    def assert_tied(self) -> None:
        """On each day that is recognised the liability is what the unspent coins were worth at its end."""
        booked, liability = self.moved("sales"), 0
        checked = 0
        until = self.world.core.whole.read(recognition.progress)
        for day in sorted(self.value):
            if until is None or datetime(day.year, day.month, day.day, tzinfo=UTC) >= until.booked_until:
                break
            liability += booked.pop(day, 0)
            assert self.cash[day] + liability == self.value[day], day
            checked += 1
        assert checked
        assert not booked


@pytest.fixture
def diary(world: World) -> Diary:
    """Paid coins expire after 8 days, and bonus coins after 4."""
    expiring = CATALOGUE.replace("amount = 60\n", "amount = 60\nvalid_days = 8\n").replace(
        "valid_days = 30", "valid_days = 4"
    )
    import_products(world.core, parse_catalogue(expiring))
    return Diary(friends_in(world))


USERS = ("ann", "bob", "cem")
_user, _amount = st.sampled_from(USERS), st.integers(1, 70)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), _user),
        st.tuples(st.just("spend"), _user, _amount),
        st.tuples(st.just("spend"), _user, _amount),
        st.tuples(st.just("give"), _user, _user, _amount).filter(lambda step: step[1] != step[2]),
        st.tuples(st.just("send_only"), _user, _user, _amount).filter(lambda step: step[1] != step[2]),
        st.tuples(st.just("undo"), st.integers(0, 9), st.integers(1, 9)),
        st.tuples(st.just("refund"), st.integers(0, 9), st.sampled_from([1, 4, 5, 100, 299, 600])),
        st.tuples(st.just("sleep"), st.sampled_from([1, 1, 2, 5])),
    ),
    min_size=15,
    max_size=30,
)


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_the_liability_is_the_value_of_unspent_coins_on_every_day(
    diary: Diary, steps: list[tuple[object, ...]]
) -> None:
    diary.examples += 1
    on_postgres = diary.world.core.whole.read(lambda tx: tx.connection().dialect.name) == "postgresql"
    if on_postgres and diary.examples > MOST_ON_POSTGRES:
        return
    diary.buy("ann")
    for name, *arguments in steps:
        getattr(diary, str(name))(*arguments)
    diary.sleep(3)
    diary.recognise()
    diary.assert_tied()
    assert list(audit_recognition(diary.world.core.whole.sessions, UTC)) == []
