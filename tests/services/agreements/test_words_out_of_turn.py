"""What a provider of auto-debit says of another consent, by another clock, or against its own answer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from app.domain.facts import Ending, Fact, Kind, Ref, Refusal
from app.domain.money import Money
from app.providers.agreements import Terms
from app.providers.errors import Declined, Unknown
from app.providers.facts import Intent, Started
from app.providers.registry import ProviderAccount
from app.services.agreements import agreement_requests
from app.services.base.errors import ProviderUnavailable
from app.services.base.idempotency import keyed
from app.services.calls import agreement_charges, agreement_queries
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.debit_provider import DebitProvider
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DAY = timedelta(days=1)
Hear = Callable[[Fact], object]


@dataclass
class HastyProvider(DebitProvider):
    """Its callback comes before its answer, and `answer` is what it says of that: an error, or None for the facts."""

    hear: Hear = field(default=lambda _: None)
    answer: Exception | None = None

    def sign(self, terms: Terms) -> Started:
        begun = super().sign(terms)
        if isinstance(self.answer, Unknown):
            self.hear(self.user_signs(str(terms.ref.our_agreement)))
            raise self.answer
        return begun

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        facts = super().charge(ref, intent)
        if self.answer is None:
            return facts
        for fact in (*facts, *facts):
            self.hear(fact)
        raise self.answer

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        if ref.is_agreement and self.answer is not None:
            self.hear(self.user_ends(ref.our_agreement or "", Ending.PAYER))
            raise self.answer
        return super().cancel(ref)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def _hasty(house: AgreementHouse) -> HastyProvider:
    hasty = HastyProvider(house.world.clock, consents=house.debit.consents, trades=house.debit.trades)
    house.world.serve(house.world.account, ProviderAccount("debit", "debit", False, hasty))
    house.debit = hasty
    hasty.hear = house.tell
    return hasty


def _days(house: AgreementHouse, count: int) -> None:
    for _ in range(count):
        house.later(days=1)


def _wanted_to_end(house: AgreementHouse, number: int) -> None:
    request = keyed("backend:b", "end", "cancel_agreement", {})
    agreement_requests.request_end(house.core, number, None, lambda _: request, "backend", at_once=True)


def _consent(house: AgreementHouse, number: int, theirs: str, kind: Kind, at: datetime) -> Fact:
    ending = Ending.PAYER if kind is Kind.ENDED else None
    ref = Ref(agreement=theirs, our_agreement=str(number))
    return Fact(kind, ref, at, ending=ending, account=house.debit.account, live=False)


def test_a_new_consent_that_is_told_before_the_end_of_the_old_one_is_the_one_that_is_charged(
    house: AgreementHouse,
) -> None:
    number = house.signed()
    _days(house, 3)
    ended = house.debit.user_ends(str(number))
    house.world.clock.advance(3600)
    again = house.debit.user_signs(str(number))
    house.tell(replace(again, ref=replace(again.ref, agreement="agr-second")))
    house.tell(ended)
    assert (house.row(number).status, house.row(number).theirs) == ("active", "agr-second")
    _days(house, 40)
    assert [period.status for period in house.periods(number)] == ["paid", "paid"]
    house.world.assert_balanced()


def test_of_two_payers_who_sign_one_link_the_end_of_one_consent_is_not_that_of_the_other(house: AgreementHouse) -> None:
    number = house.signed()
    mine, now = str(house.row(number).theirs), house.world.clock.now()
    house.tell(_consent(house, number, "agr-of-a-friend", Kind.SIGNED, now + timedelta(seconds=9)))
    house.tell(_consent(house, number, mine, Kind.ENDED, now + timedelta(minutes=1)))
    assert (house.row(number).status, house.row(number).theirs) == ("active", "agr-of-a-friend")
    house.tell(_consent(house, number, "agr-of-a-friend", Kind.ENDED, now + timedelta(minutes=2)))
    house.tell(_consent(house, number, mine, Kind.ENDED, now + timedelta(minutes=3)))
    assert house.row(number).status == "ended"
    assert house.events() == ["agreement.signed", "agreement.ended"]


@pytest.mark.parametrize("is_wanted", [False, True], ids=["by the payer", "by us"])
def test_an_end_by_a_clock_that_was_behind_counts_when_the_provider_is_asked(
    house: AgreementHouse, *, is_wanted: bool
) -> None:
    """Told again that end is no new fact: nothing else would ever end the agreement."""
    number = house.signed()
    house.world.clock.advance(-3600)
    house.tell(house.debit.user_ends(str(number)))
    assert house.row(number).status == "active", "older than the signing, as far as anybody can tell"
    if is_wanted:
        _wanted_to_end(house, number)
    _days(house, 2)
    row = house.row(number)
    assert (row.status, row.ended_at) == ("ended", row.signed_at)
    assert (house.debit.trades, house.events().count("agreement.ended")) == ({}, 1)


def test_the_callback_of_our_end_comes_before_its_answer_and_calls_it_the_payers(house: AgreementHouse) -> None:
    """Alipay's notice of an end does not say by whom."""
    hasty = _hasty(house)
    number = house.signed()
    hasty.answer = Unknown("cut off")
    _wanted_to_end(house, number)
    house.work()
    assert (house.row(number).status, house.row(number).ended_by) == ("ended", "us")
    assert house.events() == ["agreement.signed", "agreement.ended"]


