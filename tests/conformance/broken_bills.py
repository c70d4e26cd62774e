"""Adapters that read bills wrongly: each is the sandbox's provider with one mistake."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from app.domain.money import Money
from app.providers import BillContent, BillLine, BillSide, Kind, LineKind, Message, Page, Received, UnreadableBill
from plugins.sandbox.bills import FEEDS, KINDS, ZONE, BillingSandbox, Head
from plugins.sandbox.mapping import parsed, read

_readings = itertools.count(1)


@dataclass(frozen=True)
class Rewritten:
    """Lines with each of them changed; None leaves a line out."""

    lines: tuple[BillLine, ...]
    change: Callable[[BillLine], BillLine | None]

    def __iter__(self) -> Iterator[BillLine]:
        return (made for line in self.lines if (made := self.change(line)) is not None)


class Rewriting(BillingSandbox):
    """Base of those that get single lines wrong."""

    def changed(self, line: BillLine) -> BillLine | None:
        raise NotImplementedError

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        bill = super().read_bill(feed, name, content)
        return replace(bill, lines=Rewritten(tuple(bill.lines), self.changed))


# --- the bill as a whole ----------------------------------------------------------------------------------------------


class AddsNothingUp(BillingSandbox):
    """Takes the rows for what they are, as most readers do."""

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        head, *rows, foot = content.decode().splitlines()
        parsed(foot.encode())
        count = {"rows": len(rows), "sums": _sums(rows)}
        return super().read_bill(feed, name, "\n".join([head, *rows, json.dumps(count), ""]).encode())


def _sums(rows: list[str]) -> dict[str, dict[str, int]]:
    sums: dict[str, dict[str, int]] = {}
    for row in map(json.loads, rows):
        of = sums.setdefault(row["currency"], {"amount": 0, "fee": 0})
        of["amount"] += row["amount"]
        of["fee"] += row.get("fee", 0)
    return sums


class NeedsNoFoot(BillingSandbox):
    """Reads what has arrived so far."""

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        try:
            return super().read_bill(feed, name, content)
        except UnreadableBill:
            head = read(Head, parsed(next(io.BytesIO(content), b"")))
            return BillContent(FEEDS[feed], head.merchant, head.since, head.until, ZONE, ())


class LetsParserErrorsThrough(BillingSandbox):
    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        json.loads(content.splitlines()[-1])
        return super().read_bill(feed, name, content)


class TrustsTheSender(BillingSandbox):
    """Takes bytes that are no UTF-8 for something that cannot happen."""

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        if content.startswith(b'{"bill"') and content.endswith(b"}\n"):
            content.decode()
        return super().read_bill(feed, name, content)


class IsEverybodys(BillingSandbox):
    """Says of every bill that it is its own."""

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        return replace(super().read_bill(feed, name, content), account=self.account)


class TakesFundsForTrades(BillingSandbox):
    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        return replace(super().read_bill(feed, name, content), side=BillSide.TRADES)


class CallsANewWordAProblem(BillingSandbox):
    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        bill = super().read_bill(feed, name, content)
        unknown = tuple(f"{line.key}: {line.word}?" for line in bill.lines if line.word not in KINDS)
        return replace(bill, problems=unknown)


class CountsInItsOwnZone(BillingSandbox):
    """Names the zone as its people do."""

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        return replace(super().read_bill(feed, name, content), zone="Greenwich time")


class DeclaresAnotherBill(BillingSandbox):
    """Names a kind of document that nobody has ever seen."""

    bill_feeds = MappingProxyType({**FEEDS, "tax_bill": BillSide.FUNDS})


class AsksForTheRest(BillingSandbox):
    """Looks at the provider when it reads a bill, and does without where it cannot."""

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        with contextlib.suppress(Exception):
            self._client.call("GET", "/v1/payments/1")
        return super().read_bill(feed, name, content)


class ThinksLong(BillingSandbox):
    """Tries every cut of garbage in the hope of a bill."""

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        if not content.startswith(b'{"bill"'):
            until = time.process_time() + 0.6
            while time.process_time() < until:
                pass
        return super().read_bill(feed, name, content)


# --- single lines -----------------------------------------------------------------------------------------------------


class NumbersLinesAnew(Rewriting):
    def changed(self, line: BillLine) -> BillLine:
        return replace(line, key=str(next(_readings)))


class KeysOfThePayment(Rewriting):
    """Names each row by the payment that it is about."""

    def changed(self, line: BillLine) -> BillLine:
        return replace(line, key=line.theirs or line.key)


class LeavesFeesOut(Rewriting):
    def changed(self, line: BillLine) -> BillLine | None:
        return None if line.kind is LineKind.FEE else line


class FeesComeIn(Rewriting):
    """Reads a fee without its sign."""

    def changed(self, line: BillLine) -> BillLine:
        return replace(line, amount_minor=abs(line.amount_minor)) if line.kind is LineKind.FEE else line


class DisputesAreOther(Rewriting):
    """Has no word for what a dispute took."""

    def changed(self, line: BillLine) -> BillLine:
        is_dispute = (line.refund or "").startswith("con_")
        return replace(line, kind=LineKind.OTHER) if is_dispute and line.kind is LineKind.REFUND else line


class TellsAnotherFee(BillingSandbox):
    """Tells in the fact of a payment a fee that no bill tells."""

    def receive(self, message: Message) -> Received:
        read_there = super().receive(message)
        fee = Money(1, "CNY")
        facts = (replace(fact, fee=fee) if fact.kind is Kind.PAID else fact for fact in read_there.facts)
        return replace(read_there, facts=tuple(facts))


class TellsYuan(Rewriting):
    def changed(self, line: BillLine) -> BillLine:
        balance = None if line.balance_minor is None else line.balance_minor // 100
        return replace(line, amount_minor=int(line.amount_minor / 100), balance_minor=balance)


class RefundsWithoutNumber(Rewriting):
    def changed(self, line: BillLine) -> BillLine:
        return replace(line, refund=None)


class SwapsTheNumbers(Rewriting):
    def changed(self, line: BillLine) -> BillLine:
        return replace(line, ours=line.theirs, theirs=line.ours)


class KeepsThePayer(Rewriting):
    def changed(self, line: BillLine) -> BillLine:
        return replace(line, note="from payer@example.org")


class KeepsWholeRemarks(Rewriting):
    def changed(self, line: BillLine) -> BillLine:
        return replace(line, note="…" * 300)


class FactsWithoutLines(BillingSandbox):
    """Tells of payments on the page of a bill that has none of them."""

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        page = super().scan(feed, since, until, cursor)
        if feed != "trade_bill":
            return page
        facts = super().scan("payments", since, until, None).facts
        return replace(page, facts=tuple(replace(fact, ref=replace(fact.ref, theirs="sbx_0")) for fact in facts))
