"""What the rules have in common: building the provider under test, and reading what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar, TypeVar

from app.providers import (
    LONGEST_REFERENCE,
    Fact,
    Forged,
    HttpClient,
    Kind,
    Message,
    Provider,
    ProviderError,
    Received,
    Ref,
    Started,
    Tools,
    faults_of,
    fits,
)
from app.providers.facts import AGREEMENT_KINDS, REFUND_KINDS
from app.providers.testing.conformance.world import Traits, World
from app.providers.testing.doubles import FixedClock, NoNetwork

UNKNOWN_WORD = "NEVER_HEARD_OF"
Rule = TypeVar("Rule", bound=Callable[..., None])


def where(applies: Callable[[Traits], bool]) -> Callable[[Rule], Rule]:
    """Marks a rule that only applies to providers with certain traits; elsewhere it is not collected."""

    def mark(rule: Rule) -> Rule:
        rule.__dict__["applies"] = applies
        return rule

    return mark


def needs_hook(hook: str) -> Callable[[Rule], Rule]:
    """Marks a rule that looks through this hook of the world; where the world lacks the hook, the rule is skipped with
    the reason that the world declares."""

    def mark(rule: Rule) -> Rule:
        rule.__dict__["needs"] = hook
        return rule

    return mark


def has(verb: str) -> Callable[[Traits], bool]:
    """For `where`: the provider has this optional verb."""
    return lambda traits: verb in traits.verbs


class RuleGroup:
    """Base of the groups of rules."""

    world_class: ClassVar[type[World]]

    def world(self, moved: timedelta = timedelta()) -> World:
        """A fresh world, its clock moved by so much."""
        clock = FixedClock()
        clock.advance(moved.total_seconds())
        return self.world_class(clock)


def online(world: World, http: HttpClient | None = None) -> Provider:
    """The provider under test, connected to the world (or to `http` instead)."""
    return world.make_provider(Tools(http=http or world.http, clock=world.clock, keys=world.keys(), live=world.live))


def offline(world: World) -> Provider:
    """The provider under test where any request fails the test: enough to receive."""
    return world.make_provider(quiet_tools(world))


def quiet_tools(world: World) -> Tools:
    """Tools of that world without a network."""
    return Tools(http=NoNetwork(), clock=world.clock, keys=world.keys(), live=world.live)


def received(provider: Provider, message: Message, what: str) -> Received | Forged:
    """What the provider makes of a message: it reads it or refuses it, and nothing else can happen."""
    try:
        return provider.receive(message)
    except Forged as refusal:
        return refusal
    except Exception as error:
        raise AssertionError(f"{what}: receive raised {type(error).__name__}, only Forged may come out") from error


def accepted(provider: Provider, message: Message, what: str) -> Received:
    """What is read in a message that must be accepted."""
    outcome = received(provider, message, what)
    assert isinstance(outcome, Received), f"{what}: refused, though genuine ({outcome})"
    return outcome


def facts_of(provider: Provider, message: Message, what: str) -> tuple[Fact, ...]:
    """The facts of a message that must be accepted."""
    return accepted(provider, message, what).facts


def learnt(world: World, provider: Provider, message: Message, what: str) -> tuple[Fact, ...]:
    """What a genuine message comes to: its facts, or the answers to what it asks where messages prove nothing."""
    read = accepted(provider, message, what)
    if world.traits.messages_prove:
        return read.facts
    return tuple(fact for ref in read.asks for fact in provider.query(ref))


def must_be_refused(provider: Provider, message: Message, what: str) -> None:
    outcome = received(provider, message, what)
    assert isinstance(outcome, Forged), f"{what}: accepted, saying {[fact.kind.value for fact in outcome.facts]}"


def must_change_nothing(provider: Provider, spoilt: Message, facts: tuple[Fact, ...], what: str) -> None:
    """Refused, or read as the very same facts (an encoding may have several spellings of one content)."""
    outcome = received(provider, spoilt, what)
    if isinstance(outcome, Received):
        assert stated(outcome.facts) == stated(facts), f"{what}: accepted, and the facts changed"


def stated(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """The facts without what is kept for audit only."""
    return tuple(replace(fact, raw={}) for fact in facts)


def of_kind(facts: Iterable[Fact], kind: Kind) -> tuple[Fact, ...]:
    return tuple(fact for fact in facts if fact.kind is kind)


def one_paid(facts: Iterable[Fact], what: str) -> Fact:
    paid = of_kind(facts, Kind.PAID)
    assert len(paid) == 1, f"{what}: {len(paid)} facts of kind paid instead of one"
    return paid[0]


def check_times(fact: Fact, what: str) -> None:
    for name, moment in (("at", fact.at), ("period_end", fact.period_end)):
        if name == "at" or moment is not None:
            aware = moment is not None and moment.utcoffset() == timedelta(0)
            assert aware, f"{what}: {name} of {fact.kind} is not aware UTC: {moment!r}"


def check_numbers(traits: Traits, fact: Fact, what: str) -> None:
    """PAID names the payment, by the provider's number and ours; a refund names it by ours, or else is never found.
    What is told of an agreement that we charge names it by both numbers."""
    if fact.kind is Kind.PAID:
        assert fact.ref.theirs, f"{what}: paid without the provider's number"
    if fact.kind is Kind.PAID or fact.kind in REFUND_KINDS:
        assert fact.ref.ours or not traits.names_our_number, f"{what}: {fact.kind} without our number"
    if fact.kind in AGREEMENT_KINDS and "sign" in traits.verbs:
        both = fact.ref.is_agreement and fact.ref.agreement and fact.ref.our_agreement
        assert both, f"{what}: {fact.kind} names {fact.ref}, and not an agreement by both its numbers"


def check_money(traits: Traits, fact: Fact, what: str) -> None:
    """PAID tells a positive amount; a refund tells its size in exactly one way."""
    if fact.kind is Kind.PAID and traits.tells_money:
        assert fact.money is not None, f"{what}: paid without an amount"
        assert fact.money.minor > 0, f"{what}: paid without a positive amount"
    if fact.kind is Kind.REFUNDED:
        told = [name for name in ("money", "total", "share") if getattr(fact, name) is not None]
        assert len(told) == 1, f"{what}: a refund tells its size as one of money, total, share; here {told or 'none'}"
        assert fact.ref.refund, f"{what}: refunded without a number (or time) that tells it from other refunds"


def check_texts(fact: Fact, what: str) -> None:
    """Whatever identifies can be stored: a str, not too long, no control characters, no lone surrogates."""
    texts = {name: getattr(fact.ref, name) for name in ("ours", "theirs", "refund", "agreement", "our_agreement")}
    texts |= {name: getattr(fact, name) for name in ("account", "product", "owner")}
    for name, text in texts.items():
        if text is not None:
            fine = isinstance(text, str) and len(text) <= LONGEST_REFERENCE and text.isprintable()
            assert fine, f"{what}: {name} is not a printable text of at most {LONGEST_REFERENCE} characters"
    encodable = isinstance(fact.cause, str) and "\x00" not in fact.cause and fact.cause.isascii()
    assert encodable or _is_unicode(fact.cause), f"{what}: cause cannot be stored"


def check_asks(read: Received, what: str) -> None:
    """Whatever a message names can be kept and put into a query."""
    for ref in read.asks:
        texts = (ref.ours, ref.theirs, ref.refund, ref.agreement, ref.our_agreement)
        named = [text for text in texts if text is not None]
        assert named, f"{what}: asks about nothing"
        assert all(fits(text) and text.isprintable() for text in named), f"{what}: asks about what cannot be kept"


def _is_unicode(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def check_raw(fact: Fact, what: str) -> None:
    try:
        json.dumps(dict(fact.raw), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{what}: raw of {fact.kind} cannot be stored as JSON: {error}") from error


def check_fact(world: World, provider: Provider, fact: Fact, what: str) -> None:
    """Everything that holds for any fact about our own payments."""
    check_times(fact, what)
    check_numbers(world.traits, fact, what)
    check_money(world.traits, fact, what)
    check_texts(fact, what)
    assert not faults_of(fact), f"{what}: {fact.kind} is beyond the limits of the port: {'; '.join(faults_of(fact))}"
    check_raw(fact, what)
    assert fact.account == provider.account, f"{what}: account is {fact.account!r} instead of {provider.account!r}"


def attempt(call: Callable[[], object], what: str) -> object:
    """What a verb came to: its result, or the ProviderError that it raised. Any other exception fails."""
    try:
        return call()
    except ProviderError as error:
        return error
    except Exception as error:
        raise AssertionError(f"{what}: a raw {type(error).__name__} came out") from error


def facts_in(result: object) -> tuple[Fact, ...]:
    """The facts in whatever a verb returned."""
    if isinstance(result, Started | Received):
        return result.facts
    return result if isinstance(result, tuple) else ()


def replaced(content: Mapping[str, object], path: tuple[str, ...], value: object) -> dict[str, object]:
    """The document with the member at that path set to something else."""
    first, *rest = path
    changed = dict(content)
    inner = content.get(first)
    if rest:
        assert isinstance(inner, Mapping), f"the document has no member {'.'.join(path)}"
        changed[first] = replaced(inner, tuple(rest), value)
    else:
        changed[first] = value
    return changed


def refs_of(traits: Traits, ref: Ref) -> dict[str, Ref]:
    """The ways to name a payment in a query, as far as its numbers are known."""
    names = {"both numbers": ref}
    if ref.theirs:
        names["their number"] = Ref(theirs=ref.theirs)
    if ref.ours and traits.names_our_number and traits.asked_by_our_number:
        names["our number"] = Ref(ours=ref.ours)
    return names
