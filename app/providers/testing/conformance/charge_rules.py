"""Rules for charges: money that is taken under an agreement."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from app.domain.money import Money
from app.providers import Declined, Kind, Provider, ProviderError, Refusal, Unknown, key_of
from app.providers.testing.conformance.agreement_journeys import (
    Signed,
    announce_there,
    charge_intent,
    charge_outcome,
    charge_there,
    first_of_kind,
    prepare_charge,
    signed_agreement,
)
from app.providers.testing.conformance.checks import (
    RuleGroup,
    attempt,
    check_fact,
    has,
    learnt,
    needs_hook,
    of_kind,
    one_paid,
    online,
    where,
)
from app.providers.testing.conformance.journeys import MOST_CURRENCIES, BreakingHttp
from app.providers.testing.conformance.world import World


class ChargeRules(RuleGroup):
    """Money that is taken under an agreement."""

    @where(has("sign"))
    def test_one_number_is_charged_once(self) -> None:
        """A charge that is repeated, also after its answer was lost and days later, takes money once; every road says
        PAID under one key, names our number of the payment, and tells what was asked."""
        world = self.world()
        provider = online(world)
        agreement = _chargeable(world, provider)
        intent = charge_intent(world, agreement)
        cut_off = online(world, BreakingHttp(world.http, "timeout_after"))
        lost = attempt(partial(charge_there, cut_off, agreement.ref, intent), "charge")
        assert isinstance(lost, Unknown), f"a charge whose answer was lost came to {lost!r}"
        told = [("reply to charge", fact) for fact in charge_there(provider, agreement.ref, intent)]
        messages = world.settle_charge(intent)
        told += [("message", fact) for message in messages for fact in learnt(world, provider, message, "of a charge")]
        again = attempt(partial(charge_there, provider, agreement.ref, intent), "charge again")
        assert isinstance(again, tuple), f"charged again: {type(again).__name__}: {again}"
        told += [("reply to the same charge", fact) for fact in again]
        told.append(("query", one_paid(provider.query(intent.ref), "query of a charge")))
        assert world.payments(intent) == 1, f"one number, {world.payments(intent)} payments"
        paid = [(road, fact) for road, fact in told if fact.kind is Kind.PAID]
        assert len({key_of(fact) for _, fact in paid}) == 1, f"one charge, several keys: {paid}"
        for road, fact in told:
            assert fact.kind in (Kind.PAID, Kind.PENDING), f"{road}: a charge is told as {fact.kind}"
        for road, fact in paid:
            check_fact(world, provider, fact, road)
            assert fact.ref.ours == intent.ref.ours, f"{road}: the charge is told under {fact.ref.ours}"
            assert fact.ref.agreement in (agreement.ref.agreement, None), f"{road}: of another agreement"
            assert fact.money == intent.money, f"{road}: {fact.money} instead of {intent.money}"
        named = {fact.ref.agreement for _, fact in paid}
        assert named != {None}, "no road says under which agreement it was charged"

    @where(has("sign"))
    def test_each_currency_is_charged_as_it_was_asked(self) -> None:
        """A charge in each of `Provider.currencies` is that amount at the provider, and in the fact."""
        world = self.world()
        provider = online(world)
        for currency in provider.currencies[:MOST_CURRENCIES]:
            terms = replace(world.terms()[0], money=Money(1_999, currency))
            agreement = signed_agreement(world, provider, terms)
            prepare_charge(world, provider, agreement)
            intent = charge_intent(world, agreement)
            charge_there(provider, agreement.ref, intent)
            charged = world.charged(intent)
            assert charged in (None, terms.money), f"the provider was told to charge {charged} for {terms.money}"
            world.settle_charge(intent)
            fact = one_paid(provider.query(intent.ref), f"a charge in {currency}")
            assert fact.money == terms.money, f"{fact.money} charged instead of {terms.money}"

    @where(has("sign"))
    def test_two_numbers_are_two_charges(self) -> None:
        """A charge with a number of its own, a period later, is another payment."""
        world = self.world()
        provider = online(world)
        agreement = _chargeable(world, provider)
        keys = set()
        for _ in range(2):
            intent = charge_intent(world, agreement)
            charge_there(provider, agreement.ref, intent)
            world.settle_charge(intent)
            keys.add(key_of(one_paid(provider.query(intent.ref), "query of a charge")))
            world.clock.advance(_seconds_of_a_period(agreement))
            prepare_charge(world, provider, agreement)
        assert len(keys) == 2, "two charges are one payment"

    @where(has("sign"))
    @needs_hook("hold_charge")
    def test_a_charge_that_is_only_accepted_is_pending(self) -> None:
        """What the provider took on and has not done is PENDING, in the reply and in a query, until it is done."""
        world = self.world()
        provider = online(world)
        agreement = _chargeable(world, provider)
        world.hold_charge()
        intent = charge_intent(world, agreement)
        told = (*charge_there(provider, agreement.ref, intent), *provider.query(intent.ref))
        wrong = {fact.kind for fact in told} - {Kind.PENDING}
        assert not wrong, f"accepted and not done, and told as {sorted(wrong)}"
        world.settle_charge(intent)
        one_paid(provider.query(intent.ref), "query once it is done")

    @where(has("sign"))
    @needs_hook("refuse_charge")
    def test_a_refused_charge_says_why(self) -> None:
        """A refused charge is Declined, or FAILED, with the `refusal` that the provider's word means; no money moves,
        and the next number can be charged."""
        for refusal in (Refusal.NO_MONEY, Refusal.OVER_LIMIT, Refusal.NOT_NOW, Refusal.OTHER):
            world = self.world()
            provider = online(world)
            agreement = _chargeable(world, provider)
            if not world.refuse_charge(refusal):
                continue
            said = _refusal(world, provider, agreement)
            assert (said or Refusal.OTHER) is refusal, f"refused for {refusal}, and told as {said}"
            intent = charge_intent(world, agreement)
            charge_there(provider, agreement.ref, intent)
            world.settle_charge(intent)
            one_paid(provider.query(intent.ref), f"a charge after one that was refused for {refusal}")

    @where(has("sign"))
    def test_a_charge_of_an_agreement_that_is_over_says_so(self) -> None:
        """Once the payer has left, a charge is refused: AGREEMENT_GONE."""
        world = self.world()
        provider = online(world)
        agreement = _chargeable(world, provider)
        world.leave(agreement.terms)
        said = _refusal(world, provider, agreement)
        assert said is Refusal.AGREEMENT_GONE, f"the agreement is over, and the charge is refused for {said}"

    @where(has("announce"))
    def test_an_announcement_reaches_the_payer(self) -> None:
        """After `announce` the payer was told, and not before; announcing again is no error; an agreement that is over
        takes none."""
        world = self.world()
        provider = online(world)
        agreement = signed_agreement(world, provider)
        due = agreement.terms.first_due
        assert not world.announced(agreement.ref, due), "told before anybody said so"
        announce_there(provider, agreement)
        assert world.announced(agreement.ref, due), "announce returned, and the payer was not told"
        again = attempt(partial(announce_there, provider, agreement), "announce again")
        assert not isinstance(again, ProviderError), f"announce again: {type(again).__name__}: {again}"
        world.leave(agreement.terms)
        late = attempt(partial(announce_there, provider, agreement), "announce after the end")
        assert isinstance(late, Declined), f"announced after the end: {late!r}"
        assert late.refusal is Refusal.AGREEMENT_GONE, f"announced after the end: refused for {late.refusal}"


def _chargeable(world: World, provider: Provider) -> Signed:
    """A signed agreement whose first charge may be asked for now."""
    agreement = signed_agreement(world, provider)
    prepare_charge(world, provider, agreement)
    return agreement


def _seconds_of_a_period(agreement: Signed) -> float:
    days = agreement.terms.count * (31 if agreement.terms.unit == "month" else 1)
    return days * 86_400.0


def _refusal(world: World, provider: Provider, agreement: Signed) -> Refusal | None:
    """Why the next charge is refused; fails if it is not."""
    intent, result = charge_outcome(world, provider, agreement)
    if isinstance(result, ProviderError):
        assert isinstance(result, Declined), f"a refused charge: {type(result).__name__}: {result}"
        told = of_kind(provider.query(intent.ref), Kind.PAID)
        assert not told, "Declined, and paid all the same"
        return result.refusal
    facts = (*result, *provider.query(intent.ref))
    assert not of_kind(facts, Kind.PAID), "refused, and told as paid"
    return first_of_kind(facts, Kind.FAILED, "a refused charge").refusal
