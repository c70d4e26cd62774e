"""Rules for money that goes back, by our refund or without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

from app.domain.money import Money
from app.providers import Declined, Fact, Intent, Kind, Provider, key_of
from app.providers.facts import REFUND_KINDS
from app.providers.testing.conformance.checks import (
    UNKNOWN_WORD,
    RuleGroup,
    attempt,
    check_fact,
    has,
    learnt,
    needs_hook,
    of_kind,
    online,
    where,
)
from app.providers.testing.conformance.journeys import (
    MOST_CURRENCIES,
    Heard,
    paid,
    paid_amount,
    refund_ref,
    refund_there,
    scanned,
)
from app.providers.testing.conformance.world import World

A_WHILE = timedelta(days=2)
"""Longer than providers remember an idempotency key (24 hours is usual)."""


class RefundRules(RuleGroup):
    """Giving money back."""

    @where(has("refund"))
    def test_a_repeated_refund_pays_once(self) -> None:
        """A refund number that is sent again gives nothing more back."""
        world = self.world()
        provider = online(world)
        intent, fact = paid(world, provider)
        part = _part(fact, 3)
        for _ in range(2):
            refund_there(provider, refund_ref(fact), part)
        assert world.refunded(intent) == part.minor, f"{world.refunded(intent)} given back instead of {part.minor}"

    @where(has("refund"))
    def test_a_refund_repeated_days_later_pays_once(self) -> None:
        """A refund number that is sent again gives nothing more back, also if the provider forgot the request."""
        world = self.world()
        provider = online(world)
        intent, fact = paid(world, provider)
        part = _part(fact, 3)
        for _ in range(2):
            attempt(partial(refund_there, provider, refund_ref(fact), part), "a refund")
            world.clock.advance(A_WHILE.total_seconds())
        assert world.refunded(intent) == part.minor, f"{world.refunded(intent)} given back instead of {part.minor}"

    @where(has("refund"))
    def test_two_refunds_give_back_both(self) -> None:
        """Two numbers are two refunds, with keys of their own, each told in its own size, as `money` of this refund or
        as the `total` of both."""
        world = self.world()
        provider = online(world)
        intent, fact = paid(world, provider)
        part, keys = _part(fact, 3), set()
        for number in (1, 2):
            for told in _refund_story(world, provider, fact, number, part):
                keys.add(key_of(told))
                assert told.money in (part, None), f"refund {number} of {part} is told as {told.money}"
                total = replace(part, minor=number * part.minor)
                assert told.total in (total, None), f"{total} went back so far, and {told.total} is told as the total"
        assert world.refunded(intent) == 2 * part.minor, f"{world.refunded(intent)} given back, not {2 * part.minor}"
        assert len(keys) == 2, f"two refunds, but the keys {sorted(keys)}"

    @where(has("refund"))
    def test_a_refund_has_one_key_on_every_road(self) -> None:
        """Reply, message and query tell a refund under one key, with our number and a size that can be compared."""
        world = self.world()
        provider = online(world)
        _, fact = paid(world, provider)
        told = _refund_story(world, provider, fact, 1, _part(fact, 2))
        assert told, "no road says REFUNDED once the refund is settled"
        for refunded in told:
            check_fact(world, provider, refunded, "a refund")
        assert len({key_of(refunded) for refunded in told}) == 1, f"several keys: {sorted(map(key_of, told))}"
        sizes = {told_as for refunded in told if (told_as := refunded.money or refunded.total)}
        assert sizes <= {_part(fact, 2)}, f"one first refund, but the sizes {sizes}"

    @where(has("refund"))
    def test_each_currency_is_refunded_as_it_was_paid(self) -> None:
        """A part that is given back in each of `Provider.currencies` is that part at the provider, and in the fact."""
        world = self.world()
        provider = online(world)
        for currency in provider.currencies[:MOST_CURRENCIES]:
            intent, fact = paid_amount(world, provider, Money(1_999, currency))
            part = Money(1_001, currency)
            told = _refund_story(world, provider, fact, 1, part)
            assert world.refunded(intent) == part.minor, f"{world.refunded(intent)} given back instead of {part}"
            assert {one.money for one in told} <= {part, None}, f"{part} went back, and it is told as {told}"

    @where(has("refund"))
    @needs_hook("hold_refund")
    def test_a_refund_that_is_only_accepted_is_pending(self) -> None:
        """What the provider took on and has not done is REFUND_PENDING, in the reply and in a query, until it is done:
        the coins would go for money that is still here."""
        world = self.world()
        provider = online(world)
        _, fact = paid(world, provider)
        ref = refund_ref(fact)
        world.hold_refund()
        told = (*refund_there(provider, ref, _part(fact, 2)), *provider.query(ref))
        wrong = {said.kind for said in told} - {Kind.REFUND_PENDING}
        assert not wrong, f"accepted and not done, and told as {sorted(wrong)}"
        world.settle_refund(ref)
        assert of_kind(provider.query(ref), Kind.REFUNDED), "it is done, and a query does not say REFUNDED"

    @where(has("refund"))
    @needs_hook("fail_refund")
    def test_a_refund_that_fails_afterwards_is_told(self) -> None:
        """A refund that fails after all is REFUND_FAILED under its number, and that is the last word by its time."""
        world = self.world()
        provider = online(world)
        _, fact = paid(world, provider)
        told = _refund_story(world, provider, fact, 1, _part(fact, 2))
        ref = refund_ref(fact)
        world.clock.advance(A_WHILE.total_seconds())
        for message in world.fail_refund(ref):
            told += learnt(world, provider, message, "the message of a refund that failed")
        asked = provider.query(ref)
        assert of_kind(asked, Kind.REFUND_FAILED), "the refund failed, and a query does not say REFUND_FAILED"
        mine = [said for said in (*told, *asked) if said.ref.refund == ref.refund]
        last = max(mine, key=lambda said: (said.at, said.kind is Kind.REFUND_FAILED))
        assert last.kind is Kind.REFUND_FAILED, f"the refund failed, and the latest word by its time is {last.kind}"

    @where(has("refund"))
    @needs_hook("show_refund_status")
    def test_an_unknown_word_for_a_refund_decides_nothing(self) -> None:
        """A status word of a refund that nobody knows means REFUND_PENDING, or nothing: not refunded, not failed."""
        world = self.world()
        provider = online(world)
        _, fact = paid(world, provider)
        ref = refund_ref(fact)
        refund_there(provider, ref, _part(fact, 2))
        world.settle_refund(ref)
        world.show_refund_status(ref, UNKNOWN_WORD)
        kinds = {said.kind for said in provider.query(ref)}
        assert kinds <= {Kind.REFUND_PENDING}, f"an unknown status word was read as {sorted(kinds)}"

    @where(has("refund"))
    def test_more_than_was_paid_is_declined(self) -> None:
        """A refund of more than the payment is a definite no, and gives nothing back."""
        world = self.world()
        provider = online(world)
        intent, fact = paid(world, provider)
        assert fact.money is not None
        more = Money(fact.money.minor + 1, fact.money.currency)
        result = attempt(lambda: refund_there(provider, refund_ref(fact), more), "refund of more than was paid")
        assert isinstance(result, Declined), f"refund of more than was paid: {type(result).__name__}"
        assert world.refunded(intent) == 0, "money was given back all the same"

    @where(lambda traits: traits.takes_back)
    def test_a_refund_by_the_provider_is_told_alike_on_every_road(self) -> None:
        """Money that goes back without our asking is told by message, query and history under one key and in one size.

        What was paid stays paid: nothing says that it is closed or failed, or waits again.
        """
        world = self.world()
        provider = online(world)
        intent, payment = paid(world, provider)
        told = list(_taken_back(world, provider, intent, payment))
        wrong = {heard.fact.kind for heard in told} - {Kind.PAID, *REFUND_KINDS}
        assert not wrong, f"of a refunded payment it is said that it is {sorted(wrong)}"
        refunds = [heard for heard in told if heard.fact.kind is Kind.REFUNDED]
        assert {heard.road for heard in refunds} >= {"query"}, "a query does not know of the refund"
        for heard in refunds:
            check_fact(world, provider, heard.fact, heard.road)
        keys = {heard.road: key_of(heard.fact) for heard in refunds}
        assert len(set(keys.values())) == 1, f"one refund, several keys: {keys}"
        sizes = {(heard.fact.money, heard.fact.total, heard.fact.share) for heard in refunds}
        assert len(sizes) == 1, f"one refund, several sizes: {sizes}"


def _taken_back(world: World, provider: Provider, intent: Intent, payment: Fact) -> Iterator[Heard]:
    """All that is said about a payment, once its money went back without our asking."""
    for message in world.take_back(intent):
        yield from (Heard(message.source, fact) for fact in learnt(world, provider, message, "of a refund"))
    yield from (Heard("query", fact) for fact in provider.query(payment.ref))
    if "scan" in world.traits.verbs:
        yield from (heard for heard in scanned(world, provider) if heard.fact.ref.theirs == payment.ref.theirs)


def _part(fact: Fact, divisor: int) -> Money:
    assert fact.money is not None, "a provider that refunds has to tell what was paid"
    return replace(fact.money, minor=fact.money.minor // divisor)


def _refund_story(world: World, provider: Provider, fact: Fact, number: int, money: Money) -> list[Fact]:
    """The REFUNDED facts of one refund: from the reply, the messages (which may repeat earlier ones) and a query."""
    ref = refund_ref(fact, number)
    told = list(refund_there(provider, ref, money))
    messages = [learnt(world, provider, message, "the message of a refund") for message in world.settle_refund(ref)]
    told += provider.query(ref)
    for said in told:
        if said.kind in REFUND_KINDS:
            assert said.ref.refund == ref.refund, f"refund {ref.refund} is told as {said.ref.refund}"
    told += [said for facts in messages for said in facts if said.ref.refund == ref.refund]
    return list(of_kind(told, Kind.REFUNDED))
