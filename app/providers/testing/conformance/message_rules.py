"""Rules for `receive`: who is believed, and what is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.providers import Fact, Forged, Kind, Message, Received
from app.providers.testing.conformance.checks import (
    UNKNOWN_WORD,
    RuleGroup,
    accepted,
    check_asks,
    check_money,
    check_numbers,
    check_raw,
    check_texts,
    check_times,
    facts_of,
    must_be_refused,
    must_change_nothing,
    offline,
    one_paid,
    online,
    received,
    replaced,
    where,
)
from app.providers.testing.conformance.journeys import paid
from app.providers.testing.conformance.spoiling import GARBAGE, MISLABELS, flipped, odd_documents, spoilt_texts
from app.providers.testing.conformance.world import Document, World

A_YEAR = timedelta(days=365)


class MessageRules(RuleGroup):
    """Who is believed."""

    def test_a_genuine_message_says_what_happened(self) -> None:
        """Each genuine message is accepted and states the facts that belong to its situation, in order."""
        world = self.world()
        provider, samples = offline(world), world.samples()
        assert "paid" in samples, "World.samples lacks the paid one"
        for name, sample in samples.items():
            facts = facts_of(provider, sample.message, name)
            assert tuple(fact.kind for fact in facts) == sample.kinds, f"{name}: the facts are of other kinds"
            read = accepted(provider, sample.message, name)
            if sample.asks is not None:
                assert read.asks == sample.asks, f"{name}: asks about {read.asks}, and not about {sample.asks}"
            check_asks(read, name)

    def test_the_same_message_always_says_the_same(self) -> None:
        """Receiving keeps no state: again, and by another instance, a message says the same."""
        world = self.world()
        provider, another = offline(world), offline(world)
        for name, sample in world.samples().items():
            facts = facts_of(provider, sample.message, name)
            assert facts_of(provider, sample.message, name) == facts, f"{name}: other facts the second time"
            assert facts_of(another, sample.message, name) == facts, f"{name}: other facts from another instance"

    def test_a_flipped_bit_in_the_body_changes_nothing(self) -> None:
        """Any bit of the body flipped: refused, or the very same facts."""
        world = self.world()
        provider, message = offline(world), _paid(world)
        facts = facts_of(provider, message, "paid")
        for at, body in flipped(message.body):
            must_change_nothing(provider, replace(message, body=body), facts, f"bit {at} of the body flipped")

    def test_a_spoilt_signature_changes_nothing(self) -> None:
        """Any bit of any part of the signature flipped, or the part cut or doubled: refused, or the very same facts."""
        world = self.world()
        provider, message = offline(world), _paid(world)
        facts = facts_of(provider, message, "paid")
        for part in world.signature_parts:
            for how, text in spoilt_texts(part.read(message)):
                must_change_nothing(provider, part.write(message, text), facts, f"{part.name} {how}")

    def test_an_empty_or_missing_signature_part_is_refused(self) -> None:
        """A message whose signature lacks a part is refused: removed, empty, or blank."""
        world = self.world()
        provider, message = offline(world), _paid(world)
        assert world.signature_parts, "World.signature_parts is empty"
        for part in world.signature_parts:
            assert part.read(message), f"{part.name} is empty in a genuine message"
            for how, value in (("missing", None), ("empty", ""), ("blank", " ")):
                must_be_refused(provider, part.write(message, value), f"{part.name} {how}")

    def test_a_forgery_is_refused(self) -> None:
        """What another key signed, or no key, is refused however right the rest is."""
        world = self.world()
        provider, forgeries = offline(world), world.forgeries()
        assert forgeries, "World.forgeries is empty"
        for name, message in forgeries.items():
            must_be_refused(provider, message, name)

    def test_another_merchants_message_is_not_ours(self) -> None:
        """A genuine message of another merchant is refused, or its facts name that other account."""
        world = self.world()
        provider, foreign = offline(world), world.foreign()
        assert foreign, "World.foreign is empty"
        for name, message in foreign.items():
            outcome = received(provider, message, name)
            if isinstance(outcome, Received):
                accounts = {fact.account for fact in outcome.facts}
                assert None not in accounts, f"{name}: does not say whose money it is"
                assert provider.account not in accounts, f"{name}: taken for ours"

    @where(lambda traits: traits.freshness is not None)
    def test_a_stale_message_is_refused(self) -> None:
        """A message signed longer ago, or further ahead, than `Traits.freshness` is refused; a fresher one is not."""
        traits = self.world_class.traits
        assert traits.freshness is not None
        ahead = traits.freshness if traits.freshness_ahead is None else traits.freshness_ahead
        self._check_fresh_until(traits.freshness.total_seconds(), 1, f"{traits.freshness} ago")
        self._check_fresh_until(ahead.total_seconds(), -1, f"{ahead} ahead of us")

    def _check_fresh_until(self, seconds: float, sign: int, when: str) -> None:
        for beyond in (-2, 2):
            world = self.world()
            provider, message = offline(world), _paid(world)
            world.clock.advance(sign * (seconds + beyond))
            if beyond > 0:
                must_be_refused(provider, message, f"signed {when} and a little more")
            else:
                facts_of(provider, message, f"signed not quite {when}")

    def test_the_wall_clock_does_not_matter(self) -> None:
        """A year earlier or later, by `tools.clock`, payments and messages work as they do today."""
        for years in (-1, 1):
            world = self.world(moved=years * A_YEAR)
            provider = offline(world)
            paid(world, online(world))
            for name, sample in world.samples().items():
                facts = facts_of(provider, sample.message, f"{name}, {years} year away")
                assert tuple(fact.kind for fact in facts) == sample.kinds, f"{name}, {years} year away: other facts"

    def test_only_a_stored_message_is_acknowledged(self) -> None:
        """The words after success are not those after a failure, nor those to a forger; signed times are given."""
        world = self.world()
        provider = offline(world)
        outcome = received(provider, _paid(world), "paid")
        assert isinstance(outcome, Received)
        assert outcome.reply != outcome.failure, "the provider cannot tell success from failure"
        for name, message in world.forgeries().items():
            refusal = received(provider, message, name)
            if isinstance(refusal, Forged):
                assert refusal.reply != outcome.reply, f"{name}: acknowledged like a genuine message"
        if world.traits.freshness is not None:
            assert outcome.signed_at is not None, "signed_at is missing, though the provider signs a time"
            assert outcome.signed_at.utcoffset() == timedelta(0), "signed_at is not aware UTC"


class OddMessageRules(RuleGroup):
    """What is read in messages that nobody foresaw."""

    def test_garbage_is_refused(self) -> None:
        """Bytes that are no message of this provider are refused, with genuine headers and without."""
        world = self.world()
        provider, genuine = offline(world), _paid(world)

        def refuse(body: bytes) -> None:
            must_be_refused(provider, replace(genuine, body=body), "garbage under genuine headers")
            must_be_refused(provider, Message(genuine.source, body), "garbage without headers")

        for body in GARBAGE:
            refuse(body)
        _with_any_bytes(refuse)

    def test_a_mislabelled_message_changes_nothing(self) -> None:
        """A genuine body under another content type, query string or source: refused, or the very same facts."""
        world = self.world()
        provider, message = offline(world), _paid(world)
        facts = facts_of(provider, message, "paid")
        for label in MISLABELS:
            headers = {**message.headers, "content-type": label}
            must_change_nothing(provider, replace(message, headers=headers), facts, f"content type {label!r}")
        for other in (replace(message, query_string="a=1&b=%ff&sign="), _other_source(message)):
            must_change_nothing(provider, other, facts, "another query string or source")

    def test_an_odd_document_does_no_harm(self) -> None:
        """Well-signed, with members missing, mistyped, huge or nested: refused, or facts that are true and storable.

        Above all never PAID without the provider's number, nor with another amount than the genuine one.
        """
        world = self.world()
        provider, document = offline(world), world.document()
        genuine = document.sign(document.content)
        assert genuine is not None, "Document.sign cannot sign its own content"
        facts = facts_of(provider, genuine, "the document unchanged")
        paid = one_paid(facts, "the document unchanged") if world.traits.messages_prove else None
        for what, message in _odd_messages(world, document):
            outcome = received(provider, message, what)
            if isinstance(outcome, Received):
                check_asks(outcome, what)
                for fact in outcome.facts:
                    _check_harmless(world, fact, paid, what)

    @where(lambda traits: traits.has_status_words and traits.messages_prove)
    def test_an_unknown_status_word_means_pending(self) -> None:
        """A well-signed message with a status word that nobody knows is accepted and says PENDING, or nothing."""
        world = self.world()
        document = world.document()
        assert document.status, "Document.status is required where Traits.has_status_words"
        message = document.sign(replaced(document.content, document.status, UNKNOWN_WORD))
        assert message is not None
        kinds = {fact.kind for fact in facts_of(offline(world), message, "an unknown status word")}
        assert kinds <= {Kind.PENDING}, f"an unknown status word was read as {sorted(kinds)}"


def _paid(world: World) -> Message:
    return world.samples()["paid"].message


def _other_source(message: Message) -> Message:
    return replace(message, source="receipt" if message.source == "notification" else "notification")


def _odd_messages(world: World, document: Document) -> Iterator[tuple[str, Message]]:
    for what, content in odd_documents(document.content):
        message = document.sign(content)
        if message is not None:
            yield what, message
    yield from world.odd().items()


def _check_harmless(world: World, fact: Fact, genuine: Fact | None, what: str) -> None:
    check_times(fact, what)
    check_numbers(world.traits, fact, what)
    check_money(world.traits, fact, what)
    check_texts(fact, what)
    check_raw(fact, what)
    if fact.kind is Kind.PAID:
        assert genuine is not None, f"{what}: states a payment, though Traits.messages_prove is False"
        assert fact.money == genuine.money, f"{what}: read as a payment of {fact.money} instead of {genuine.money}"
        assert fact.account is not None, f"{what}: paid, without saying to whom"


def _with_any_bytes(check: Callable[[bytes], None]) -> None:
    @settings(max_examples=60, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=2_000))
    def run(body: bytes) -> None:
        check(body)

    run()
