"""Subscriptions that a store charges: one row each, whatever is told in whatever order."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain import representations
from app.domain.facts import Ending, Fact, Kind, PriceIncrease, Ref
from app.models.base import AnyRow
from app.services.accounts.users import ensure_user
from app.services.agreements import agreement_lists, agreement_requests
from app.services.agreements.agreement_lists import AgreementFilter
from app.services.agreements.signing_requests import KeptByTheStore
from app.services.base.idempotency import keyed
from app.services.payments import orders
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.world import World

FIRST, SECOND, THIRD, FOURTH = (datetime(2026, month, 2, tzinfo=UTC) for month in (1, 2, 3, 4))

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


class Subscriber:
    """A user of the app who subscribed in the store."""

    def __init__(self, house: AgreementHouse, user: str = "alice") -> None:
        self.house, self.user = house, user
        self.token = str(house.core.of_user(user).transact(lambda tx: ensure_user(tx, user)).token)
        self.original = f"original-{user}"

    def fact(self, kind: Kind, at: datetime, theirs: str | None = None, **told: Any) -> Fact:
        names = Ref(theirs=theirs and f"{self.user}-{theirs}", agreement=self.original)
        told = {"owner": self.token, "product": "vip.monthly", "account": "store-app", "live": False, **told}
        return Fact(kind, names, at, quantity=1, **told)

    def paid(self, theirs: str, at: datetime, end: datetime, **told: Any) -> Fact:
        return self.fact(Kind.PAID, at, theirs, period_end=end, **told)

    def tell(self, *facts: Fact) -> None:
        for fact in facts:
            self.house.tell(fact, "store")

    @property
    def rows(self) -> list[AnyRow]:
        return list(agreement_lists.list_agreements(self.house.core, AgreementFilter(self.user), None, 10).rows)


def test_the_first_fact_makes_the_agreement_and_each_period_extends_it(house: AgreementHouse) -> None:
    one = Subscriber(house)
    one.tell(one.paid("1", FIRST, SECOND))
    (row,) = one.rows
    assert (row.status, row.by_store, row.theirs, row.sku) == ("active", True, one.original, "store-vip")
    assert house.active() == {"vip": SECOND}
    one.tell(one.paid("2", SECOND, THIRD), one.paid("2", SECOND, THIRD))
    assert [(each.number, each.status) for each in house.periods(row.id)] == [(0, "paid"), (1, "paid")]
    assert house.active() == {"vip": THIRD}
    assert house.events() == ["agreement.signed", "agreement.renewed", "agreement.renewed"]
    house.world.assert_balanced()


def test_an_agreement_came_into_force_with_its_first_period_whichever_was_told_first(house: AgreementHouse) -> None:
    """After a gap, the first period behind that gap counts."""
    periods = (("1", FIRST, SECOND), ("2", SECOND, THIRD), ("3", THIRD, FOURTH))
    for n, order in enumerate(itertools.permutations(periods)):
        one = Subscriber(house, f"user-{n}")
        one.tell(*(one.paid(*period) for period in order))
        assert [row.signed_at for row in one.rows] == [FIRST], order
    late = Subscriber(house, "late")
    late.tell(late.paid("3", THIRD, FOURTH), late.paid("1", FIRST, SECOND))
    assert [row.signed_at for row in late.rows] == [THIRD]


def test_facts_in_any_order_come_to_one_state(house: AgreementHouse) -> None:
    """Two periods, a failure to collect, its recovery, and the end: told in each of many orders."""
    house.world.clock.advance(86_400 * 80)
    orders = list(itertools.permutations(range(5)))[::11]
    for n, order in enumerate(orders):
        one = Subscriber(house, f"user-{n}")
        facts = [
            one.paid("1", FIRST, SECOND),
            one.fact(Kind.PAST_DUE, SECOND, period_end=SECOND + timedelta(days=3), renews=True),
            one.paid("2", SECOND + timedelta(days=2), THIRD + timedelta(days=2)),
            one.fact(Kind.SIGNED, SECOND + timedelta(days=2), period_end=THIRD + timedelta(days=2), renews=True),
            one.fact(Kind.ENDED, THIRD + timedelta(days=2), ending=Ending.PAYER),
        ]
        one.tell(*(facts[at] for at in order))
        (row,) = one.rows
        assert (row.status, row.ended_by) == ("ended", "payer"), order
        spans = sorted((each.starts_at, each.ends_at) for each in house.periods(row.id))
        assert spans == [(FIRST, SECOND), (SECOND + timedelta(days=2), THIRD + timedelta(days=2))], order
        assert row.paid_until == THIRD + timedelta(days=2), order


def test_a_period_that_takes_the_place_of_a_running_one_ends_it_whichever_is_told_first(house: AgreementHouse) -> None:
    middle = FIRST + timedelta(days=10)
    for user, is_first_told_first in (("alice", True), ("bob", False)):
        one = Subscriber(house, user)
        facts = [one.paid("1", FIRST, SECOND), one.paid("2", middle, THIRD, replaces="r")]
        one.tell(*(facts if is_first_told_first else facts[::-1]))
        (row,) = one.rows
        assert sorted((each.starts_at, each.ends_at) for each in house.periods(row.id)) == [
            (FIRST, middle),
            (middle, THIRD),
        ]


def test_a_store_that_tries_to_collect_says_how_long_the_payer_may_go_on(house: AgreementHouse) -> None:
    one = Subscriber(house)
    one.tell(one.paid("1", FIRST, SECOND))
    house.world.clock.advance((SECOND - house.world.clock.now()).total_seconds() + 60)
    assert house.active() == {}
    one.tell(one.fact(Kind.PAST_DUE, SECOND, period_end=SECOND + timedelta(days=6), renews=True))
    assert one.rows[0].status == "past_due"
    assert house.active() == {"vip": SECOND + timedelta(days=6)}
    one.tell(one.fact(Kind.ENDED, SECOND + timedelta(days=1), ending=Ending.UNPAID))
    assert house.active() == {}
    house.world.clock.advance(86_400 * 3)
    one.tell(one.paid("2", SECOND + timedelta(days=2), THIRD))
    (row,) = one.rows
    assert (row.status, row.ended_by) == ("active", ""), "taken up again"
    assert house.active() == {"vip": THIRD}


def test_a_higher_price_is_shown_and_told_until_the_next_period_is_paid(house: AgreementHouse) -> None:
    one = Subscriber(house)
    one.tell(one.paid("1", FIRST, SECOND))
    raised: dict[str, Any] = {"period_end": SECOND, "renews": True}
    pending, accepted = PriceIncrease.PENDING, PriceIncrease.ACCEPTED
    for day, (price, occurrence) in enumerate(((pending, "a"), (pending, "b"), (accepted, "c")), 1):
        at = FIRST + timedelta(days=day)
        one.tell(one.fact(Kind.SIGNED, at, price_increase=price, occurrence=occurrence, **raised))
        assert one.rows[0].price_increase == price
    one.tell(one.fact(Kind.SIGNED, FIRST + timedelta(days=2), price_increase=pending, occurrence="late", **raised))
    assert one.rows[0].price_increase == "accepted", "the latest word counts"
    one.tell(one.paid("2", SECOND, THIRD))
    assert one.rows[0].price_increase is None
    told = ["agreement.price_increase"] * 2
    assert house.events() == ["agreement.signed", "agreement.renewed", *told, "agreement.renewed"]


def test_a_revoked_purchase_ends_what_it_made_active_by_its_refund(house: AgreementHouse) -> None:
    one = Subscriber(house)
    one.tell(one.paid("1", FIRST, SECOND))
    one.tell(one.fact(Kind.REFUNDED, FIRST + timedelta(days=1), "1", share=100_000))
    assert house.active() == {}
    one.tell(one.fact(Kind.REFUND_UNDONE, FIRST + timedelta(days=2), "1"))
    assert house.active() == {"vip": SECOND}


def test_a_subscription_of_which_the_store_says_nothing_more_ends_after_two_months(house: AgreementHouse) -> None:
    one = Subscriber(house)
    one.tell(one.paid("1", FIRST, SECOND))
    house.at(SECOND + timedelta(days=2))
    assert one.rows[0].status == "active", "the store may still tell of a renewal"
    house.at(SECOND + timedelta(days=62))
    assert (one.rows[0].status, one.rows[0].ended_by) == ("ended", "time")


def test_nobody_but_the_payer_changes_it_and_then_in_the_store(house: AgreementHouse) -> None:
    one = Subscriber(house)
    one.tell(one.paid("1", FIRST, SECOND))
    number = one.rows[0].id

    def request(user: str) -> Any:
        return keyed(f"user:{user}", "k", "cancel", {})

    with pytest.raises(KeptByTheStore):
        agreement_requests.request_end(house.core, number, "alice", request, "alice", at_once=True)
    with pytest.raises(KeptByTheStore):
        agreement_requests.change_plan(house.core, number, None, lambda user: keyed(user, "p", "plan", {}), "basic")


def test_a_word_about_a_subscription_of_nobody_waits_for_its_buyer(house: AgreementHouse) -> None:
    one = Subscriber(house)
    early = one.fact(Kind.ENDED, SECOND, ending=Ending.PAYER, owner=None)
    assert house.tell(early, "store").outcome == "parked"
    one.tell(one.paid("1", FIRST, SECOND), early)
    assert one.rows[0].status == "ended"


def test_a_word_about_the_agreement_that_names_its_newest_purchase_is_taken(house: AgreementHouse) -> None:
    """As Apple's plugin tells it: each word about a subscription names the period that it was said in."""
    one, grace = Subscriber(house), SECOND + timedelta(days=16)
    one.tell(one.paid("1", FIRST, SECOND))
    house.world.clock.advance(86_400 * 32)
    one.tell(one.fact(Kind.PAST_DUE, SECOND, "1", period_end=grace, renews=True))
    assert (one.rows[0].status, house.active()) == ("past_due", {"vip": grace})
    one.tell(one.fact(Kind.ENDED, SECOND + timedelta(days=20), "1", ending=Ending.UNPAID))
    assert (one.rows[0].status, one.rows[0].ended_by) == ("ended", "unpaid")
    assert [outcome for _, outcome, _ in house.world.outcomes()] == ["applied"] * 3


def test_the_event_of_a_paid_order_names_the_period_that_it_pays_as_the_order_itself_does(
    house: AgreementHouse,
) -> None:
    """Of each period of a store: the first, a renewal, one told before the one ahead of it, one that was told twice."""
    one = Subscriber(house)
    third = one.paid("3", THIRD, FOURTH)
    one.tell(one.paid("1", FIRST, SECOND), third, one.paid("2", SECOND, THIRD), third)
    (row,) = one.rows
    told = [event["order"] for event in house.told("order.paid")]
    assert [each["agreement"] for each in told] == [{"number": str(row.id), "period": number} for number in range(3)]
    for number, period in enumerate(house.periods(row.id)):
        view = orders.view_order(house.core, "alice", period.order_id)
        shown = representations.order_view_data(view)
        assert shown["agreement"] == told[number]["agreement"]
        assert told[number]["number"] == str(period.order_id)
