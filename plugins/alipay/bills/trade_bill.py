"""The trade bill: the payments and refunds of one day or month, per merchant account, with the orders of all its apps.

It is read for two purposes: into facts, which the core applies, and into lines, with which finance compares its books.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from app.domain.money import Money
from app.providers import BillContent, BillLine, BillSide, Fact, Kind, LineKind, Ref, Unknown, UnreadableBill
from plugins.alipay.bills.documents import (
    ZONE,
    Problems,
    Row,
    RunningNumbers,
    Table,
    detail_of,
    fen,
    moment,
    text_key,
    unreadable,
)
from plugins.alipay.fields import number, optional_number
from plugins.alipay.formats import CURRENCY
from plugins.alipay.mapping import Merchant

PAYMENT, REFUND = "交易", "退款"
MAX_REQUEST_NUMBER = 64
_TITLE = "业务明细查询"
_ENTRY = re.compile(r"业务明细\.csv$")
_FOOT = re.compile(r"#(交易|退款)合计.([0-9]+)笔,商家实收(?:退款)?共(-?[0-9.,]*[0-9])元")
_GIVEN_AWAY = ("商家优惠", "券核销金额", "商家红包消费金额", "卡消费金额")
"""What may keep a part of an order from the merchant, by columns that not every bill has. How they add up differs by
product, so their sum is only the most that may be missing."""
_COLUMNS = ("支付宝交易号", "商户订单号", "业务类型", "完成时间", "订单金额", "商家实收", "退款批次号/请求号", "服务费")


@dataclass(frozen=True, slots=True)
class Bill:
    """What a bill says, and which of its rows say nothing that can be read."""

    facts: tuple[Fact, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Trade:
    """A row that was read. Amounts are fen."""

    word: str
    ours: str | None
    """Another app's number may be of any letters; it is None then."""
    theirs: str
    request: str
    """Of a refund; empty where it was made without a number."""
    at: datetime
    ordered: int
    received: int
    """What the merchant gets of a payment, or gives back in a refund: without the coupons that he paid for himself."""
    fee: int | None
    """Negative: taken. Positive: given back. None: the cell is empty."""

    @property
    def is_refund(self) -> bool:
        return self.word == REFUND

    @property
    def refund(self) -> str | None:
        return (self.request or self.ours or self.theirs) if self.is_refund else None

    @property
    def fee_taken_for_a_refund(self) -> bool:
        return self.is_refund and self.fee is not None and self.fee < 0


def read_bill(content: bytes, merchant: Merchant) -> Bill:
    """All payments and refunds of a bill, as facts. Raises Unknown when it is not ours, not whole or not readable.

    An odd row stops no other row: it becomes a problem. Orders of the merchant's other apps are in it too, under
    numbers that are not ours.
    """
    facts: list[Fact] = []
    problems = Problems()
    try:
        table = _checked(content)
        if table.account != merchant.seller_id:
            raise UnreadableBill("it is another account's")
    except UnreadableBill as error:
        raise Unknown(f"the bill cannot be read: {error}") from None
    for row in table.rows():
        trade = _read(row, problems)
        if trade is not None:
            facts.append(_fact(trade, row, merchant))
            if trade.fee_taken_for_a_refund:
                problems.add(f"{row}: a fee of {row.cells['服务费']} was taken for the refund")
    return Bill(tuple(facts), problems.told())


