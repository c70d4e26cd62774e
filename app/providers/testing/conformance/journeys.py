"""Payments played through in a world: what a rule needs before it can look at something."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial

from app.domain.money import Money
from app.providers import (
    BillSide,
    Cancels,
    ClientCertificate,
    Fact,
    Fulfils,
    HttpClient,
    HttpResponse,
    Intent,
    Kind,
    Provider,
    ReadsBills,
    Ref,
    Refunds,
    Scans,
    Terms,
)
from app.providers.http import MAX_RESPONSE_BYTES
from app.providers.testing.conformance.agreement_journeys import (
    announce_there,
    charge_intent,
    charge_there,
    prepare_charge,
    sign_there,
    signed_agreement,
)
from app.providers.testing.conformance.checks import learnt, of_kind, one_paid, online, refs_of
from app.providers.testing.conformance.world import World
from app.providers.testing.doubles import BrokenHttp

REASON = "asked by the payer"
MAX_PAGES = 100
MOST_CURRENCIES = 5
"""So many of `Provider.currencies` are tried."""
REFUND_NUMBERS = 3_000_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Heard:
    """A fact and the road on which it came."""

    road: str
    fact: Fact


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a verb, ready to be made by any provider of its world. `moves`: it changes something that must not
    be changed twice. `tells`: there is more in its answer than that it was taken."""

    name: str
    make: Callable[[Provider], object]
    moves: bool
    tells: bool = True


class BreakingHttp:
    """Passes requests on, counting them, until the line breaks: from request number `breaks_at` on, by `fault`, or by
    passing them to `broken`."""

    def __init__(
        self, inner: HttpClient, fault: str = "", breaks_at: int = 1, broken: HttpClient | None = None
    ) -> None:
        self._inner = inner
        self._broken = broken or (BrokenHttp(inner, fault) if fault else inner)
        self._breaks_at = breaks_at
        self.calls = 0

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_bytes: int = MAX_RESPONSE_BYTES,
        certificate: ClientCertificate | None = None,
    ) -> HttpResponse:
        self.calls += 1
        client = self._inner if self.calls < self._breaks_at else self._broken
        return client.request(method, url, headers=headers, body=body, max_bytes=max_bytes, certificate=certificate)


def started_payment(world: World, provider: Provider, way: int = 0) -> Intent:
    """A payment that waits for its payer and that the provider knows."""
    return with_their_number(world, provider, world.intents()[way])


def with_their_number(world: World, provider: Provider, intent: Intent) -> Intent:
    """Start the payment and let the payer open it; the intent as the core goes on with it, which also knows the number
    that the reply to `start` told."""
    facts = provider.start(intent).facts
    world.visit(intent)
    theirs = next((fact.ref.theirs for fact in facts if fact.ref.theirs), None)
    return intent if theirs is None else replace(intent, ref=replace(intent.ref, theirs=theirs))


def paid(world: World, provider: Provider, way: int = 0) -> tuple[Intent, Fact]:
    """A payment that was made, and the PAID fact of its first message."""
    intent = started_payment(world, provider, way)
    messages = world.pay(intent)
    assert messages, "World.pay returned no message"
    what = f"the message of a payment ({intent.way})"
    return intent, one_paid(learnt(world, provider, messages[0], what), what)


def paid_amount(world: World, provider: Provider, money: Money) -> tuple[Intent, Fact]:
    """A payment of that money, and its PAID fact. Fails where the provider was told to charge anything else."""
    intent = with_their_number(world, provider, replace(world.intents()[0], money=money))
    charged = world.charged(intent)
    assert charged in (None, money), f"the provider was told to charge {charged} for {money}"
    return intent, one_paid(learnt(world, provider, world.pay(intent)[0], f"a payment of {money}"), f"paid {money}")


def heard_of_a_payment(world: World, provider: Provider, way: int) -> Iterator[Heard]:
    """Every PAID fact of one payment: from the reply to `start`, from messages, and from queries by each number."""
    intent = world.intents()[way]
    replies = provider.start(intent).facts
    world.visit(intent)
    yield from (Heard(f"reply to start {intent.way}", fact) for fact in of_kind(replies, Kind.PAID))
    ref = intent.ref
    for at, message in enumerate(world.pay(intent)):
        road = f"{message.source} {at} ({intent.way})"
        fact = one_paid(learnt(world, provider, message, road), road)
        ref = fact.ref
        yield Heard(road, fact)
    for name, asked in refs_of(world.traits, ref).items():
        road = f"query by {name} ({intent.way})"
        yield Heard(road, one_paid(provider.query(asked), road))


