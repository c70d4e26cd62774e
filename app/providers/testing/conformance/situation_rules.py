"""Rules for what rarely happens: disputes, live money, keys that change, rows that nobody can read, too little time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

from app.providers import Declined, Fact, Intent, Kind, Provider, Received, Scans, Tools, key_of
from app.providers.testing.conformance.checks import (
    RuleGroup,
    accepted,
    attempt,
    facts_of,
    has,
    learnt,
    must_be_refused,
    needs_hook,
    of_kind,
    online,
    where,
)
from app.providers.testing.conformance.journeys import MAX_PAGES, Heard, paid, scanned
from app.providers.testing.conformance.road_rules import said_in
from app.providers.testing.conformance.world import DisputeStep, World

ROUNDING = timedelta(minutes=1)
"""Providers that count in whole minutes are told up to so much less than `expires_at`."""
LONGER = timedelta(minutes=30)
"""By so much a second intent can be paid longer than a first."""
MOVES_NOTHING = frozenset({Kind.PAID, Kind.REFUND_ASKED})
"""What may be said of a paid payment while its payer's bank only asks."""


class DisputeRules(RuleGroup):
    """Money that the payer's bank asks for, takes, and gives back."""

    @needs_hook("dispute")
    def test_an_inquiry_takes_no_money(self) -> None:
        """A dispute that has moved no money is no fact on any road, or REFUND_ASKED."""
        for heard in self._told((DisputeStep.INQUIRY,)):
            assert heard.fact.kind in MOVES_NOTHING, f"{heard.road}: an inquiry is told as {heard.fact.kind}"

    @where(has("scan"))
    @needs_hook("dispute")
    def test_an_inquiry_is_no_refund_in_the_history(self) -> None:
        """The history of a payment whose payer's bank only asks says PAID, and nothing that moved money."""
        if DisputeStep.INQUIRY not in self.world_class.dispute_steps:
            return
        world = self.world()
        provider = online(world)
        intent, payment = paid(world, provider)
        world.dispute(intent, DisputeStep.INQUIRY)
        told = {heard.fact.kind for heard in scanned(world, provider) if heard.fact.ref.theirs == payment.ref.theirs}
        assert told <= MOVES_NOTHING, f"an inquiry is told as {sorted(told - MOVES_NOTHING)}"

    @needs_hook("dispute")
    def test_a_dispute_that_takes_the_money_is_a_refund(self) -> None:
        """Taken money is told as REFUNDED, by message or query, under one key and in one size on every road."""
        told = self._told((DisputeStep.INQUIRY, DisputeStep.TAKEN))
        if DisputeStep.TAKEN not in self.world_class.dispute_steps:
            return
        refunds = [heard for heard in told if heard.fact.kind is Kind.REFUNDED]
        assert refunds, "the money is gone, and no road says REFUNDED"
        keys = {heard.road: key_of(heard.fact) for heard in refunds}
        assert len(set(keys.values())) == 1, f"one dispute, several keys: {keys}"
        sizes = {(heard.fact.money, heard.fact.total, heard.fact.share) for heard in refunds}
        assert len(sizes) == 1, f"one dispute, several sizes: {sizes}"
        amounts = (heard.fact.money for heard in told if heard.fact.kind is Kind.PAID)
        paid_minor = max((money.minor for money in amounts if money), default=0)
        for heard in refunds:
            took = heard.fact.money or heard.fact.total
            fine = took is None or not paid_minor or took.minor <= paid_minor
            assert fine, f"{heard.road}: {took} was taken of {paid_minor}: what a dispute costs is its dispute_fee"

    @needs_hook("dispute")
    def test_a_won_dispute_is_undone_after_it_was_refunded(self) -> None:
        """A won dispute is told as REFUND_UNDONE under the number of its REFUNDED, which is told before."""
        if DisputeStep.WON not in self.world_class.dispute_steps:
            return
        told = self._told(tuple(DisputeStep))
        assert [heard for heard in told if heard.fact.kind is Kind.REFUND_UNDONE], "won, and no road says REFUND_UNDONE"
        _check_undone_after_refunded([heard.fact for heard in told], "the roads together")

    @needs_hook("dispute")
    def test_an_answer_about_a_won_dispute_tells_the_refund_too(self) -> None:
        """Whoever asks, or reads the history, only when it is over learns of the REFUNDED first and then that it is
        undone: what was undone alone undoes nothing."""
        if DisputeStep.WON not in self.world_class.dispute_steps:
            return
        world = self.world()
        provider = online(world)
        intent, payment = paid(world, provider)
        for step in world.dispute_steps:
            world.dispute(intent, step)
        _check_undone_after_refunded(provider.query(payment.ref), "query")
        if "scan" in world.traits.verbs:
            mine = [heard.fact for heard in scanned(world, provider) if heard.fact.ref.theirs == payment.ref.theirs]
            _check_undone_after_refunded(mine, "scan")

    def _told(self, steps: tuple[DisputeStep, ...]) -> list[Heard]:
        """All that is said of a payment while its dispute comes to these steps, as far as the provider has them."""
        world = self.world()
        provider = online(world)
        intent, payment = paid(world, provider)
        told: list[Heard] = []
        for step in (step for step in steps if step in world.dispute_steps):
            told += _dispute(world, provider, intent, payment, step)
        return told


