"""Deductions under an agreement: paid only with proof, refused for a reason, and never twice under one number."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from app.domain.money import Money
from app.providers import Declined, Fact, Intent, Kind, Misconfigured, Ref, Refusal, Unknown, key_of
from app.providers.testing.doubles import FixedClock
from plugins.alipay import codes
from plugins.alipay.debits import AlipayDebits
from plugins.alipay.simulated.agreements import Agreement
from plugins.alipay.simulated.trades import CLOSED, SUCCESS
from tests.plugins.alipay.actors import Stage, intent_for, stage
from tests.plugins.alipay.test_agreements import CYCLE, OLD_WITHHOLDING, OURS, debits, terms_for

NUMBER = "4503599627378689"


@pytest.fixture
def here() -> Stage:
    """An agreement whose first date is today, the 2nd of January."""
    return signed(stage(agreements=CYCLE))


def signed(made: Stage, due: date = date(2026, 1, 2)) -> Stage:
    made.alipay.sign(debits(made).sign(terms_for(made, first_due=due)).action)
    made.notices()
    return made


def agreement_of(here: Stage) -> Agreement:
    return here.alipay.gateway.agreements.find(OURS)


def ref_of(here: Stage) -> Ref:
    return Ref(agreement=agreement_of(here).agreement_no, our_agreement=OURS)


def charge(here: Stage, number: str = NUMBER, *, money: Money | None = None) -> tuple[Fact, ...]:
    provider: AlipayDebits = debits(here)
    return provider.charge(ref_of(here), charge_intent(here.clock, number, money))


def charge_intent(clock: FixedClock, number: str = NUMBER, money: Money | None = None) -> Intent:
    return intent_for(clock, "app", number, money=money or Money(600, "CNY"), return_url="")


def status(here: Stage, number: str = NUMBER) -> str:
    return here.alipay.gateway.trades.find(number).status


def test_a_charge_is_paid_and_answer_notice_and_query_tell_one_fact(here: Stage) -> None:
    (paid,) = charge(here)
    assert (paid.kind, paid.money, paid.account) == (Kind.PAID, Money(600, "CNY"), here.provider.account)
    assert (paid.ref.ours, paid.ref.agreement, paid.ref.our_agreement) == (NUMBER, ref_of(here).agreement, OURS)
    (told,) = debits(here).receive(here.notices()[0]).facts
    (asked,) = debits(here).query(Ref(ours=NUMBER, agreement=paid.ref.agreement))
    assert (told.ref, told.at, told.money) == (paid.ref, paid.at, paid.money)
    assert key_of(told) == key_of(paid) == key_of(asked)
    (request,) = here.alipay.gateway.deductions.requests
    assert request == {
        "out_trade_no": NUMBER,
        "total_amount": "6.00",
        "subject": "金币100+10 包",
        "product_code": "CYCLE_PAY_AUTH",
        "agreement_params": {"agreement_no": paid.ref.agreement},
    }
    assert agreement_of(here).planned == date(2026, 2, 2)


def test_a_repeated_charge_is_the_first_one(here: Stage) -> None:
    first = charge(here)
    assert [key_of(fact) for fact in charge(here)] == [key_of(first[0])]
    assert len(list(here.alipay.gateway.trades)) == 1


def test_a_success_that_proves_nothing_is_asked_about(here: Stage) -> None:
    here.alipay.gateway.deductions.answers_without_proof = True
    (paid,) = charge(here)
    assert (paid.kind, paid.ref.agreement) == (Kind.PAID, ref_of(here).agreement)
    assert "alipay.trade.query" in here.http.requests[-1][1]
    here.alipay.gateway.status_words["2"] = "TRADE_WORKED_ON"
    agreement_of(here).planned = date(2026, 1, 2)
    assert [fact.kind for fact in charge(here, "2")] == [Kind.PENDING]


def test_a_charge_that_waits_for_the_payer_is_pending_and_ends_either_way(here: Stage) -> None:
    book = here.alipay.gateway.deductions
    book.waits = True
    (pending,) = charge(here)
    assert (pending.kind, pending.ref.ours, pending.ref.agreement) == (Kind.PENDING, NUMBER, ref_of(here).agreement)
    assert [fact.kind for fact in charge(here)] == [Kind.PENDING]
    book.succeed(here.alipay.gateway.trades.find(NUMBER))
    assert [fact.kind for fact in debits(here).query(Ref(ours=NUMBER))] == [Kind.PAID]
    agreement_of(here).planned = date(2026, 1, 2)
    assert [fact.kind for fact in charge(here, "2")] == [Kind.PENDING]
    book.give_up(here.alipay.gateway.trades.find("2"))
    assert [fact.kind for fact in debits(here).query(Ref(ours="2"))] == [Kind.CLOSED]


def test_a_lost_answer_is_unknown_and_the_repeat_finds_the_payment(here: Stage) -> None:
    here.alipay.faults.set(timeout_after=1)
    with pytest.raises(Unknown):
        charge(here)
    assert [fact.kind for fact in charge(here)] == [Kind.PAID]
    here.alipay.faults.set(timeout_before=1)
    with pytest.raises(Unknown):
        charge(here, "2")
    assert debits(here).query(Ref(ours="2")) == ()


def test_each_documented_refusal_has_its_reason(here: Stage) -> None:
    for number, (word, reason) in enumerate(sorted(codes.DEDUCTION_REFUSALS.items())):
        here.alipay.gateway.deductions.refusals = [f"ACQ.{word}"]
        with pytest.raises(Declined) as refusal:
            charge(here, str(1000 + number))
        assert (refusal.value.refusal, refusal.value.code) == (reason, f"ACQ.{word}")
    assert [trade.status for trade in here.alipay.gateway.trades if trade.is_paid] == []


def test_the_simulators_own_rules_refuse_for_their_reasons(here: Stage) -> None:
    with pytest.raises(Declined) as above:
        charge(here, money=Money(601, "CNY"))
    assert above.value.refusal is Refusal.OVER_LIMIT
    here.alipay.unsign(OURS)
    with pytest.raises(Declined) as gone:
        charge(here)
    assert gone.value.refusal is Refusal.AGREEMENT_GONE
    with pytest.raises(Declined) as unheard:
        debits(here).charge(Ref(agreement="20265000000000009999", our_agreement="9"), charge_intent(here.clock))
    assert unheard.value.refusal is Refusal.AGREEMENT_GONE


def test_a_refused_charge_leaves_no_trade_that_can_still_be_paid(here: Stage) -> None:
    here.alipay.gateway.deductions.refusals = ["ACQ.BUYER_BALANCE_NOT_ENOUGH"]
    with pytest.raises(Declined) as refusal:
        charge(here)
    assert (refusal.value.refusal, status(here)) == (Refusal.NO_MONEY, CLOSED)
    assert [fact.kind for fact in charge(here, "2")] == [Kind.PAID]


def test_a_refusal_of_what_was_paid_before_is_no_refusal(here: Stage) -> None:
    charge(here)
    here.alipay.gateway.business_faults = ["ACQ.AGREEMENT_NOT_EXIST"]
    assert [fact.kind for fact in charge(here)] == [Kind.PAID]
    debits(here).refund(Ref(ours=NUMBER, refund="R1"), Money(600, "CNY"), "asked")
    assert [fact.kind for fact in charge(here)] == [Kind.PAID, Kind.REFUNDED]


def test_a_refusal_that_cannot_be_checked_is_unknown(here: Stage) -> None:
    here.alipay.gateway.business_faults = ["ACQ.BUYER_BALANCE_NOT_ENOUGH", "ACQ.SYSTEM_ERROR"]
    with pytest.raises(Unknown):
        charge(here)


def test_what_a_person_has_to_see_to_alarms(here: Stage) -> None:
    here.alipay.gateway.business_faults = ["ACQ.MERCHANT_AGREEMENT_NOT_EXIST"]
    with pytest.raises(Misconfigured):
        charge(here)


# --- the plan


def test_a_charge_is_taken_from_five_days_before_its_date_and_no_sooner(here: Stage) -> None:
    agreement_of(here).planned = date(2026, 1, 8)
    with pytest.raises(Declined) as early:
        charge(here)
    assert (early.value.refusal, agreement_of(here).planned) == (Refusal.NOT_NOW, date(2026, 1, 8))
    here.clock.advance(debits(here).charge_window.before.total_seconds() - timedelta(days=4).total_seconds())
    assert [fact.kind for fact in charge(here, "2")] == [Kind.PAID]


@pytest.mark.parametrize(("missed", "moved"), [(2, date(2026, 2, 4)), (27, date(2026, 3, 1))])
def test_a_date_that_passed_is_moved_and_the_charge_made_in_one_go(here: Stage, missed: int, moved: date) -> None:
    """On the 29th the plan can only be moved to the 1st of the next month, whose five days have begun."""
    here.clock.advance(timedelta(days=missed).total_seconds())
    assert [fact.kind for fact in charge(here)] == [Kind.PAID]
    assert agreement_of(here).planned == moved
    assert len(here.alipay.gateway.deductions.requests) == 2


def test_a_move_whose_answer_was_lost_is_found_done(here: Stage) -> None:
    here.clock.advance(timedelta(days=2).total_seconds())
    agreement_of(here).planned = date(2026, 1, 4)
    assert [fact.kind for fact in charge(here)] == [Kind.PAID]
    assert len(here.alipay.gateway.deductions.requests) == 1


def test_a_date_that_cannot_be_moved_leaves_the_refusal(here: Stage) -> None:
    here.clock.advance(timedelta(days=2).total_seconds())
    here.alipay.gateway.business_faults = ["ACQ.CYCLE_PAY_DATE_NOT_MATCH", "SYSTEM_ERROR"]
    with pytest.raises(Declined) as refusal:
        charge(here)
    assert refusal.value.refusal is Refusal.NOT_NOW


def test_a_contract_without_a_plan_charges_on_any_day() -> None:
    here = signed(stage(agreements=OLD_WITHHOLDING))
    here.clock.advance(timedelta(days=40).total_seconds())
    assert [fact.kind for fact in charge(here)] == [Kind.PAID]


def test_two_years_of_months_are_charged_once_each_though_some_dates_are_missed() -> None:
    """Due on the 31st, or the last day of a shorter month; each fifth charge comes three days late."""
    here = signed(stage(agreements=CYCLE), date(2026, 1, 31))
    for month in range(24):
        first = date(2026 + (month + 1) // 12, (month + 1) % 12 + 1, 1)
        day = first - timedelta(days=1) + timedelta(days=3 if month % 5 == 4 else 0)
        gap = day - here.clock.now().date()
        here.clock.advance(gap.total_seconds())
        assert [fact.kind for fact in charge(here, str(5000 + month))] == [Kind.PAID], day
    assert sum(trade.status == SUCCESS for trade in here.alipay.gateway.trades) == 24


def test_a_charge_without_alipays_number_or_after_its_time_is_not_sent(here: Stage) -> None:
    with pytest.raises(Declined):
        debits(here).charge(Ref(our_agreement=OURS), charge_intent(here.clock))
    with pytest.raises(Unknown):
        debits(here).charge(ref_of(here), intent_for(here.clock, expires_at=here.clock.now()))
    assert here.http.requests == []
