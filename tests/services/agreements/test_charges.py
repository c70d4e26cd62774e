"""Agreements that we charge: signed, charged once for each period, refused, tried again, and ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.facts import Fact, Kind, Ref, Refusal
from app.domain.money import Money
from app.domain.status import PaymentStatus
from app.services.lookup.search import things_named
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def test_a_signed_agreement_is_charged_at_the_hour_of_each_period_and_credits_its_coins(house: AgreementHouse) -> None:
    number = house.signed()
    assert house.row(number).status == "active"
    house.work()
    assert len(house.debit.trades) == 0, "signed at 3 in the morning: the hour of charges is 9"
    house.at(datetime(2026, 1, 2, 9, tzinfo=UTC))
    row = house.row(number)
    assert (row.status, row.next_period) == ("active", 1)
    assert row.paid_until == datetime(2026, 2, 2, 3, 4, 5, tzinfo=UTC)
    assert house.world.coins() == 100
    house.later(days=40)
    assert [trade.status for trade in house.debit.trades.values()] == [Kind.PAID] * 2
    assert house.world.coins() == 200
    assert house.events() == ["agreement.signed", "agreement.renewed", "agreement.renewed"]
    assert house.active() == {"vip": datetime(2026, 3, 3, 3, 4, 5, tzinfo=UTC)}
    house.world.assert_balanced()


def test_a_refused_charge_is_tried_again_with_a_new_number_and_recovers(house: AgreementHouse) -> None:
    house.debit.script.extend(["no_money", "no_money"])
    number = house.signed()
    house.later(days=1)
    row, (period,) = house.row(number), house.periods(number)
    assert (row.status, period.refusal, period.status) == ("past_due", "no_money", "due")
    assert house.active() == {}, "nothing was ever paid"
    house.later(days=1)
    house.later(days=1)
    assert [payment.status for payment in house.payments(number)] == ["failed", "failed", "paid"]
    assert house.row(number).status == "active"
    assert house.world.coins() == 100
    told = ["agreement.signed", "agreement.past_due", "agreement.past_due", "agreement.renewed"]
    assert house.events() == told
    house.world.assert_balanced()


def test_when_all_attempts_are_over_the_agreement_is_ended_at_the_provider_and_here(house: AgreementHouse) -> None:
    house.debit.script.extend(["no_money"] * 9)
    number = house.signed()
    for _ in range(12):
        house.later(days=1)
    row = house.row(number)
    assert (row.status, row.ended_by, row.next_work_at) == ("ended", "unpaid", None)
    assert len(house.payments(number)) == house.core.rules.charges.attempts
    assert house.debit.consents[str(number)].ended_at is not None
    assert house.events()[-1] == "agreement.ended"
    house.world.clock.advance(86_400 * 3)
    house.settle_payments()
    assert house.world.order_row(house.periods(number)[0].order_id).status == "expired"


def test_an_unknown_charge_is_repeated_with_its_number_and_never_doubled(house: AgreementHouse) -> None:
    house.debit.script.extend(["lost", "dark"])
    number = house.signed()
    house.at(datetime(2026, 1, 2, 9, tzinfo=UTC))
    (first,) = house.payments(number)
    assert first.status == PaymentStatus.UNKNOWN
    for _ in range(6):
        house.later(hours=1)
    assert [payment.status for payment in house.payments(number)] == ["paid"]
    assert len(house.debit.trades) == 1
    assert house.world.coins() == 100


def test_what_is_pending_waits_and_what_then_failed_is_tried_again(house: AgreementHouse) -> None:
    house.debit.script.append("pending")
    number = house.signed()
    house.later(days=1)
    house.later(days=1)
    (payment,) = house.payments(number)
    assert payment.status == "pending"
    house.tell(house.debit.decide(str(payment.id), Kind.FAILED, Refusal.OVER_LIMIT))
    assert (house.row(number).status, house.periods(number)[0].refusal) == ("past_due", "over_limit")
    house.later(days=1)
    assert [each.status for each in house.payments(number)] == ["failed", "paid"]


def test_a_late_attempt_has_two_days_to_succeed_though_the_time_of_its_order_ends_before(house: AgreementHouse) -> None:
    house.debit.script.extend(["no_money", "pending"])
    number = house.signed()
    house.at(datetime(2026, 1, 2, 9, tzinfo=UTC))
    order = house.world.order_row(house.periods(number)[0].order_id)
    house.at(order.expires_at - timedelta(hours=2))  # nobody worked until now
    _, second = house.payments(number)
    assert (second.status, second.expires_at - second.created_at) == ("pending", timedelta(days=2))
    house.later(hours=4)
    assert house.world.order_row(order.id).status == "open"
    house.world.clock.advance(timedelta(hours=16).total_seconds())
    house.tell(house.debit.decide(str(second.id), Kind.PAID))
    assert (house.row(number).status, [each.status for each in house.payments(number)]) == (
        "active",
        ["failed", "paid"],
    )
    assert house.world.coins() == 100
    house.world.assert_balanced()


def test_a_charge_that_is_accepted_late_has_as_long_as_one_that_is_accepted_at_once(house: AgreementHouse) -> None:
    """The provider could not be reached until shortly before the time was over, and decides a day after it accepts."""
    house.debit.script.extend(["lost", "pending"])
    number = house.signed()
    house.at(datetime(2026, 1, 2, 9, tzinfo=UTC))
    (payment,) = house.payments(number)
    accepted_at = payment.expires_at - timedelta(hours=2)
    house.at(accepted_at)
    (payment,) = house.payments(number)
    assert (payment.status, payment.expires_at) == ("pending", accepted_at + timedelta(days=2))
    house.later(hours=30)
    house.settle_payments(payment.id)
    house.tell(house.debit.decide(str(payment.id), Kind.PAID))
    assert [(each.number, each.status) for each in house.periods(number)] == [(0, "paid")]
    house.world.assert_balanced()


def test_an_agreement_that_is_gone_is_asked_about_and_ends(house: AgreementHouse) -> None:
    number = house.signed()
    house.debit.user_ends(str(number))  # and the message of it is lost
    house.later(days=1)
    row = house.row(number)
    assert (row.status, row.ended_by) == ("ended", "payer")
    assert house.world.coins() == 0


def test_a_charge_that_succeeds_after_the_end_is_credited_and_nothing_more_is_charged(house: AgreementHouse) -> None:
    house.debit.script.append("pending")
    number = house.signed()
    house.at(datetime(2026, 1, 2, 9, tzinfo=UTC))
    house.tell(house.debit.user_ends(str(number)))
    assert house.row(number).status == "ended"
    (payment,) = house.payments(number)
    house.tell(house.debit.decide(str(payment.id), Kind.PAID))
    assert house.world.coins() == 100
    assert house.row(number).status == "ended"
    assert house.active() == {"vip": datetime(2026, 2, 2, 3, 4, 5, tzinfo=UTC)}
    house.later(days=90)
    assert len(house.debit.trades) == 1
    assert house.events() == ["agreement.signed", "agreement.ended", "agreement.renewed"]


def test_a_word_that_is_older_than_the_end_changes_nothing(house: AgreementHouse) -> None:
    number = house.sign()
    signed = house.debit.user_signs(str(number))
    house.world.clock.advance(60)
    house.tell(house.debit.user_ends(str(number)))
    assert house.tell(signed).outcome == "noted"
    assert house.row(number).status == "ended"


def test_the_first_payment_is_made_by_the_act_of_signing_whichever_is_told_first(house: AgreementHouse) -> None:
    for user, paid_first in (("alice", True), ("bob", False)):
        number = house.sign(user, pay_now=True)
        payment = house.row(number).first_payment_id
        facts = [house.debit.decide(str(payment), Kind.PAID), house.debit.user_signs(str(number))]
        for fact in facts if paid_first else facts[::-1]:
            house.tell(fact)
        row = house.row(number)
        assert (row.status, row.next_period, house.world.coins(user)) == ("active", 1, 100)
        assert house.debit.consents[str(number)].terms.first is not None
        assert house.debit.consents[str(number)].terms.first_due.isoformat() == "2026-02-02"
    house.later(days=32)
    assert house.world.coins("alice") == house.world.coins("bob") == 200


def test_who_signs_and_does_not_pay_is_charged_from_the_second_period_on(house: AgreementHouse) -> None:
    number = house.sign(pay_now=True)
    payment = house.row(number).first_payment_id
    house.tell(house.debit.user_signs(str(number)))
    house.world.clock.advance(3600)
    house.settle_payments(payment)
    for _ in range(4):
        house.later(hours=8)
    assert [period.status for period in house.periods(number)] == ["unpaid"]
    assert house.world.coins() == 0
    house.later(days=31)
    assert house.world.coins() == 100


def test_while_a_first_payment_ends_neither_way_the_agreement_is_looked_at_from_time_to_time(
    house: AgreementHouse,
) -> None:
    """Its time is over, and the provider does not say what became of it: the worker does not look without a pause."""
    number = house.sign(pay_now=True)
    house.tell(house.debit.user_signs(str(number)))
    assert house.row(number).first_payment_id is not None
    for hours in (2, 30, 200):
        house.world.clock.advance(hours * 3600)
        house.work()
        row, now = house.row(number), house.core.clock.now()
        assert (row.status, row.next_period) == ("active", 0)
        assert timedelta(minutes=10) < row.next_work_at - now <= timedelta(hours=24)


def test_a_free_first_period_is_active_and_the_second_is_charged(house: AgreementHouse) -> None:
    number = house.signed(sku="trial")
    assert house.active() == {"trial": datetime(2026, 1, 9, 3, 4, 5, tzinfo=UTC)}
    house.later(days=3)
    assert len(house.debit.trades) == 0
    house.at(datetime(2026, 1, 9, 9, tzinfo=UTC))
    assert [period.status for period in house.periods(number)] == ["free", "paid"]
    assert house.active() == {"trial": datetime(2026, 1, 16, 3, 4, 5, tzinfo=UTC)}


def test_nobody_signs_and_the_agreement_ends_by_itself(house: AgreementHouse) -> None:
    number = house.sign()
    for _ in range(30):
        house.later(hours=12)
    row = house.row(number)
    assert (row.status, row.ended_by, row.next_work_at) == ("ended", "never_signed", None)
    house.tell(house.debit.user_signs(str(number)))
    assert house.row(number).status == "active", "signed all the same: in force"


def test_a_payer_is_told_of_a_charge_as_long_before_as_the_provider_wants(house: AgreementHouse) -> None:
    window = house.debit.charge_window
    house.debit.charge_window = type(window)(after=window.after, notice=timedelta(hours=24))
    number = house.signed()
    house.work()
    assert len(house.debit.announced) == 1
    house.later(hours=23)
    assert len(house.debit.trades) == 0
    house.later(hours=2)
    assert len(house.debit.trades) == 0, "its notice is over in the night, and providers may charge by day only"
    house.at(datetime(2026, 1, 3, 9, tzinfo=UTC))
    assert len(house.debit.trades) == 1
    house.at(datetime(2026, 2, 1, 9, tzinfo=UTC))
    assert (str(number), datetime(2026, 2, 2, tzinfo=UTC).date()) in house.debit.announced
    house.at(datetime(2026, 2, 2, 9, tzinfo=UTC))
    assert len(house.debit.trades) == 2


def test_charges_of_one_user_are_limited_for_a_day(house: AgreementHouse) -> None:
    most, rules = 2, house.core.rules
    charges = replace(rules.charges, per_day=most)
    house.world.core = replace(house.core, rules=replace(rules, charges=charges))
    house.debit.script.extend(["pending"] * most)
    for sku in ("basic", "vip", "gold"):
        house.debit.user_signs(str(house.sign(sku=sku, key=sku)))
    for our in house.debit.consents:
        house.tell(house.debit._of_consent(our))
    house.at(datetime(2026, 1, 2, 9, tzinfo=UTC))
    assert len(house.debit.trades) == most
    house.at(datetime(2026, 1, 3, 9, tzinfo=UTC))
    assert len(house.debit.trades) == most + 1


def test_a_full_refund_of_a_period_ends_what_it_made_active(house: AgreementHouse) -> None:
    number = house.signed()
    house.later(days=1)
    (payment,) = house.payments(number)
    assert house.active()

    def back(minor: int, refund: str) -> Fact:
        ref = Ref(str(payment.id), payment.theirs, refund)
        return Fact(
            Kind.REFUNDED, ref, house.world.clock.now(), Money(minor, "CNY"), account=house.debit.account, live=False
        )

    house.tell(back(500, "r1"))
    assert house.active(), "a part went back"
    house.tell(back(1000, "r2"))
    assert house.active() == {}
    assert house.row(number).status == "active", "the agreement goes on"


def test_time_that_went_by_without_a_worker_is_not_charged_for(house: AgreementHouse) -> None:
    number = house.signed()
    house.later(days=1)
    house.later(days=100)
    late = house.world.clock.now()
    house.later(hours=6)
    assert len(house.debit.trades) == 2
    assert house.periods(number)[1].starts_at >= late, "the period begins when it is asked for"


def test_an_agreement_is_found_by_either_side_s_number(house: AgreementHouse) -> None:
    number = house.signed()
    for text in (str(number), f"agr-{number}"):
        (found,) = [thing for thing in things_named(house.core, text).found if thing.kind == "agreement"]
        assert (found.number, found.user, found.status) == (str(number), "alice", "active")
