"""What a store says of a subscription beside its payments: early, again, of free time, of another user."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.domain import representations
from app.domain.facts import Ending, Kind
from app.domain.numbers import slot_of_user
from app.services.calls import agreement_queries
from tests.services.agreements.test_store_agreements import Subscriber
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.world import World

DAY = timedelta(days=1)
MONTH = timedelta(days=30)

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def test_what_is_said_after_an_early_renewal_counts_though_that_is_dated_later(house: AgreementHouse) -> None:
    """A store collects hours before a period begins, and dates the purchase at its beginning. In either order."""
    for user, is_paid_first in (("alice", True), ("bob", False)):
        one, now = Subscriber(house, user), house.world.clock.now()
        begins = now + DAY / 2
        one.tell(one.paid("1", begins - MONTH, begins))
        paid = one.paid("2", begins, begins + MONTH)
        off = one.fact(
            Kind.SIGNED, now + DAY / 24, "2", period_end=begins + MONTH, renews=False, occurrence=f"off-{user}"
        )
        for fact in (paid, off) if is_paid_first else (off, paid):
            house.world.clock.advance(1800)
            one.tell(fact)
        assert (one.rows[0].status, one.rows[0].renews) == ("active", False), user
        assert house.active(user) == {"vip": begins + MONTH}


def test_a_period_that_the_store_makes_longer_is_active_longer_unless_its_money_goes_back(
    house: AgreementHouse,
) -> None:
    one, now = Subscriber(house), house.world.clock.now()
    longer = now + MONTH + 15 * DAY
    one.tell(one.paid("1", now, now + MONTH))
    one.tell(one.fact(Kind.SIGNED, now + DAY, "1", period_end=longer, renews=True, occurrence="extended"))
    assert house.active() == {"vip": longer}
    house.at(now + MONTH + DAY)
    assert house.active() == {"vip": longer}
    one.tell(one.fact(Kind.REFUNDED, now + MONTH + DAY, "1", share=100_000))
    assert house.active() == {}
    one.tell(one.fact(Kind.REFUND_UNDONE, now + MONTH + 2 * DAY, "1"))
    assert house.active() == {"vip": longer}


def test_a_free_period_of_an_offer_is_active_also_for_who_has_paid_before(house: AgreementHouse) -> None:
    one, now = Subscriber(house), house.world.clock.now()
    one.tell(one.paid("1", now, now + MONTH))
    house.at(now + MONTH + DAY)
    one.tell(one.fact(Kind.ENDED, now + MONTH, "1", ending=Ending.TIME))
    assert house.active() == {}
    back = house.world.clock.now()
    one.tell(one.fact(Kind.SIGNED, back, "2", period_end=back + 7 * DAY, renews=True))
    assert (one.rows[0].status, house.active()) == ("active", {"vip": back + 7 * DAY})
    one.tell(one.paid("3", back + 7 * DAY, back + 7 * DAY + MONTH))
    assert house.active() == {"vip": back + 7 * DAY + MONTH}
    one.tell(one.fact(Kind.ENDED, back + DAY, "3", ending=Ending.PROVIDER))
    assert house.active() == {"vip": back + 7 * DAY + MONTH}, "an end of before the newest word"
    house.at(back + 8 * DAY)
    one.tell(one.fact(Kind.ENDED, back + 8 * DAY, "3", ending=Ending.PROVIDER, occurrence="revoked"))
    assert house.active() == {}


def test_an_answer_that_repeats_an_old_word_of_the_period_holds_where_it_is_the_newest(house: AgreementHouse) -> None:
    """The renewal was switched off and on again, and the word of that was lost."""
    one, now = Subscriber(house), house.world.clock.now()
    period = {"period_end": now + MONTH}
    one.tell(one.paid("1", now, now + MONTH), one.fact(Kind.SIGNED, now, "1", renews=True, **period))
    one.tell(one.fact(Kind.SIGNED, now + DAY, "1", renews=False, occurrence="off", **period))
    assert one.rows[0].renews is False
    asked_at = now + MONTH + 2 * DAY
    house.store.standings[one.original] = (one.fact(Kind.SIGNED, asked_at, "1", renews=True, **period),)
    house.at(asked_at)
    assert one.rows[0].renews is True
    house.store.standings[one.original] = (one.fact(Kind.SIGNED, asked_at - 3 * DAY, "1", renews=False, **period),)
    house.at(asked_at + 2 * DAY)
    assert one.rows[0].renews is True, "an older word changes nothing"


def test_a_subscription_that_another_user_takes_up_ends_for_the_one_who_had_it(house: AgreementHouse) -> None:
    """The word of its end was lost; the other user's period tells of that, too."""
    alice, bob = Subscriber(house), Subscriber(house, "bob")
    bob.original, now = alice.original, house.world.clock.now()
    alice.tell(alice.paid("1", now, now + MONTH))
    begins = now + MONTH + DAY / 48
    house.world.clock.advance((begins - now).total_seconds())
    bob.tell(bob.paid("2", begins, begins + MONTH))
    assert (house.active("alice"), house.active("bob")) == ({}, {"vip": begins + MONTH})
    assert (alice.rows[0].status, alice.rows[0].ended_by, bob.rows[0].status) == ("ended", "time", "active")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_what_is_taken_up_in_mid_period_is_active_for_one_user_at_a_time(
    house: AgreementHouse, order: tuple[int, ...]
) -> None:
    """The second user has another plan of the same account at the store at once; told in each order. Alice's renewal is
    told, too."""
    alice, bob = Subscriber(house), Subscriber(house, "bob")
    bob.original, now = alice.original, house.world.clock.now()
    half = now + MONTH / 2
    facts = [
        (alice, alice.paid("0", now - MONTH, now)),
        (alice, alice.paid("1", now, now + MONTH)),
        (bob, bob.paid("2", half, half + MONTH, product="basic.monthly", replaces="upgraded")),
    ]
    house.world.clock.advance((MONTH / 2).total_seconds() + 60)
    for n in order:
        facts[n][0].tell(facts[n][1])
    assert (house.active("alice"), house.active("bob")) == ({}, {"basic": half + MONTH})
    (row,) = alice.rows
    assert (row.status, row.ended_by, row.ended_at, row.paid_until) == ("ended", "time", half, half)
    assert sorted((each.starts_at, each.ends_at) for each in house.periods(row.id)) == [(now - MONTH, now), (now, half)]
    late = alice.fact(Kind.SIGNED, now + DAY, "1", period_end=now + MONTH, renews=False, occurrence="late")
    alice.tell(late, facts[1][1])
    assert house.active("alice") == {}, "an old word changes nothing"
    back = half + DAY
    house.at(back)
    alice.tell(alice.paid("3", back, back + MONTH, replaces="upgraded"))
    assert (house.active("alice"), house.active("bob")) == ({"vip": back + MONTH}, {}), "taken up by her again"
    assert (alice.rows[0].status, bob.rows[0].status) == ("active", "ended")
    house.world.assert_balanced()


