"""Rules for agreements: how they are signed, and how they end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from pydantic import ValidationError

from app.providers import Ending, Fact, Kind, Provider, ProviderError, Received, Ref, key_of
from app.providers.facts import AGREEMENT_KINDS
from app.providers.testing.conformance.agreement_journeys import (
    BETWEEN_ACTS,
    Signed,
    agreeing,
    first_of_kind,
    first_payment,
    sign_there,
    signed_agreement,
    ways_to_name,
)
from app.providers.testing.conformance.checks import (
    UNKNOWN_WORD,
    RuleGroup,
    attempt,
    check_fact,
    facts_of,
    has,
    learnt,
    needs_hook,
    of_kind,
    offline,
    online,
    received,
    replaced,
    stated,
    where,
)
from app.providers.testing.conformance.journeys import cancel_there
from app.providers.testing.conformance.spoiling import flipped, odd_documents
from app.providers.testing.conformance.world import World

NOT_A_SETTING = "not_a_field"
LONG_AFTER = 86_400.0
"""Seconds, and more than any signing may take."""


class AgreementRules(RuleGroup):
    """What is told of an agreement itself."""

    @where(has("sign"))
    def test_each_way_of_signing_says_what_it_needs(self) -> None:
        """`World.terms` has one for each way; ways that pay are ways; a notice can be given where one is wanted."""
        world = self.world()
        provider, terms = offline(world), world.terms()
        ways = agreeing(provider).agreement_ways
        assert sorted(one.way for one in terms) == sorted(ways), "terms for each way of signing"
        assert agreeing(provider).paying_ways <= set(ways), "a way that pays and signs is no way of signing"
        wants_notice = bool(agreeing(provider).charge_window.notice)
        assert "announce" in world.traits.verbs or not wants_notice, "a notice is wanted, and there is no announce"
        for one in terms:
            ways[one.way].model_validate(dict(one.extra))
            with pytest.raises(ValidationError, match=NOT_A_SETTING):
                ways[one.way].model_validate({**one.extra, NOT_A_SETTING: "1"})

    @where(has("sign"))
    def test_signing_twice_is_one_agreement(self) -> None:
        """Terms that come again work, before the payer signs, and are one agreement; so are those that also pay."""
        world = self.world()
        provider = online(world)
        paying = agreeing(provider).paying_ways
        every = [*world.terms(), *(first_payment(world, one) for one in world.terms() if one.way in paying)]
        for terms in every:
            sign_there(provider, terms)
            again = attempt(partial(sign_there, provider, terms), f"sign {terms.way} again")
            assert not isinstance(again, ProviderError), f"sign {terms.way} again: {type(again).__name__}: {again}"
            signed_agreement(world, provider, terms)
            assert world.agreements(terms) == 1, f"{terms.way}: {world.agreements(terms)} agreements instead of one"
            if terms.first is not None:
                assert world.payments(terms.first) == 1, f"{terms.way}: {world.payments(terms.first)} first payments"

    @where(has("sign"))
    def test_an_agreement_waits_for_its_payer(self) -> None:
        """Before the payer signs, reply and query say PENDING, or nothing, and name our number and no payment."""
        world = self.world()
        provider = online(world)
        for terms in world.terms():
            for fact in (*sign_there(provider, terms).facts, *provider.query(terms.ref)):
                assert fact.kind is Kind.PENDING, f"{terms.way}: nobody signed yet, and it is {fact.kind}"
                assert fact.ref.is_agreement, f"{terms.way}: PENDING names {fact.ref}, and not the agreement"
                assert fact.ref.our_agreement == terms.ref.our_agreement, f"{terms.way}: another number than ours"

    @where(has("sign"))
    def test_a_signing_whose_time_is_over_waits_for_nobody(self) -> None:
        """A day after its time is over, a query says FAILED or ENDED, or nothing."""
        world = self.world()
        provider = online(world)
        for way in range(len(world.terms())):
            terms = world.terms()[way]
            sign_there(provider, terms)
            world.clock.advance(LONG_AFTER)
            kinds = {fact.kind for fact in provider.query(terms.ref)}
            assert kinds <= {Kind.FAILED, Kind.ENDED}, f"{terms.way}: nobody can sign any more, and it is {kinds}"

    @where(has("sign"))
    def test_a_signed_agreement_is_told_alike_on_every_road(self) -> None:
        """Message and query say SIGNED under one key, with both numbers, whatever number the query knows.

        A callback has no field of ours: it names the agreement by the number that the terms gave.
        """
        world = self.world()
        provider = online(world)
        for terms in world.terms():
            agreement = signed_agreement(world, provider, terms)
            told = [*_learnt_of(world, provider, agreement, Kind.SIGNED)]
            for name, ref in ways_to_name(agreement.ref):
                told.append((f"query by {name}", first_of_kind(provider.query(ref), Kind.SIGNED, f"query by {name}")))
            _check_told_alike(world, provider, told, agreement)

    @where(has("sign"))
    def test_an_unknown_agreement_is_no_fact(self) -> None:
        """`()` when the provider knows no such agreement: a query or a cancel ends nothing."""
        world = self.world()
        provider, ref = online(world), world.unknown_agreement()
        assert provider.query(ref) == (), "something is known of an agreement that is not there"
        if "cancel" in world.traits.verbs:
            assert cancel_there(provider, ref) == (), "ended what is not there"

    @where(has("sign"))
    def test_an_agreement_that_the_payer_left_has_ended(self) -> None:
        """Message and query say ENDED under one key, with both numbers, and by nobody else than the payer."""
        world = self.world()
        provider = online(world)
        agreement = signed_agreement(world, provider)
        messages = world.leave(agreement.terms)
        told = [("message", fact) for message in messages for fact in learnt(world, provider, message, "of an end")]
        for name, ref in ways_to_name(agreement.ref):
            facts = provider.query(ref)
            told.append((f"query by {name}", first_of_kind(facts, Kind.ENDED, f"query by {name}")))
            latest = max((fact for fact in facts if fact.kind in AGREEMENT_KINDS), key=lambda fact: fact.at)
            assert latest.kind is Kind.ENDED, f"query by {name}: {latest.kind} is told as the latest word"
        _check_told_alike(world, provider, told, agreement)
        for road, fact in told:
            assert fact.ending in (Ending.PAYER, None), f"{road}: the payer ended it, and it is told as {fact.ending}"

    @where(lambda traits: {"sign", "cancel"} <= set(traits.verbs))
    def test_cancelling_ends_an_agreement_once(self) -> None:
        """Cancel says ENDED, by us, or a query does; again it is no error, and the same under one key."""
        world = self.world()
        provider = online(world)
        agreement = signed_agreement(world, provider)
        told = [("reply to cancel", fact) for fact in cancel_there(provider, agreement.ref)]
        world.clock.advance(BETWEEN_ACTS)
        told += [("reply to cancel again", fact) for fact in cancel_there(provider, agreement.ref)]
        told.append(("query", first_of_kind(provider.query(agreement.ref), Kind.ENDED, "query")))
        _check_told_alike(world, provider, told, agreement)
        for road, fact in told:
            assert fact.kind is Kind.ENDED, f"{road}: ended by us, and told as {fact.kind}"
            assert fact.ending in (Ending.US, None), f"{road}: we ended it, and it is told as {fact.ending}"

    @where(has("sign"))
    def test_an_old_message_does_not_revive_an_agreement(self) -> None:
        """SIGNED that comes again after the end has the provider's time of the signing, which is before the end."""
        world = self.world()
        provider = online(world)
        agreement = signed_agreement(world, provider)
        world.leave(agreement.terms)
        ended = first_of_kind(provider.query(agreement.ref), Kind.ENDED, "query after the end")
        world.clock.advance(BETWEEN_ACTS)
        for message in agreement.messages:
            outcome = received(provider, message, "an old message")
            facts = outcome.facts if isinstance(outcome, Received) else ()
            for fact in of_kind(facts, Kind.SIGNED):
                assert fact.at <= ended.at, f"an old message says SIGNED at {fact.at}, after the end at {ended.at}"

    @where(has("sign"))
    @needs_hook("lapse")
    def test_an_end_in_silence_is_found_by_a_query(self) -> None:
        """Once its validity is over, a query says ENDED, by time."""
        world = self.world()
        provider = online(world)
        agreement = signed_agreement(world, provider)
        world.lapse(agreement.terms)
        ended = first_of_kind(provider.query(agreement.ref), Kind.ENDED, "query")
        check_fact(world, provider, ended, "query")
        assert ended.ending in (Ending.TIME, None), f"its time was over, and it is told as {ended.ending}"

    @where(has("sign"))
    def test_paying_and_signing_tells_two_things(self) -> None:
        """Where one act pays and signs, PAID names the payment and SIGNED the agreement, and each is asked about by
        its own number."""
        world = self.world()
        provider = online(world)
        for way in (terms for terms in world.terms() if terms.way in agreeing(provider).paying_ways):
            terms = first_payment(world, way)
            assert terms.first is not None
            agreement = signed_agreement(world, provider, terms)
            told = [fact for message in agreement.messages for fact in learnt(world, provider, message, "pay and sign")]
            asked = [*provider.query(terms.first.ref), *provider.query(agreement.ref)]
            for road, facts in (("messages", told), ("queries", asked)):
                if facts:
                    _check_two_things(facts, terms.first.ref, agreement, f"{road} of {terms.way}")
            paid = [fact for fact in (*told, *asked) if fact.kind is Kind.PAID]
            assert len({key_of(fact) for fact in paid}) == 1, f"{terms.way}: one first payment, several keys"
            assert {fact.money for fact in paid} == {terms.first.money}, f"{terms.way}: another amount was paid"

    @where(has("sign"))
    def test_a_spoilt_message_about_an_agreement_changes_nothing(self) -> None:
        """Any bit of what the provider tells of an agreement flipped, any part of its signature missing: refused, or
        the very same facts."""
        world = self.world()
        provider, samples = offline(world), world.samples()
        named = [name for name in ("signed", "ended") if name in samples]
        assert named or not world.traits.messages_prove, "World.samples has no message about an agreement"
        for name in named:
            message = samples[name].message
            facts = stated(facts_of(provider, message, name))
            spoilt = [message.__class__(message.source, body, message.headers) for _, body in flipped(message.body)]
            spoilt += [part.write(message, None) for part in world.signature_parts]
            for one in spoilt:
                outcome = received(provider, one, f"{name}, spoilt")
                if isinstance(outcome, Received):
                    assert stated(outcome.facts) == facts, f"{name}, spoilt: accepted, and the facts changed"

    @where(lambda traits: "sign" in traits.verbs and traits.messages_prove)
    @needs_hook("agreement_document")
    def test_an_odd_document_about_an_agreement_does_no_harm(self) -> None:
        """Well-signed, with members missing or mistyped: refused, or no SIGNED and no ENDED of another agreement; a
        status word that nobody knows decides nothing."""
        world = self.world()
        provider, document = offline(world), world.agreement_document()
        genuine = document.sign(document.content)
        assert genuine is not None, "Document.sign cannot sign its own content"
        fact = first_of_kind(facts_of(provider, genuine, "unchanged"), Kind.SIGNED, "the document unchanged")
        for what, content in odd_documents(document.content):
            message = document.sign(content)
            read = None if message is None else received(provider, message, what)
            for said in read.facts if isinstance(read, Received) else ():
                if said.kind in AGREEMENT_KINDS:
                    check = (said.ref.agreement, said.ref.our_agreement, said.account)
                    assert None not in check, f"{what}: {said.kind} without a number, or without saying whose it is"
                    assert said.kind is fact.kind, f"{what}: read as {said.kind}"
        if document.status:
            message = document.sign(replaced(document.content, document.status, UNKNOWN_WORD))
            assert message is not None
            kinds = {said.kind for said in facts_of(provider, message, "an unknown status word")}
            assert kinds <= {Kind.PENDING}, f"an unknown status word was read as {sorted(kinds)}"

    @where(has("sign"))
    @needs_hook("show_agreement_status")
    def test_an_unknown_status_word_decides_nothing_about_an_agreement(self) -> None:
        """A status word in an answer that nobody knows means PENDING, or nothing: never signed, failed or ended."""
        world = self.world()
        provider = online(world)
        agreement = signed_agreement(world, provider)
        world.show_agreement_status(agreement.terms, UNKNOWN_WORD)
        kinds = {fact.kind for fact in provider.query(agreement.ref)}
        assert kinds <= {Kind.PENDING}, f"an unknown status word was read as {sorted(kinds)}"


