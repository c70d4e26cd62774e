"""Rules for reading bills: what is in them comes out whole, in neutral words, the same each time; or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from itertools import pairwise
from zoneinfo import ZoneInfo

from app.providers import (
    BillContent,
    BillLine,
    BillSide,
    Fact,
    Kind,
    LineKind,
    Page,
    Provider,
    ReadsBills,
    Scans,
    Tools,
    UnreadableBill,
)
from app.providers.testing.conformance.bill_hooks import BillDocument
from app.providers.testing.conformance.checks import RuleGroup, has, needs_hook, of_kind, offline, online, where
from app.providers.testing.conformance.journeys import MAX_PAGES, paid, refund_ref, refund_there
from app.providers.testing.conformance.spoiling import GARBAGE
from app.providers.testing.conformance.watching import CountedSilence, GuardedKeys, leaked, no_outside
from app.providers.testing.conformance.world import DisputeStep, World
from app.providers.testing.doubles import FixedClock

PIECES = 16
"""A document is cut short at so many places."""
FLIPS = 32
"""In a document so many bits are flipped, one at a time."""
BILL_SECONDS = 0.5
"""Of processor time, for one small document or piece of garbage."""
LONGEST_TEXTS = {"key": 128, "word": 64, "note": 255, "ours": 128, "theirs": 128, "refund": 128, "related": 128}
NAMING_SIDES = (BillSide.TRADES, BillSide.FUNDS)
"""The sides whose lines name payments."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A payment, what went back of it, and the bills that tell of both, and of a payment after them."""

    world: World
    payment: Fact
    refund: Fact | None
    bills: tuple[tuple[BillDocument, Page | None], ...]