def test_grace_ends_for_who_had_the_subscription_when_another_user_pays_it(house: AgreementHouse) -> None:
    alice, bob = Subscriber(house), Subscriber(house, "bob")
    bob.original, now = alice.original, house.world.clock.now()
    alice.tell(alice.paid("1", now - MONTH, now))
    alice.tell(alice.fact(Kind.PAST_DUE, now, "1", period_end=now + 16 * DAY, renews=True))
    assert house.active("alice") == {"vip": now + 16 * DAY}
    house.at(now + DAY)
    bob.tell(bob.paid("2", now + DAY, now + DAY + MONTH))
    assert (house.active("alice"), house.active("bob")) == ({}, {"vip": now + DAY + MONTH})


def test_a_cheaper_plan_that_the_payer_chose_in_the_store_is_shown_and_begins_with_the_next_period(
    house: AgreementHouse,
) -> None:
    one, now = Subscriber(house), house.world.clock.now()
    one.tell(one.paid("1", now, now + MONTH))
    words = [
        one.fact(
            Kind.SIGNED, now + day * DAY, "1", period_end=now + MONTH, renews=True, occurrence=f"{day}", next_product=of
        )
        for day, of in ((1, "basic.monthly"), (2, "vip.monthly"), (3, "nothing.we.sell"), (4, "basic.monthly"))
    ]
    shown = []
    for word in words:
        one.tell(word)
        shown.append(representations.agreement_data(one.rows[0])["next_product"])
    assert shown == ["store-basic", None, None, "store-basic"]
    one.tell(words[1])
    assert representations.agreement_data(one.rows[0])["next_product"] == "store-basic", "an older word, told again"
    house.at(now + MONTH)
    one.tell(one.paid("2", now + MONTH, now + 2 * MONTH, product="basic.monthly"))
    row = one.rows[0]
    assert (row.sku, row.next_plan, house.active()) == ("store-basic", None, {"basic": now + 2 * MONTH})
    assert house.events().count("agreement.plan_changed") == 1


def test_a_store_is_asked_about_an_agreement_that_somebody_looks_at_once_a_day(house: AgreementHouse) -> None:
    """The renewal was switched off, and the word of that was lost."""
    one, now = Subscriber(house), house.world.clock.now()
    one.tell(one.paid("1", now, now + MONTH))
    one.tell(one.fact(Kind.SIGNED, now, "1", period_end=now + MONTH, renews=True))

    def asked() -> int:
        calls = text("SELECT count(*) FROM provider_calls WHERE slot = :slot AND verb = 'query'")
        return int(house.core.of_user("alice").read(lambda tx: tx.scalar(calls, {"slot": slot_of_user("alice")})))

    assert not agreement_queries.ask_when_read(house.core, one.rows[0]), "nothing was lost within a day"
    house.later(days=3)
    house.store.standings[one.original] = (
        one.fact(Kind.SIGNED, now + 2 * DAY, "1", period_end=now + MONTH, renews=False, occurrence="off"),
    )
    assert (one.rows[0].renews, asked()) == (True, 0)
    reads = [agreement_queries.ask_when_read(house.core, one.rows[0]) for _ in range(3)]
    assert (reads, one.rows[0].renews, asked()) == ([True, False, False], False, 1)
    house.later(days=2)
    house.store.is_down = True
    reads = [agreement_queries.ask_when_read(house.core, one.rows[0]) for _ in range(3)]
    assert (reads, one.rows[0].status, asked()) == ([True, False, False], "active", 2)
    house.store.is_down = False
    house.later(hours=2)
    assert asked() == 3, "the worker asks again until there is an answer"
