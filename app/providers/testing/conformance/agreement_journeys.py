"""Agreements played through in a world: signed, charged, ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from app.providers import (
    Agreements,
    Announces,
    Fact,
    Intent,
    Kind,
    Message,
    Provider,
    ProviderError,
    Ref,
    Started,
    Terms,
)
from app.providers.testing.conformance.checks import attempt, learnt, of_kind
from app.providers.testing.conformance.world import World, make_intent

JourneyAnswer = tuple[Fact, ...] | ProviderError
BETWEEN_ACTS = 30.0
"""Seconds between one act of the payer and the next."""


@dataclass(frozen=True, slots=True)
class Signed:
    """An agreement that is in force."""

    terms: Terms
    ref: Ref
    """The two numbers of it, as the core knows them once SIGNED was told."""
    fact: Fact
    messages: tuple[Message, ...]


def agreeing(provider: Provider) -> Agreements:
    assert isinstance(provider, Agreements), "World.traits declares sign, but the provider lacks a verb of agreements"
    return provider


def sign_there(provider: Provider, terms: Terms) -> Started:
    return agreeing(provider).sign(terms)


def charge_there(provider: Provider, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
    return agreeing(provider).charge(ref, intent)


def announce_there(provider: Provider, agreement: Signed, due: date | None = None) -> None:
    """Have the payer told of a charge on that day, by default of the first one."""
    assert isinstance(provider, Announces), "World.traits declares announce, but the provider has no such verb"
    provider.announce(agreement.ref, agreement.terms.money, due or agreement.terms.first_due)


def signed_agreement(world: World, provider: Provider, terms: Terms | None = None) -> Signed:
    """An agreement that its payer signed."""
    chosen = terms or world.terms()[0]
    sign_there(provider, chosen)
    world.clock.advance(BETWEEN_ACTS)
    messages = world.agree(chosen)
    told = [fact for message in messages for fact in learnt(world, provider, message, "a message after the signing")]
    fact = first_of_kind([*told, *provider.query(chosen.ref)], Kind.SIGNED, "messages and query after the signing")
    world.clock.advance(BETWEEN_ACTS)
    return Signed(chosen, Ref(agreement=fact.ref.agreement, our_agreement=fact.ref.our_agreement), fact, messages)


def first_of_kind(facts: list[Fact] | tuple[Fact, ...], kind: Kind, what: str) -> Fact:
    """The first fact of that kind, of which there must be one."""
    found = of_kind(facts, kind)
    assert found, f"{what}: nothing says {kind}, but {[fact.kind.value for fact in facts]}"
    return found[0]


def charge_intent(world: World, agreement: Signed) -> Intent:
    """What one period costs, as a payment with a number of its own."""
    terms = agreement.terms
    return make_intent(world.clock, terms.way, terms.money, product=terms.product, extra=terms.extra)


def first_payment(world: World, terms: Terms) -> Terms:
    """The terms with the payment of the first period."""
    first = make_intent(world.clock, terms.way, terms.money, product=terms.product, extra=terms.extra)
    return replace(terms, first=first)


def prepare_charge(world: World, provider: Provider, agreement: Signed) -> None:
    """Give the notice that the provider wants, and let its time pass."""
    notice = agreeing(provider).charge_window.notice
    if notice:
        announce_there(provider, agreement, (world.clock.now() + notice).date())
        world.clock.advance(notice.total_seconds())


def charge_outcome(
    world: World, provider: Provider, agreement: Signed
) -> tuple[Intent, tuple[Fact, ...] | ProviderError]:
    """A charge, and what it came to: facts, or the error that was raised."""
    intent = charge_intent(world, agreement)
    result = attempt(lambda: charge_there(provider, agreement.ref, intent), "charge")
    assert isinstance(result, tuple | ProviderError)
    return intent, result


def ways_to_name(ref: Ref) -> Iterator[tuple[str, Ref]]:
    """The ways to name an agreement in a query."""
    yield "both numbers", ref
    yield "our number", Ref(our_agreement=ref.our_agreement)
