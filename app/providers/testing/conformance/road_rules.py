"""Rules for what the facts of one payment say, on whichever road they come."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import partial

from app.domain.money import Money
from app.providers import Intent, Kind, Provider, ProviderError, Ref, Scans, key_of
from app.providers.testing.conformance.checks import (
    UNKNOWN_WORD,
    RuleGroup,
    attempt,
    check_fact,
    check_money,
    check_numbers,
    check_raw,
    check_texts,
    check_times,
    facts_of,
    has,
    one_paid,
    online,
    where,
)
from app.providers.testing.conformance.journeys import (
    MOST_CURRENCIES,
    Heard,
    cancel_there,
    heard_of_a_payment,
    paid,
    paid_amount,
    scanned,
    started_payment,
)
from app.providers.testing.conformance.world import World

A_DAY_AND_MORE = timedelta(hours=30)
AMOUNTS = (700, 1_999, 1_001)
"""Minor units. As hundredths or thousandths the last two are no floats: 19.99 * 100 is 1998.99…"""


class FactRules(RuleGroup):
    """What every fact carries, on every road."""

    def test_times_are_aware_utc(self) -> None:
        """Every time in a fact is aware, and UTC."""
        for heard in self._said():
            check_times(heard.fact, heard.road)

    def test_paid_names_the_payment(self) -> None:
        """PAID carries the provider's own number of the payment, and ours unless the provider never learns it.

        So does each refund: by the provider's number alone the core finds no payment that was started here.
        """
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
        for heard in said_in(world, online(world)):
            assert heard.fact.account == account, f"{heard.road}: account is {heard.fact.account!r}, not {account!r}"

    def test_facts_say_that_it_was_a_sandbox(self) -> None:
        """The world is a sandbox (`tools.live` is False), and every fact says so: `Fact.live` is True by default."""
        for heard in self._said():
            assert not heard.fact.live, f"{heard.road}: {heard.fact.kind} is told as live"

    @where(lambda traits: traits.tells_money)
    def test_each_currency_is_paid_as_it_was_ordered(self) -> None:
        """An amount in each of `Provider.currencies` comes back as it was ordered, whatever its smallest unit is."""
        world = self.world()
        provider = online(world)
        for currency in provider.currencies[:MOST_CURRENCIES]:
            for minor in AMOUNTS:
                intent, fact = paid_amount(world, provider, Money(minor, currency))
                assert fact.money == intent.money, f"{fact.money} paid instead of {intent.money}"

    def test_paid_says_what_was_ordered(self) -> None:
        """PAID repeats our number and the ordered amount; where a store never learns the number, the owner token. A fee
        is less than half of its payment: it is what the provider kept, and not what it left."""
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
            if fact.money is not None and fact.fee is not None and fact.fee.currency == fact.money.currency:
                assert 2 * fact.fee.minor < fact.money.minor, f"{intent.way}: {fact.fee} is kept of {fact.money}"

    def _said(self) -> list[Heard]:
        world = self.world()
        return list(said_in(world, online(world)))


class RoadRules(RuleGroup):
    """Every road tells one payment in one way."""

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
        intent = started_payment(world, provider)
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
        intent, ref = _asked_about(world, provider)
        world.show_status(intent, UNKNOWN_WORD)
        kinds = {fact.kind for fact in provider.query(ref)}
        assert kinds <= {Kind.PENDING}, f"an unknown status word was read as {sorted(kinds)}"

    def test_starting_twice_is_one_payment(self) -> None:
        """An intent that is started again works, and is one payment at the provider."""
        world = self.world()
        provider = online(world)
        for intent in world.intents():
            provider.start(intent)
            again = attempt(partial(provider.start, intent), f"start {intent.way} again")
            assert not isinstance(again, ProviderError), f"start {intent.way} again: {type(again).__name__}: {again}"
            assert world.payments(intent) <= 1, f"start {intent.way} again made another payment"

    @where(has("scan"))
    def test_a_scan_names_payments_by_the_same_key(self) -> None:
        """The history or bill knows the payment (or its refund), under the key that it had on the other roads."""
        world = self.world()
        provider = online(world)
        intent, fact = paid(world, provider)
        if world.traits.takes_back:
            world.take_back(intent)
        said = list(scanned(world, provider))
        mine = [heard for heard in said if heard.fact.ref.theirs == fact.ref.theirs]
        assert mine, "no feed mentions the payment"
        for heard in mine:
            check_fact(world, provider, heard.fact, heard.road)
            if heard.fact.kind is Kind.PAID:
                assert key_of(heard.fact) == key_of(fact), f"{heard.road}: another key than by message"
                _check_agrees(Heard("message", fact), heard)

    @where(has("scan"))
    def test_a_scan_tells_each_day_of_its_window(self) -> None:
        """What was paid on the first day of a window and what was paid on its last one are both told."""
        world = self.world()
        provider = online(world)
        assert isinstance(provider, Scans)
        begun = world.clock.now()
        first = paid(world, provider)[1]
        world.clock.advance(A_DAY_AND_MORE.total_seconds())
        last = paid(world, provider)[1]
        ends, numbers = world.clock.now() + timedelta(minutes=1), (first.ref.theirs, last.ref.theirs)
        until = max(ends, world.history_window()[1])
        told = {heard.fact.ref.theirs for heard in scanned(world, provider, (begun, until))}
        assert told >= set(numbers), f"paid: {numbers}, and the feeds tell of {sorted(filter(None, told))}"


class CancelRules(RuleGroup):
    """Closing what is unpaid."""

    @where(has("cancel"))
    def test_a_closed_payment_stays_closed(self) -> None:
        """Closing an unpaid payment says CLOSED; doing it again is no error; a query says the same, or nothing."""
        world = self.world()
        provider = online(world)
        intent = started_payment(world, provider)
        said = cancel_there(provider, intent.ref)
        for fact in said:
            check_fact(world, provider, fact, "reply to cancel")
        assert [fact.kind for fact in said] == [Kind.CLOSED], f"cancel said {[fact.kind.value for fact in said]}"
        again = cancel_there(provider, intent.ref) + provider.query(intent.ref)
        assert {key_of(fact) for fact in again} <= {key_of(said[0])}, "closed, and then something else"

    @where(has("cancel"))
    def test_a_payment_whose_time_is_over_is_shut(self) -> None:
        """A day after its time is over, query and cancel say CLOSED or FAILED, or that there is nothing: one that waits
        for ever is asked about for ever."""
        world = self.world()
        provider = online(world)
        intent = started_payment(world, provider)
        world.clock.advance(A_DAY_AND_MORE.total_seconds())
        told = (*provider.query(intent.ref), *cancel_there(provider, intent.ref), *provider.query(intent.ref))
        ends = {Kind.CLOSED, Kind.FAILED}
        assert not told or ends & {fact.kind for fact in told}, f"its time is over, and it is {told[-1].kind}"

    @where(has("cancel"))
    def test_closing_a_paid_payment_says_paid(self) -> None:
        """Too late is no error: cancel says PAID, under the key that it had on the other roads."""
        world = self.world()
        provider = online(world)
        intent, fact = paid(world, provider)
        late = one_paid(cancel_there(provider, intent.ref), "reply to cancel")
        check_fact(world, provider, late, "reply to cancel")
        assert key_of(late) == key_of(fact), "another key than by message"
        _check_agrees(Heard("message", fact), Heard("reply to cancel", late))

    @where(has("cancel"))
    def test_closing_an_unknown_payment_closes_nothing(self) -> None:
        """`()` when the provider knows no such payment: it may still become payable."""
        world = self.world()
        assert cancel_there(online(world), world.unknown_ref()) == (), "closed what is not there"


def _asked_about(world: World, provider: Provider) -> tuple[Intent, Ref]:
    """A payment that a query can be asked about: one that waits, or one that was made where a store knows no other."""
    if world.traits.names_our_number:
        intent = started_payment(world, provider)
        return intent, intent.ref
    intent, payment = paid(world, provider)
    return intent, payment.ref


def said_in(world: World, provider: Provider) -> Iterable[Heard]:
    for name, sample in world.samples().items():
        yield from (Heard(f"message {name}", fact) for fact in facts_of(provider, sample.message, name))
    for way in range(len(world.intents())):
        yield from heard_of_a_payment(world, provider, way)


def _check_agrees(one: Heard, other: Heard) -> None:
    for name in ("money", "live", "product", "owner", "account", "period_end"):
        first, second = getattr(one.fact, name), getattr(other.fact, name)
        same = first is None or second is None or first == second
        assert same, f"{one.road} says {name} {first!r}, {other.road} says {second!r}"