def trade_lines(content: bytes, name: str, merchant: Merchant) -> BillContent:
    """The bill as lines. Raises UnreadableBill when it is not whole or not readable; another account's is told as
    such."""
    problems = Problems()
    table = _checked(content, problems)
    since, until = table.period(name)
    account = merchant.account if table.account == merchant.seller_id else table.account
    return BillContent(BillSide.TRADES, account, since, until, ZONE, _Lines(table), problems.told())


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of a bill that was checked, read from its bytes at each iteration."""

    table: Table

    def __iter__(self) -> Iterator[BillLine]:
        keys = RunningNumbers()
        for row in self.table.rows():
            trade = _read(row, None)
            if trade is not None:
                yield _line(trade, keys)


def _checked(content: bytes, problems: Problems | None = None) -> Table:
    """The bill's rows, once they are found to agree with the totals at its foot. `problems` gets what is odd about
    single rows."""
    table = detail_of(content, _TITLE, _ENTRY)
    table.require_columns(_COLUMNS)
    with unreadable():
        counted = _Counted()
        for row in table.rows():
            counted.add(row)
            trade = _read(row, problems) if problems is not None else None
            if problems is not None and trade is not None and trade.ordered != trade.received:
                _explain(row, trade, problems)
        counted.require(_feet(table))
    return table


def _feet(table: Table) -> dict[str, tuple[int, int]]:
    """Count and received fen that the foot tells, by kind."""
    found = [match.groups() for remark in table.remarks for match in _FOOT.finditer(remark)]
    if not found:
        raise UnreadableBill("the totals are missing")
    return {kind: (int(count), abs(fen(total))) for kind, count, total in found}


@dataclass(slots=True)
class _Counted:
    """Count and received money of the rows, for payments and refunds. Rows whose kind cannot be read count for either;
    a sum says something if all the amounts behind it can be read."""

    counts: dict[str, int] = field(default_factory=lambda: {PAYMENT: 0, REFUND: 0})
    sums: dict[str, int] = field(default_factory=lambda: {PAYMENT: 0, REFUND: 0})
    unread: int = 0
    unsummed: set[str] = field(default_factory=set)

    def add(self, row: Row) -> None:
        kind = row.cells.get("业务类型", "")
        if kind not in self.counts:
            self.unread += 1
            return
        self.counts[kind] += 1
        try:
            self.sums[kind] += abs(fen(row.cells.get("商家实收", "")))
        except ValueError:
            self.unsummed.add(kind)

    def require(self, feet: dict[str, tuple[int, int]]) -> None:
        """A kind without rows may lack its total; a file that was cut short lacks both, or that of its rows."""
        told = {kind: feet.get(kind, (0, 0)) for kind in self.counts}
        lacking = {kind: told[kind][0] - self.counts[kind] for kind in told}
        if min(lacking.values()) < 0 or sum(lacking.values()) > self.unread:
            raise UnreadableBill("rows and totals do not agree: their number")
        for kind, (_, total) in told.items():
            readable = not lacking[kind] and kind not in self.unsummed
            if readable and self.sums[kind] != total:
                raise UnreadableBill("rows and totals do not agree: the money received")


def _read(row: Row, problems: Problems | None) -> _Trade | None:
    try:
        return _trade(row)
    except KeyError as error:
        problem = f"the column {error} is missing"
    except ValueError as error:
        problem = str(error)
    if problems is not None:
        problems.add(f"{row}: {problem}")
    return None


def _trade(row: Row) -> _Trade:
    """Refund rows repeat the payment's numbers; their amounts are negative in real files, positive in one public
    sample, so the type decides. Raises ValueError, KeyError."""
    cells = row.cells
    word, request, fee = cells["业务类型"], cells["退款批次号/请求号"], cells["服务费"]
    if word not in (PAYMENT, REFUND):
        raise ValueError("it is neither a payment nor a refund")
    ordered, received = fen(cells["订单金额"]), fen(cells["商家实收"])
    if word == PAYMENT and (ordered < 0 or received < 0):
        raise ValueError("a payment of less than nothing")
    if not request.isprintable() or len(request) > MAX_REQUEST_NUMBER:
        raise ValueError("the refund's number cannot be kept")
    fee_fen = fen(fee) if fee else None
    return _Trade(
        word=word,
        ours=optional_number(cells, "商户订单号"),
        theirs=number(cells, "支付宝交易号"),
        request=request,
        at=moment(cells["完成时间"]),
        ordered=abs(ordered),
        received=abs(received),
        # A fee of a payment was taken, however its sign is written; of a refund the sign tells (both occur).
        fee=-abs(fee_fen) if fee_fen is not None and word == PAYMENT else fee_fen,
    )


def _explain(row: Row, trade: _Trade, problems: Problems) -> None:
    """What was not received is what the merchant's coupons stand for, or a problem."""
    given_away = 0
    for name in _GIVEN_AWAY:
        with contextlib.suppress(ValueError):
            given_away += abs(fen(row.cells.get(name, "")))
    if not 0 < trade.ordered - trade.received <= given_away:
        problems.add(f"{row}: what was received is not what was ordered, and no coupon says why")


def _fact(trade: _Trade, row: Row, merchant: Merchant) -> Fact:
    """`account` is ours: the bill was asked for and checked as this merchant's. A fee that was taken for a refund has
    no place in a fact."""
    fee = None if trade.fee is None or trade.fee_taken_for_a_refund else Money(abs(trade.fee), CURRENCY)
    return Fact(
        kind=Kind.REFUNDED if trade.is_refund else Kind.PAID,
        ref=Ref(ours=trade.ours, theirs=trade.theirs, refund=trade.refund),
        at=trade.at,
        money=Money(trade.ordered, CURRENCY),
        account=merchant.account,
        live=merchant.live,
        fee=fee,
        raw={name: value for name, value in row.cells.items() if name != "对方账户"},
    )


def _line(trade: _Trade, keys: RunningNumbers) -> BillLine:
    """What the merchant's own coupons kept from him is the difference of two columns: the names of the columns that
    tell its parts have changed over the years."""
    sign = -1 if trade.is_refund else 1
    return BillLine(
        key=keys.unique(text_key(trade.word, trade.theirs, *filter(None, (trade.refund,)))),
        kind=LineKind.REFUND if trade.is_refund else LineKind.PAYMENT,
        at=trade.at,
        amount_minor=sign * trade.ordered,
        currency=CURRENCY,
        fee_minor=trade.fee or 0,
        discount_minor=sign * (trade.received - trade.ordered),
        ours=trade.ours,
        theirs=trade.theirs,
        refund=trade.refund,
        word=trade.word,
    )