class SituationRules(RuleGroup):
    """Each of these asks the world for one hook."""

    @needs_hook("live_world")
    def test_facts_of_a_live_world_say_that_it_is_live(self) -> None:
        """Where money moves, every fact on every road says `live`: it is read, and not fixed."""
        world = self.world().live_world()
        provider = online(world)
        told = list(said_in(world, provider))
        told += scanned(world, provider) if "scan" in world.traits.verbs else ()
        for heard in told:
            assert heard.fact.live, f"{heard.road}: {heard.fact.kind} of a live world is told as sandbox"

    @needs_hook("payable_until")
    def test_the_provider_is_told_when_a_payment_expires(self) -> None:
        """`start` passes `expires_at` on: not a later time, and no fixed one."""
        world = self.world()
        provider = online(world)
        for way in range(len(world.intents())):
            for longer in (timedelta(), LONGER):
                model = world.intents()[way]
                intent = replace(model, expires_at=model.expires_at + longer)
                provider.start(intent)
                world.visit(intent)
                told = world.payable_until(intent)
                if told is not None:
                    assert told <= intent.expires_at, f"{intent.way}: payable until {told}, not {intent.expires_at}"
                    assert told > intent.expires_at - ROUNDING, f"{intent.way}: over at {told}, long before it should"

    def test_too_little_time_is_refused(self) -> None:
        """Where the provider has `least_seconds`, `start` declines an intent with less, and makes no payment.

        An intent with so much time left is started.
        """
        world = self.world()
        provider = online(world)
        least: int | None = getattr(provider, "least_seconds", None)
        if least is None:
            return
        for way in range(len(world.intents())):
            short = replace(world.intents()[way], expires_at=world.clock.now() + timedelta(seconds=least - 1))
            result = attempt(partial(provider.start, short), f"start {short.way} with too little time")
            assert isinstance(result, Declined), f"start {short.way} with too little time: {type(result).__name__}"
            assert world.payments(short) == 0, f"{short.way}: declined, and made all the same"
            provider.start(replace(world.intents()[way], expires_at=world.clock.now() + timedelta(seconds=least)))

    @where(has("scan"))
    @needs_hook("spoil_row")
    def test_an_odd_row_stops_no_page(self) -> None:
        """A row that nobody can read is named in `Page.problems`; all other rows are told."""
        for odd in (0, 1):
            world = self.world()
            provider = online(world)
            payments = [paid(world, provider) for _ in range(2)]
            world.spoil_row(payments[odd][0])
            facts, problems = _pages(world, provider)
            good = payments[1 - odd][1]
            assert any(fact.ref.theirs == good.ref.theirs for fact in facts), "an odd row, and a good row is lost"
            assert problems, "a row that cannot be read is passed over in silence"
            spoilt = [fact for fact in facts if fact.ref.theirs == payments[odd][1].ref.theirs]
            assert not of_kind(spoilt, Kind.PAID), "a row that cannot be read is told as a payment"

    @needs_hook("rotations")
    def test_a_message_in_a_change_of_keys_is_read(self) -> None:
        """While keys change, a signature by any valid key is enough, wherever it stands; by none of them it is not."""
        world = self.world()
        rotations = world.rotations()
        assert rotations, "World.rotations is empty"
        for name, rotation in rotations.items():
            assert len(rotation.read) > 1, f"{name}: both orders are wanted"
            tools = Tools(http=world.http, clock=world.clock, keys=rotation.keys, live=world.live)
            for at, message in enumerate(rotation.read):
                provider = world.build(rotation.settings, tools)
                facts = facts_of(provider, message, f"{name}, message {at}")
                if world.traits.messages_prove:
                    assert of_kind(facts, Kind.PAID), f"{name}, message {at}: not read as paid"
            for at, message in enumerate(rotation.refused):
                must_be_refused(world.build(rotation.settings, tools), message, f"{name}, forgery {at}")

    @needs_hook("proofs")
    def test_a_proof_is_one_in_any_format(self) -> None:
        """One proof in differently written messages is one; two proofs are two."""
        world = self.world()
        provider, groups = online(world), world.proofs()
        written_twice = any(len(group) > 1 for group in groups)
        assert written_twice, "World.proofs: one proof has to be there in two formats"
        assert len(groups) > 1, "World.proofs: two proofs are wanted"
        names: list[str] = []
        for at, group in enumerate(groups):
            found = {_identity(accepted(provider, one, f"proof {at}"), one.body) for one in group}
            assert len(found) == 1, f"proof {at} is {len(found)} proofs when it is written differently"
            names += found
        assert len(set(names)) == len(groups), "two proofs are taken for one"


def _dispute(world: World, provider: Provider, intent: Intent, payment: Fact, step: DisputeStep) -> Iterator[Heard]:
    for message in world.dispute(intent, step):
        road = f"{message.source} of a dispute ({step})"
        read = accepted(provider, message, road)
        yield from (Heard(road, fact) for fact in learnt(world, provider, message, road))
        if world.traits.messages_prove:
            answers = (fact for ref in read.asks for fact in provider.query(ref))
            yield from (Heard(f"answer to what a {road} asks", fact) for fact in answers)
    yield from (Heard(f"query in a dispute ({step})", fact) for fact in provider.query(payment.ref))


def _check_undone_after_refunded(facts: list[Fact] | tuple[Fact, ...], what: str) -> None:
    refunded: set[str | None] = set()
    for fact in facts:
        if fact.kind is Kind.REFUNDED:
            refunded.add(fact.ref.refund)
        if fact.kind is Kind.REFUND_UNDONE:
            assert fact.ref.refund in refunded, f"{what}: {fact.ref.refund} is undone, and was never told as refunded"


def _pages(world: World, provider: Provider) -> tuple[list[Fact], list[str]]:
    """The facts and the problems of every feed."""
    assert isinstance(provider, Scans)
    since, until = world.history_window()
    facts: list[Fact] = []
    problems: list[str] = []
    for feed in provider.feeds:
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = provider.scan(feed, since, until, cursor)
            facts += page.facts
            problems += page.problems
            if (cursor := page.cursor) is None:
                break
    return facts, problems


def _identity(read: Received, body: bytes) -> str:
    return read.proof or body.decode("latin-1")
