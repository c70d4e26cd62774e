"""Rules for what the facts of one payment say, on whichever road they come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from app.domain.money import Money
from app.providers import Declined, Fact, Kind, Provider, ProviderError, key_of
from app.providers.facts import REFUND_KINDS
from app.providers.testing.conformance.checks import (
    UNKNOWN_WORD,
    Rules,
    attempt,
    check_fact,
    check_money,
    check_numbers,
    check_raw,
    check_texts,
    check_times,
    facts_of,
    has,
    of_kind,
    one_paid,
    online,
    where,
)
from app.providers.testing.conformance.journeys import (
    Heard,
    cancel,
    heard_of_a_payment,
    paid,
    refund,
    refund_ref,
    scanned,
    started,
)
from app.providers.testing.conformance.world import World


class FactRules(Rules):
    """What every fact carries, on every road."""

    def test_times_are_aware_utc(self) -> None:
        """Every time in a fact is aware, and UTC."""
        for heard in self._said():
            check_times(heard.fact, heard.road)

    def test_paid_names_the_payment(self) -> None:
        """PAID carries the provider's own number of the payment, and ours unless the provider never learns it."""
        for heard in self._said():
            check_numbers(self.world_class.traits, heard.fact, heard.road)

    def test_amounts_are_told(self) -> None:
        """PAID tells its amount; REFUNDED tells its size as exactly one of money, total and share, and its number."""
        for heard in self._said():
            check_money(self.world_class.traits, heard.fact, heard.road)

    def test_facts_can_be_stored(self) -> None:
        """Numbers, account, product and owner are printable texts of at most 255 characters."""
        for heard in self._said():
            check_texts(heard.fact, heard.road)

    def test_raw_is_json(self) -> None:
        """What is kept for audit can be written as strict JSON."""
        for heard in self._said():
            check_raw(heard.fact, heard.road)

    def test_facts_say_whose_money_it_is(self) -> None:
        """Every fact names the merchant account, in the very form of `Provider.account`."""
        world = self.world()
        account = online(world).account
        assert account, "Provider.account is empty"
        for heard in _said_in(world, online(world)):
            assert heard.fact.account == account, f"{heard.road}: account is {heard.fact.account!r}, not {account!r}"

    def test_paid_says_what_was_ordered(self) -> None:
        """PAID repeats our number and the ordered amount; where a store never learns the number, the owner token."""
        world = self.world()
        provider, traits = online(world), world.traits
        for way in range(len(world.intents())):
            intent, fact = paid(world, provider, way)
            if traits.names_our_number:
                assert fact.ref.ours == intent.ref.ours, f"{intent.way}: paid under another number than ours"
            else:
                assert fact.owner == intent.owner, f"{intent.way}: paid by another owner"
            if traits.tells_money:
                assert fact.money == intent.money, f"{intent.way}: {fact.money} paid instead of {intent.money}"

    def _said(self) -> list[Heard]:
        world = self.world()
        return list(_said_in(world, online(world)))


class RoadRules(Rules):
    """The same on every road."""

    def test_paid_has_one_key_on_every_road(self) -> None:
        """Reply, message and query name a payment by one key, so that it can only be credited once."""
        world = self.world()
        provider = online(world)
        for way in range(len(world.intents())):
            keys = {heard.road: key_of(heard.fact) for heard in heard_of_a_payment(world, provider, way)}
            assert len(set(keys.values())) == 1, f"one payment, several keys: {keys}"

    def test_no_road_contradicts_another(self) -> None:
        """What a road says about a payment (amount, live, product, owner), another one says too, or leaves out."""
        world = self.world()
        provider = online(world)
        for way in range(len(world.intents())):
            said = list(heard_of_a_payment(world, provider, way))
            for heard in said[1:]:
                _check_agrees(said[0], heard)

    def test_a_waiting_payment_is_pending(self) -> None:
        """Before the payer pays, a query says PENDING, or nothing."""
        world = self.world()
        provider = online(world)
        intent = started(world, provider)
        kinds = {fact.kind for fact in provider.query(intent.ref)}
        assert kinds <= {Kind.PENDING}, f"nobody paid yet, but the query says {sorted(kinds)}"

    def test_an_unknown_payment_is_no_fact(self) -> None:
        """Asked about a payment that it does not know, the provider's answer is `()`: it may know it later."""
        world = self.world()
        assert online(world).query(world.unknown_ref()) == (), "something is known of a payment that is not there"

    @where(lambda traits: traits.has_status_words)
    def test_an_unknown_status_word_in_an_answer_means_pending(self) -> None:
        """A status word in an answer that nobody knows means PENDING, or nothing: never paid, failed or closed."""
        world = self.world()
        provider = online(world)
        intent = started(world, provider)
        world.show_status(intent, UNKNOWN_WORD)
        kinds = {fact.kind for fact in provider.query(intent.ref)}
        assert kinds <= {Kind.PENDING}, f"an unknown status word was read as {sorted(kinds)}"

    def test_starting_twice_is_one_payment(self) -> None:
        """The same intent again is the same payment at the provider, and works."""
        world = self.world()
        provider = online(world)
        for intent in world.intents():
            provider.start(intent)
            again = attempt(partial(provider.start, intent), f"start {intent.way} again")
            assert not isinstance(again, ProviderError), f"start {intent.way} again: {type(again).__name__}: {again}"
            assert world.payments(intent) <= 1, f"start {intent.way} again made another payment"

    @where(has("scan"))
    def test_a_scan_names_payments_by_the_same_key(self) -> None:
        """The history or bill knows the payment, under the key that it had on the other roads."""
        world = self.world()
        provider = online(world)
        _, fact = paid(world, provider)
        said = list(scanned(world, provider))
        mine = [heard for heard in said if heard.fact.ref.theirs == fact.ref.theirs]
        assert mine, "no feed mentions the payment"
        for heard in mine:
            check_fact(world, provider, heard.fact, heard.road)
            if heard.fact.kind is Kind.PAID:
                assert key_of(heard.fact) == key_of(fact), f"{heard.road}: another key than by message"
                _check_agrees(Heard("message", fact), heard)


