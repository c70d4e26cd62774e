"""Rules for the time in a fact: when it happened, by the provider's clock, whoever hears of it and however late.

The latest word about a refund, a dispute or an agreement counts, so a wrong time lets an older word win.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from app.providers import Fact, Kind, Message, Provider
from app.providers.testing.conformance.agreement_journeys import sign_there
from app.providers.testing.conformance.checks import RuleGroup, has, learnt, needs_hook, of_kind, online, where
from app.providers.testing.conformance.journeys import (
    Heard,
    paid,
    refund_ref,
    refund_there,
    scanned,
    started_payment,
)
from app.providers.testing.conformance.world import DisputeStep, World

LATER = timedelta(minutes=12)
"""Between one act and the next, and between the last act and the question: less than a payment can be paid for."""
SLACK = timedelta(minutes=1)
"""Providers that count in whole minutes are that far off."""


class TimeRules(RuleGroup):
    """`Fact.at`."""

    def test_a_payment_is_told_at_its_own_time(self) -> None:
        """PAID has the time at which it was paid, on every road: not when it was started, told or asked about, not the
        machine's time, and not one of another zone."""
        world = self.world()
        provider = online(world)
        for way in range(len(world.intents())):
            intent = started_payment(world, provider, way)
            at = _later(world)
            told = list(_heard(world, provider, world.pay(intent)))
            ref = told[0].fact.ref if told else intent.ref
            _later(world)
            told += [Heard("query", fact) for fact in provider.query(ref)]
            _check_all(told, Kind.PAID, at, at, intent.way)
        if "scan" in world.traits.verbs:
            intent, payment = paid(world, provider)
            at = world.clock.now()
            mine = [heard for heard in scanned(world, provider) if heard.fact.ref.theirs == payment.ref.theirs]
            _check_all(mine, Kind.PAID, at, at, intent.way)

    @where(has("refund"))
    def test_a_refund_is_told_at_its_own_time(self) -> None:
        """REFUNDED has the time of the refund, and not that of the payment or of the question."""
        world = self.world()
        provider = online(world)
        _, payment = paid(world, provider)
        assert payment.money is not None, "a provider that refunds has to tell what was paid"
        asked, ref = _later(world), refund_ref(payment)
        told = [Heard("reply to refund", fact) for fact in refund_there(provider, ref, payment.money)]
        settled = _later(world)
        told += _heard(world, provider, world.settle_refund(ref))
        _later(world)
        told += [Heard("query", fact) for fact in provider.query(ref)]
        _check_all(told, Kind.REFUNDED, asked, settled, "a refund")

    @needs_hook("dispute")
    def test_a_dispute_is_told_at_its_own_times(self) -> None:
        """What a dispute took, and gave back, is told at the time of just that."""
        world = self.world()
        provider = online(world)
        intent, payment = paid(world, provider)
        times: dict[DisputeStep, datetime] = {}
        for step in world.dispute_steps:
            times[step] = _later(world)
            world.dispute(intent, step)
        _later(world)
        told = [Heard("query", fact) for fact in provider.query(payment.ref)]
        for step, kind in ((DisputeStep.TAKEN, Kind.REFUNDED), (DisputeStep.WON, Kind.REFUND_UNDONE)):
            if step in times:
                _check_all(told, kind, times[step], times[step], "a dispute")

    @where(has("sign"))
    def test_an_agreement_is_told_at_its_own_times(self) -> None:
        """SIGNED has the time of the signing, by message and query, and ENDED that of the end: neither that of the
        offer, nor that of the message or question."""
        world = self.world()
        provider = online(world)
        for way in range(len(world.terms())):
            terms = world.terms()[way]
            sign_there(provider, terms)
            signed = _later(world)
            told = list(_heard(world, provider, world.agree(terms)))
            _later(world)
            told += [Heard("query", fact) for fact in provider.query(terms.ref)]
            _check_all(told, Kind.SIGNED, signed, signed, terms.way)
            ref = next(heard.fact.ref for heard in told if heard.fact.kind is Kind.SIGNED)
            ended = _later(world)
            told = list(_heard(world, provider, world.leave(terms)))
            _later(world)
            told += [Heard("query", fact) for fact in provider.query(ref)]
            _check_all(told, Kind.ENDED, ended, ended, terms.way)


def _later(world: World) -> datetime:
    """The time after a while has passed."""
    world.clock.advance(LATER.total_seconds())
    return world.clock.now()


def _heard(world: World, provider: Provider, messages: tuple[Message, ...]) -> Iterator[Heard]:
    for message in messages:
        yield from (Heard(message.source, fact) for fact in learnt(world, provider, message, "a genuine message"))


def _check_all(told: list[Heard], kind: Kind, since: datetime, until: datetime, what: str) -> None:
    """Every fact of that kind, of which there is one at least, happened between the two moments."""
    facts: list[tuple[str, Fact]] = [(heard.road, fact) for heard in told for fact in of_kind([heard.fact], kind)]
    assert facts, f"{what}: nothing says {kind}"
    for road, fact in facts:
        within = since - SLACK <= fact.at <= until + SLACK
        assert within, f"{what}, {road}: {kind} at {fact.at}, and it was between {since} and {until}"