def _learnt_of(world: World, provider: Provider, agreement: Signed, kind: Kind) -> Iterator[tuple[str, Fact]]:
    for message in agreement.messages:
        for fact in of_kind(learnt(world, provider, message, "of an agreement"), kind):
            yield message.source, fact


def _check_told_alike(world: World, provider: Provider, told: list[tuple[str, Fact]], agreement: Signed) -> None:
    """One key, both numbers, and everything that holds for any fact."""
    for road, fact in told:
        check_fact(world, provider, fact, road)
        ours = agreement.terms.ref.our_agreement
        assert fact.ref.our_agreement == ours, f"{road}: our number is {ours}, and told as {fact.ref.our_agreement}"
    keys = {road: key_of(fact) for road, fact in told}
    assert len(set(keys.values())) == 1, f"one agreement, several keys: {keys}"


def _check_two_things(facts: list[Fact], payment: Ref, agreement: Signed, what: str) -> None:
    paid = first_of_kind(facts, Kind.PAID, what)
    word = first_of_kind(facts, Kind.SIGNED, what)
    assert paid.ref.ours == payment.ours, f"{what}: PAID names {paid.ref}"
    assert word.ref.is_agreement, f"{what}: SIGNED names {word.ref}, a payment"
    assert word.ref.our_agreement == agreement.terms.ref.our_agreement, f"{what}: SIGNED of another agreement"