class CancelRules(Rules):
    """Closing what is unpaid."""

    @where(has("cancel"))
    def test_a_closed_payment_stays_closed(self) -> None:
        """Closing an unpaid payment says CLOSED; doing it again is no error; a query says the same, or nothing."""
        world = self.world()
        provider = online(world)
        intent = started(world, provider)
        said = cancel(provider, intent.ref)
        for fact in said:
            check_fact(world, provider, fact, "reply to cancel")
        assert [fact.kind for fact in said] == [Kind.CLOSED], f"cancel said {[fact.kind.value for fact in said]}"
        again = cancel(provider, intent.ref) + provider.query(intent.ref)
        assert {key_of(fact) for fact in again} <= {key_of(said[0])}, "closed, and then something else"

    @where(has("cancel"))
    def test_closing_a_paid_payment_says_paid(self) -> None:
        """Too late is no error: cancel says PAID, under the key that it had on the other roads."""
        world = self.world()
        provider = online(world)
        intent, fact = paid(world, provider)
        late = one_paid(cancel(provider, intent.ref), "reply to cancel")
        check_fact(world, provider, late, "reply to cancel")
        assert key_of(late) == key_of(fact), "another key than by message"
        _check_agrees(Heard("message", fact), Heard("reply to cancel", late))

    @where(has("cancel"))
    def test_closing_an_unknown_payment_closes_nothing(self) -> None:
        """`()` when the provider knows no such payment: it may still become payable."""
        world = self.world()
        assert cancel(online(world), world.unknown_ref()) == (), "closed what is not there"


class RefundRules(Rules):
    """Giving money back."""

    @where(has("refund"))
    def test_a_repeated_refund_pays_once(self) -> None:
        """The same refund number again gives nothing more back."""
        world = self.world()
        provider = online(world)
        intent, fact = paid(world, provider)
        part = _part(fact, 3)
        for _ in range(2):
            refund(provider, refund_ref(fact), part)
        assert world.refunded(intent) == part.minor, f"{world.refunded(intent)} given back instead of {part.minor}"

    @where(has("refund"))
    def test_two_refunds_give_back_both(self) -> None:
        """Two numbers are two refunds, with keys of their own."""
        world = self.world()
        provider = online(world)
        intent, fact = paid(world, provider)
        part, keys = _part(fact, 3), set()
        for number in (1, 2):
            keys |= {key_of(told) for told in _refund_story(world, provider, fact, number, part)}
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
    def test_more_than_was_paid_is_declined(self) -> None:
        """A refund of more than the payment is a definite no, and gives nothing back."""
        world = self.world()
        provider = online(world)
        intent, fact = paid(world, provider)
        assert fact.money is not None
        more = Money(fact.money.minor + 1, fact.money.currency)
        result = attempt(lambda: refund(provider, refund_ref(fact), more), "refund of more than was paid")
        assert isinstance(result, Declined), f"refund of more than was paid: {type(result).__name__}"
        assert world.refunded(intent) == 0, "money was given back all the same"


def _said_in(world: World, provider: Provider) -> Iterable[Heard]:
    for name, sample in world.samples().items():
        yield from (Heard(f"message {name}", fact) for fact in facts_of(provider, sample.message, name))
    for way in range(len(world.intents())):
        yield from heard_of_a_payment(world, provider, way)


def _check_agrees(one: Heard, other: Heard) -> None:
    for name in ("money", "live", "product", "owner", "account", "period_end"):
        first, second = getattr(one.fact, name), getattr(other.fact, name)
        same = first is None or second is None or first == second
        assert same, f"{one.road} says {name} {first!r}, {other.road} says {second!r}"


def _part(fact: Fact, divisor: int) -> Money:
    assert fact.money is not None, "a provider that refunds has to tell what was paid"
    return replace(fact.money, minor=fact.money.minor // divisor)


def _refund_story(world: World, provider: Provider, fact: Fact, number: int, money: Money) -> list[Fact]:
    """The REFUNDED facts of one refund: from the reply, the messages (which may repeat earlier ones) and a query."""
    ref = refund_ref(fact, number)
    told = list(refund(provider, ref, money))
    messages = [facts_of(provider, message, "the message of a refund") for message in world.settle_refund(ref)]
    told += provider.query(ref)
    for said in told:
        if said.kind in REFUND_KINDS:
            assert said.ref.refund == ref.refund, f"refund {ref.refund} is told as {said.ref.refund}"
    told += [said for facts in messages for said in facts if said.ref.refund == ref.refund]
    return list(of_kind(told, Kind.REFUNDED))