class BillRules(RuleGroup):
    """Documents of the provider, read into lines."""

    @where(has("bills"))
    def test_every_bill_is_read(self) -> None:
        """Every document of every feed is read without a problem: side, account, days and lines are as the port says,
        and the payment is in those that name payments."""
        shelf = shelf_of(self.world_class)
        provider = offline(shelf.world)
        naming: list[BillLine] = []
        for document, _ in shelf.bills:
            what = f"{document.feed} {document.name}"
            bill, lines = _read(provider, document)
            assert bill.problems == (), f"{what}: {bill.problems[0]}"
            assert bill.side is _reader(provider).bill_feeds[document.feed], f"{what}: another side than its feed's"
            assert bill.account in (None, provider.account), f"{what}: of {bill.account!r}, not of this account"
            _check_days(bill, what)
            for line in lines:
                _check_line(line, what)
            naming += lines if bill.side in NAMING_SIDES else ()
        feeds = _reader(provider).bill_feeds
        untried = set(feeds) - {document.feed for document, _ in shelf.bills}
        assert not untried, f"no document of {sorted(untried)}: neither scan nor World.further_bills brings one"
        if set(feeds.values()) & set(NAMING_SIDES):
            found = any(line.theirs == shelf.payment.ref.theirs for line in naming)
            assert found, "no line names the payment by the provider's number"

    @where(has("bills"))
    def test_a_bill_is_read_alike_each_time(self) -> None:
        """One document gives one list of lines, to another instance too; no two lines of a bill have one key."""
        shelf = shelf_of(self.world_class)
        one, other = offline(shelf.world), offline(shelf.world)
        for document, _ in shelf.bills:
            (_, first), (_, second) = _read(one, document), _read(other, document)
            assert first == second, f"{document.feed}: the same bytes give other lines"
            keys = [line.key for line in first]
            assert len(set(keys)) == len(keys), f"{document.feed}: two lines have one key"

    @where(has("bills"))
    def test_what_is_no_bill_is_not_read(self) -> None:
        """A document that is cut short anywhere, and garbage, is refused as UnreadableBill, in bounded time. One with a
        bit flipped is refused so, or read: nothing else can happen."""
        shelf = shelf_of(self.world_class)
        provider = offline(shelf.world)
        for document, _ in shelf.bills:
            size = len(document.content)
            for piece in range(PIECES):
                cut = document.content[: size * piece // PIECES]
                _must_be_unreadable(provider, document, cut, f"cut at {piece} of {PIECES} parts")
            for at in range(0, size, max(1, size // FLIPS)):
                flipped = bytearray(document.content)
                flipped[at] ^= 1 << at % 8
                outcome = _outcome(partial(_all_of, provider, document, bytes(flipped)))
                fine = outcome in ("UnreadableBill", "read")
                assert fine, f"{document.feed}, a bit flipped in byte {at}: {outcome} instead of UnreadableBill"
        for feed in _reader(provider).bill_feeds:
            for at, garbage in enumerate(GARBAGE):
                document = BillDocument(feed, "garbage", garbage)
                _must_be_unreadable(provider, document, garbage, f"garbage {at}")

    @where(has("bills"))
    @needs_hook("spoilt_bills")
    def test_a_bill_that_does_not_add_up_is_not_read(self) -> None:
        """A row that is missing or there twice and a changed amount are betrayed by the bill's own totals."""
        shelf = shelf_of(self.world_class)
        provider, tried = offline(shelf.world), 0
        for document, _ in shelf.bills:
            for what, content in shelf.world.spoilt_bills(document).items():
                assert content != document.content, f"World.spoilt_bills: {what} changes nothing"
                _must_be_unreadable(provider, document, content, what)
                tried += 1
        assert tried, "World.spoilt_bills spoils no document: leave the hook out, and say why in World.left_out"

    @where(has("bills"))
    @needs_hook("foreign_bills")
    def test_another_merchants_bill_is_not_ours(self) -> None:
        """A bill of another merchant is told as another account's, or refused."""
        world = self.world()
        provider, documents = offline(world), world.foreign_bills()
        assert documents, "World.foreign_bills is empty"
        for document in documents:
            try:
                bill = _reader(provider).read_bill(document.feed, document.name, document.content)
            except UnreadableBill:
                continue
            told = bill.account not in (None, provider.account)
            assert told, f"{document.feed}: another merchant's bill is told as {bill.account!r}"

    @where(has("bills"))
    def test_lines_agree_with_facts(self) -> None:
        """A line about a payment or refund says what its fact says: both numbers, the refund's number, the amount. A
        bill of trades has a line for each fact of its page, with the fact's fee."""
        shelf = shelf_of(self.world_class)
        provider = offline(shelf.world)
        for document, page in shelf.bills:
            bill, lines = _read(provider, document)
            if bill.side not in NAMING_SIDES:
                continue
            for fact, kind in ((shelf.payment, LineKind.PAYMENT), (shelf.refund, LineKind.REFUND)):
                for line in lines:
                    if fact is not None and (line.kind, line.theirs) == (kind, fact.ref.theirs):
                        _check_agrees(line, fact, whole=bill.side is BillSide.TRADES, what=document.feed)
                        _check_fee(line, fact, lines, document.feed)
            if bill.side is BillSide.TRADES and page is not None:
                _check_page(lines, page, document.feed)

    @where(has("bills"))
    @needs_hook("dispute")
    def test_what_a_dispute_took_is_a_refund_in_the_bills(self) -> None:
        """What a dispute took is a line of kind REFUND in its size, under the number that its fact has (a bill of funds
        may name none): by another kind it would be booked twice, by the fact and by the bill."""
        if DisputeStep.TAKEN not in self.world_class.dispute_steps:
            return
        world = self.world()
        provider = online(world)
        intent, payment = paid(world, provider)
        for step in (step for step in (DisputeStep.INQUIRY, DisputeStep.TAKEN) if step in world.dispute_steps):
            world.dispute(intent, step)
        taken = next(iter(of_kind(provider.query(payment.ref), Kind.REFUNDED)), None)
        assert taken is not None, "the money is gone, and a query does not say REFUNDED"
        naming = [
            (bill.side, line)
            for bill, lines in (_read(provider, document) for document, _ in _fetched(world, provider))
            if bill.side in NAMING_SIDES
            for line in lines
            if line.theirs == payment.ref.theirs
        ]
        if naming and taken.money is not None:
            told = [line for _, line in naming if line.kind is LineKind.REFUND]
            assert told, f"a dispute took {taken.money}, and no line says REFUND, but {[one.word for _, one in naming]}"
            for line in told:
                assert line.refund in (taken.ref.refund, None), f"{taken.ref.refund} is told as {line.refund}"
                assert line.amount_minor == -taken.money.minor, f"{taken.money} was taken, and {line.amount_minor} told"

    @where(has("bills"))
    def test_the_balance_follows_the_lines(self) -> None:
        """Where a bill of funds tells the balance after each row, it changes by just what the row says: no row is left
        out, and none is read with the wrong sign. Whichever end of the bill is the newer one."""
        shelf = shelf_of(self.world_class)
        provider = offline(shelf.world)
        for document, _ in shelf.bills:
            bill, lines = _read(provider, document)
            for currency in {line.currency for line in lines}:
                told = [line for line in lines if line.currency == currency and line.balance_minor is not None]
                if bill.side is BillSide.FUNDS:
                    follows = _follows(told) or _follows(told[::-1])
                    assert follows, f"{document.feed}: the balance does not change by what the lines say"

    @where(has("bills"))
    @needs_hook("private_words")
    def test_no_private_word_is_in_a_line(self) -> None:
        """No word of the payer's that the world names in any text of a line, or in a problem."""
        shelf = shelf_of(self.world_class)
        provider = offline(shelf.world)
        for document, _ in shelf.bills:
            bill, lines = _read(provider, document)
            found = leaked(shelf.world.private_words(), [repr(line) for line in lines] + list(bill.problems))
            assert found is None, f"{document.feed}: a private word is in a line: {found}"

    @where(has("bills"))
    def test_reading_a_bill_does_no_io(self) -> None:
        """A bill is read from its bytes alone: no network, no file, no key stored, no sleep."""
        shelf = shelf_of(self.world_class)
        for document, _ in shelf.bills:
            http, keys = CountedSilence(), GuardedKeys(shelf.world.keys())
            provider = shelf.world.make_provider(Tools(http=http, clock=shelf.world.clock, keys=keys, live=False))
            _read(provider, document)  # codecs and time zones are loaded once
            with no_outside() as attempts:
                _read(provider, document)
            assert (http.calls, keys.puts, attempts) == (0, 0, []), f"{document.feed}: reading it uses {attempts}"


@lru_cache(maxsize=8)
def shelf_of(world_class: type[World]) -> Shelf:
    """A payment, where there is the verb a refund of it, and a second payment, so that a balance goes up, too; then
    every document of every feed."""
    world = world_class(FixedClock())
    provider = online(world)
    _, payment = paid(world, provider)
    refund = None
    if "refund" in world.traits.verbs and payment.money is not None:
        ref = refund_ref(payment)
        told = list(refund_there(provider, ref, payment.money))
        world.settle_refund(ref)
        done = of_kind((*told, *provider.query(ref)), Kind.REFUNDED)
        refund = done[0] if done else None
    paid(world, provider)
    documents = [*_fetched(world, provider), *((document, None) for document in world.further_bills())]
    assert documents, "no feed of bill_feeds brings a document, and World.further_bills has none"
    return Shelf(world, payment, refund, tuple(documents))


def _fetched(world: World, provider: Provider) -> Iterator[tuple[BillDocument, Page]]:
    fetched = [feed for feed in _reader(provider).bill_feeds if isinstance(provider, Scans) and feed in provider.feeds]
    if not fetched or not isinstance(provider, Scans):
        return
    since, until = world.history_window()
    for feed in fetched:
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = provider.scan(feed, since, until, cursor)
            yield from ((BillDocument(feed, name, content), page) for name, content in page.files)
            cursor = page.cursor
            if cursor is None:
                break


def _reader(provider: Provider) -> ReadsBills:
    assert isinstance(provider, ReadsBills), "World.traits declares bills, but the provider cannot read them"
    return provider


def _read(provider: Provider, document: BillDocument) -> tuple[BillContent, tuple[BillLine, ...]]:
    try:
        return _all_of(provider, document, document.content)
    except UnreadableBill as error:
        raise AssertionError(f"{document.feed} {document.name}: refused, though genuine ({error})") from error


def _all_of(provider: Provider, document: BillDocument, content: bytes) -> tuple[BillContent, tuple[BillLine, ...]]:
    bill = _reader(provider).read_bill(document.feed, document.name, content)
    return bill, tuple(bill.lines)


def _must_be_unreadable(provider: Provider, document: BillDocument, content: bytes, what: str) -> None:
    before = time.process_time()
    outcome = _outcome(partial(_reader(provider).read_bill, document.feed, document.name, content))
    spent = time.process_time() - before
    assert outcome == "UnreadableBill", f"{document.feed}, {what}: {outcome} instead of UnreadableBill"
    assert spent < BILL_SECONDS, f"{document.feed}, {what}: takes {spent:.1f} s"


def _outcome(read: Callable[[], object]) -> str:
    try:
        read()
    except UnreadableBill:
        return "UnreadableBill"
    except Exception as error:
        return type(error).__name__
    return "read"


def _check_days(bill: BillContent, what: str) -> None:
    aware = bill.since.utcoffset() == bill.until.utcoffset() == timedelta(0)
    assert aware, f"{what}: since and until are aware, UTC"
    assert bill.since < bill.until, f"{what}: it ends before it begins"
    ZoneInfo(bill.zone)  # raises for a name that is none


SIGNS = {
    LineKind.PAYMENT: 1,
    LineKind.REFUND: -1,
    LineKind.FEE: -1,
    LineKind.FEE_RETURN: 1,
    LineKind.PAYOUT: -1,
}
"""Whether such a line brings the merchant money, or takes it."""


def _check_line(line: BillLine, what: str) -> None:
    sign = 0 if line.cell is not None else SIGNS.get(line.kind, 0)  # a store's report counts what was returned below 0
    assert sign * line.amount_minor >= 0, f"{what}: {line.key}, a {line.kind}, moves {line.amount_minor}"
    taken = line.kind is not LineKind.PAYMENT or line.fee_minor <= 0
    assert taken, f"{what}: the fee of the payment {line.key} is {line.fee_minor}: what is taken is negative"
    assert line.key, f"{what}: a line without a key"
    assert line.at.utcoffset() == timedelta(0), f"{what}: the time of {line.key} is not UTC"
    fine = len(line.currency) == 3 and line.currency.isascii() and line.currency.isupper()
    assert fine, f"{what}: {line.currency!r} is no currency"
    for name, longest in LONGEST_TEXTS.items():
        text = getattr(line, name)
        kept = text is None or (len(text) <= longest and text.isprintable())
        assert kept, f"{what}: {name} of {line.key} is no printable text of at most {longest} characters"
    if line.kind in (LineKind.PAYMENT, LineKind.REFUND) and line.cell is None:
        assert line.theirs, f"{what}: a {line.kind} without the provider's number"


def _check_agrees(line: BillLine, fact: Fact, *, whole: bool, what: str) -> None:
    """`whole`: the bill names trades, so that a refund is named by its number."""
    said, ours = f"{what}: the line of a {fact.kind}", line.ours
    assert ours in ((fact.ref.ours,) if whole else (None, fact.ref.ours)), f"{said} names {ours!r} as our number"
    numbers = (fact.ref.refund,) if whole else (None, fact.ref.refund)
    assert line.refund in numbers, f"{said} names {line.refund!r} as the refund"
    if fact.money is not None:
        amount = fact.money.minor if fact.kind is Kind.PAID else -fact.money.minor
        told = (line.amount_minor, line.currency)
        assert told == (amount, fact.money.currency), f"{said} tells {told}, the fact {fact.money}"


def _check_fee(line: BillLine, fact: Fact, lines: tuple[BillLine, ...], what: str) -> None:
    """A fee that the fact of a payment tells is in its line, or in a line of its own that names the payment."""
    if fact.kind is not Kind.PAID or not fact.fee or not fact.fee.minor:
        return
    apart = (one.amount_minor for one in lines if one.kind is LineKind.FEE and one.theirs == fact.ref.theirs)
    told = line.fee_minor or next(apart, 0)
    assert told == -fact.fee.minor, f"{what}: the fee of a payment is {told}, and {fact.fee} in its fact"


def _check_page(lines: tuple[BillLine, ...], page: Page, what: str) -> None:
    """For each fact of the page there is a line with its numbers, its amount and its fee."""
    told = {
        (line.kind, line.theirs, line.ours, line.refund, abs(line.amount_minor), line.currency): line.fee_minor
        for line in lines
    }
    for fact in page.facts:
        kind = {Kind.PAID: LineKind.PAYMENT, Kind.REFUNDED: LineKind.REFUND}.get(fact.kind)
        if kind is None or fact.money is None:
            continue
        named = (kind, fact.ref.theirs, fact.ref.ours, fact.ref.refund, fact.money.minor, fact.money.currency)
        assert named in told, f"{what}: no line says what the fact {fact.kind} of its page says"
        if fact.fee is not None:
            fee = -fact.fee.minor if fact.kind is Kind.PAID else fact.fee.minor
            assert told[named] == fee, f"{what}: a line has the fee {told[named]}, the fact of its page {fact.fee}"


def _follows(lines: list[BillLine]) -> bool:
    """Whether each balance is the one before it and what its line does."""
    return all(
        after.balance_minor == (before.balance_minor or 0) + after.net_minor for before, after in pairwise(lines)
    )