def scanned(world: World, provider: Provider, window: tuple[datetime, datetime] | None = None) -> Iterator[Heard]:
    """Every fact of every feed in the window, page by page; by default in the world's own window."""
    assert isinstance(provider, Scans)
    since, until = window or world.history_window()
    for feed in provider.feeds:
        yield from _scanned_feed(feed, lambda: (since, until), provider)


def _scanned_feed(feed: str, window: Callable[[], tuple[datetime, datetime]], provider: Provider) -> Iterator[Heard]:
    assert isinstance(provider, Scans)
    since, until = window()
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = provider.scan(feed, since, until, cursor)
        yield from (Heard(f"scan of {feed}", fact) for fact in page.facts)
        cursor = page.cursor
        if cursor is None:
            break
    assert cursor is None, f"scan of {feed} does not end"


def refund_there(provider: Provider, ref: Ref, money: Money | None) -> tuple[Fact, ...]:
    assert isinstance(provider, Refunds), "World.traits declares refund, but the provider has no such verb"
    assert money is not None, "a provider that refunds has to tell what was paid"
    return provider.refund(ref, money, REASON)


def cancel_there(provider: Provider, ref: Ref) -> tuple[Fact, ...]:
    assert isinstance(provider, Cancels), "World.traits declares cancel, but the provider has no such verb"
    return provider.cancel(ref)


def fulfil(provider: Provider, ref: Ref) -> None:
    """Tell of a delivery, in the core's words."""
    assert isinstance(provider, Fulfils), "World.traits declares fulfil, but the provider has no such verb"
    provider.fulfil(ref, {"about": "delivered"})


def refund_ref(payment: Fact, number: int = 1) -> Ref:
    """The name of the payment's refund of that number: as long as the core's are."""
    return replace(payment.ref, refund=str(REFUND_NUMBERS + int(payment.ref.ours or 77) % 10**15 * 100 + number))


def calls_in(world: World) -> Iterator[Call]:
    """Every verb that may call, each in a state in which it works."""
    good = online(world)
    for intent in world.intents():
        yield Call(f"start {intent.way}", _starting(intent), moves=True)
    _, payment = paid(world, good)
    yield Call("query", lambda provider: provider.query(payment.ref), moves=False)
    if "refund" in world.traits.verbs:
        yield Call("refund", lambda provider: refund_there(provider, refund_ref(payment), payment.money), moves=True)
    if "cancel" in world.traits.verbs:
        unpaid = started_payment(world, good)
        yield Call("cancel", lambda provider: cancel_there(provider, unpaid.ref), moves=True)
    if "fulfil" in world.traits.verbs:
        yield Call("fulfil", lambda provider: fulfil(provider, payment.ref), moves=False, tells=False)
    if "scan" in world.traits.verbs and isinstance(good, Scans):
        window = cache(world.history_window)  # the books close once, before the first feed is read
        for feed in good.feeds:
            # Only bills of trades tell facts: the others are kept and compared, and some providers sign none.
            side = good.bill_feeds.get(feed) if isinstance(good, ReadsBills) else None
            tells = side in (None, BillSide.TRADES)
            yield Call(f"scan of {feed}", partial(_scan_through, feed, window), moves=False, tells=tells)
    if "sign" in world.traits.verbs:
        yield from _calls_about_agreements(world, good)


def _scan_through(feed: str, window: Callable[[], tuple[datetime, datetime]], provider: Provider) -> list[Heard]:
    return list(_scanned_feed(feed, window, provider))


def _calls_about_agreements(world: World, good: Provider) -> Iterator[Call]:
    for terms in world.terms():
        yield Call(f"sign {terms.way}", _signing(terms), moves=True)
    agreement = signed_agreement(world, good)
    intent = charge_intent(world, agreement)
    yield Call("query of an agreement", lambda provider: provider.query(agreement.ref), moves=False)
    if "announce" in world.traits.verbs:
        yield Call("announce", lambda provider: announce_there(provider, agreement), moves=True, tells=False)
    prepare_charge(world, good, agreement)
    yield Call("charge", lambda provider: charge_there(provider, agreement.ref, intent), moves=True)
    if "cancel" in world.traits.verbs:
        ending = signed_agreement(world, good)
        yield Call("cancel of an agreement", lambda provider: cancel_there(provider, ending.ref), moves=True)


def _signing(terms: Terms) -> Callable[[Provider], object]:
    return lambda provider: sign_there(provider, terms)


def _starting(intent: Intent) -> Callable[[Provider], object]:
    return lambda provider: provider.start(intent)