def test_a_contract_callback_before_the_answer_of_the_signing_is_the_signing(house: AgreementHouse) -> None:
    _hasty(house).answer = Unknown("cut off")
    with contextlib.suppress(ProviderUnavailable):
        house.sign()
    (number,) = map(int, house.debit.consents)
    assert house.row(number).status == "active"
    assert house.sign() == number
    assert house.events() == ["agreement.signed"]


@pytest.mark.parametrize(
    "answer", [Unknown("cut off"), Declined("no", refusal=Refusal.NO_MONEY)], ids=["none", "a refusal"]
)
def test_a_deduction_callback_before_the_answer_of_its_charge_is_what_counts(
    house: AgreementHouse, answer: Exception
) -> None:
    hasty = _hasty(house)
    number = house.signed()
    hasty.answer = answer
    house.later(hours=8)
    _days(house, 4)
    assert ([each.status for each in house.periods(number)], house.row(number).status) == (["paid"], "active")
    assert (len(hasty.trades), house.world.coins()) == (1, 100)
    assert house.events().count("agreement.renewed") == 1
    house.world.assert_balanced()


def test_a_charge_that_was_refused_until_the_agreement_ended_and_is_paid_after_all_is_credited_and_ends_nothing_twice(
    house: AgreementHouse,
) -> None:
    house.debit.script.extend(["pending", *["no_money"] * 4])
    number = house.signed()
    house.later(hours=8)
    (first,) = house.payments(number)
    house.tell(house.debit.decide(str(first.id), Kind.FAILED, Refusal.NO_MONEY))
    _days(house, 12)
    assert (house.row(number).status, house.row(number).ended_by) == ("ended", "unpaid")
    house.tell(house.debit.decide(str(first.id), Kind.PAID))
    _days(house, 20)
    assert (house.world.coins(), [each.status for each in house.periods(number)]) == (100, ["paid"])
    assert (house.row(number).status, len(house.debit.trades)) == ("ended", 1)
    assert house.events().count("agreement.ended") == 1
    house.world.assert_balanced()


def test_charged_at_once_by_many_it_is_charged_once(house: AgreementHouse) -> None:
    house.debit.script.append("no_money")
    number = house.signed()
    house.later(hours=8)
    barrier = threading.Barrier(4)

    def charge() -> None:
        barrier.wait(timeout=60)
        agreement_requests.charge_at_once(house.core, number)
        agreement_queries.work_on_agreement(house.core, number)
        agreement_charges.charge_if_due(house.core, number)

    threads = [threading.Thread(target=charge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _days(house, 2)
    assert (len(house.debit.trades), len(house.payments(number)), house.world.coins()) == (1, 2, 100)


def test_money_that_went_back_before_its_payment_is_told_makes_nothing_active(house: AgreementHouse) -> None:
    house.debit.script.append("pending")
    number = house.signed()
    house.later(hours=8)
    (payment,) = house.payments(number)
    paid = house.debit.decide(str(payment.id), Kind.PAID)
    back = Ref(str(payment.id), paid.ref.theirs, refund="of the console")
    house.tell(Fact(Kind.REFUNDED, back, house.world.clock.now(), paid.money, account=paid.account, live=False))
    house.tell(paid)
    assert (house.world.coins(), house.active()) == (0, {})
    _days(house, 32)
    assert (house.world.coins(), set(house.active())) == (100, {"vip"}), "and the next period is one of its own"
    house.world.assert_balanced()


def test_an_agreement_goes_on_when_a_person_has_given_a_held_charge_back(house: AgreementHouse) -> None:
    """Another amount was taken. Nothing else is charged until somebody has looked, however long that takes."""
    house.debit.script.append("pending")
    number = house.signed()
    house.later(hours=8)
    (payment,) = house.payments(number)
    paid = house.debit.decide(str(payment.id), Kind.PAID)
    house.tell(replace(paid, money=Money(1, "CNY")))
    _days(house, 40)
    assert ([each.status for each in house.payments(number)], len(house.debit.trades)) == (["held"], 1)
    agreement_requests.charge_at_once(house.core, number)
    house.later(hours=8)
    assert [each.status for each in house.periods(number)] == ["unpaid", "paid"]
    assert (len(house.debit.trades), set(house.active())) == (2, {"vip"})
