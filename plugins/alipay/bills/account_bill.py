"""The account bill (`signcustomer`): every change of the merchant's balance, in 12 columns (to about 2019) or in 16."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.providers import BillContent, BillLine, BillSide, LineKind, UnreadableBill
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
from plugins.alipay.fields import number, optional_number, printable
from plugins.alipay.formats import CURRENCY
from plugins.alipay.mapping import Merchant

_TITLE = "账务明细查询"
_ENTRY = re.compile(r"账务明细\.csv$")
_FOOT = re.compile(r"#(支出|收入)合计.([0-9]+)笔,共([+-]?[0-9.,]*[0-9])元")
_COLUMNS = (
    "账务流水号",
    "业务流水号",
    "商户订单号",
    "发生时间",
    "收入金额",
    "支出金额",
    "账户余额",
    "业务类型",
    "备注",
)

MEANINGS: Mapping[str, tuple[LineKind, LineKind]] = {
    "在线支付": (LineKind.PAYMENT, LineKind.OTHER),
    "交易": (LineKind.PAYMENT, LineKind.OTHER),
    "交易付款": (LineKind.PAYMENT, LineKind.OTHER),  # in shops' accounts
    "交易退款": (LineKind.ADJUSTMENT, LineKind.REFUND),  # coming in: a refund that came back
    "退款": (LineKind.ADJUSTMENT, LineKind.REFUND),
    "收费": (LineKind.FEE_RETURN, LineKind.FEE),
    "服务费": (LineKind.FEE_RETURN, LineKind.FEE),
    "退费": (LineKind.FEE_RETURN, LineKind.FEE),  # the word is from memory of integrators: no genuine file was found
    "交易分账": (LineKind.SHARE, LineKind.SHARE),
    "提现": (LineKind.PAYOUT, LineKind.PAYOUT),  # coming in: the bank sent it back
    "转账": (LineKind.TRANSFER, LineKind.TRANSFER),
    "充值": (LineKind.TRANSFER, LineKind.TRANSFER),
}
"""What a word of 业务类型 means, of money that comes in and of money that goes out (rows seen in 2012 to 2026). A word
that is not here, 其它 among them, is OTHER: the balance depends on its row too."""
_GIVEN_BACK = re.compile(r"服务费.{0,2}退|退.{0,4}服务费")
"""In the description or remark of a fee that came back, whatever its word is."""
_OF_TRADES = frozenset({LineKind.PAYMENT, LineKind.REFUND, LineKind.SHARE, LineKind.ADJUSTMENT})
_FEES = frozenset({LineKind.FEE, LineKind.FEE_RETURN})

_MAIN = re.compile(r"M\{([^{}|]+)\}")
_DOCUMENT = re.compile(r"O\{([^{}|]+)\}")
"""业务订单号 is `M{main}|S{sub}|O{document}`; of a refund the document is our request number."""
_FEE_REMARK = re.compile(r"[\u4e00-\u9fff]{1,16}\[[A-Za-z0-9_-]{1,64}\]")
_MOST_LETTERS = 64


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row that was read. Amounts are fen."""

    id: str
    number: str | None
    """业务流水号: the trade's number, of fees and refunds too; or that of a payout or transfer."""
    ours: str | None
    main: str | None
    """Of the trade that the row belongs to, in 业务订单号."""
    base: str | None
    """业务基础订单号. Older files have neither."""
    refund: str | None
    at: datetime
    change: int
    balance: int
    word: str
    remark: str
    description: str

    @property
    def kind(self) -> LineKind:
        incoming, outgoing = MEANINGS.get(self.word, (LineKind.OTHER, LineKind.OTHER))
        kind = incoming if self.change >= 0 else outgoing
        if kind is LineKind.OTHER and self.change > 0 and _GIVEN_BACK.search(f"{self.description} {self.remark}"):
            return LineKind.FEE_RETURN
        return kind

    @property
    def is_of_a_trade(self) -> bool:
        """Fees of payouts carry neither a number of the merchant's nor a main order; those of trades do."""
        kind = self.kind
        return kind in _OF_TRADES or (kind in _FEES and (self.ours or self.main) is not None)


def account_lines(content: bytes, name: str, merchant: Merchant) -> BillContent:
    """The bill as lines. Raises UnreadableBill when it is not whole or not readable; another account's is told as
    such."""
    problems = Problems()
    table = _checked(content, problems)
    since, until = table.period(name)
    account = merchant.account if table.account == merchant.seller_id else table.account
    return BillContent(BillSide.FUNDS, account, since, until, ZONE, _Lines(table), problems.told())


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of a bill that was checked, read from its bytes at each iteration."""

    table: Table

    def __iter__(self) -> Iterator[BillLine]:
        keys = RunningNumbers()
        for row in self.table.rows():
            entry = _read(row, None)
            if entry is not None:
                yield _line(entry, keys)


def _checked(content: bytes, problems: Problems) -> Table:
    """The bill's rows, once they are found to agree with the totals at its foot. Odd ones become problems."""
    table = detail_of(content, _TITLE, _ENTRY)
    table.require_columns(_COLUMNS)
    with unreadable():
        counted = _Counted()
        for row in table.rows():
            counted.add(row, _read(row, problems))
        counted.require(_feet(table))
    return table


def _feet(table: Table) -> dict[str, tuple[int, int]]:
    """Count and fen that the foot tells, for what went out and what came in."""
    found = [match.groups() for remark in table.remarks for match in _FOOT.finditer(remark)]
    feet = {side: (int(count), abs(fen(total))) for side, count, total in found}
    if set(feet) != {"支出", "收入"}:
        raise UnreadableBill("the totals are missing")
    return feet


@dataclass(slots=True)
class _Counted:
    """Rows and sums of what went out and came in. A sum says something if all the amounts behind it can be read."""

    rows: int = 0
    sums: dict[str, int] = field(default_factory=lambda: {"支出": 0, "收入": 0})
    unsummed: set[str] = field(default_factory=set)

    def add(self, row: Row, entry: _Entry | None) -> None:
        self.rows += 1
        if entry is not None:
            self.sums["收入" if entry.change > 0 else "支出"] += abs(entry.change)
            return
        for side in self.sums:
            try:
                self.sums[side] += abs(_cell(row, f"{side}金额"))
            except (KeyError, ValueError):
                self.unsummed.add(side)

    def require(self, feet: dict[str, tuple[int, int]]) -> None:
        if sum(count for count, _ in feet.values()) != self.rows:
            raise UnreadableBill("rows and totals do not agree: their number")
        for side, (_, total) in feet.items():
            if side not in self.unsummed and self.sums[side] != total:
                raise UnreadableBill(f"rows and totals do not agree: {side}")


def _cell(row: Row, name: str) -> int:
    """An amount; none is written as nothing, or as 0.00."""
    text = row.cells[name]
    return fen(text) if text else 0


def _read(row: Row, problems: Problems | None) -> _Entry | None:
    try:
        return _entry(row)
    except KeyError as error:
        problem = f"the column {error} is missing"
    except ValueError as error:
        problem = str(error)
    if problems is not None:
        problems.add(f"{row}: {problem}")
    return None


def _entry(row: Row) -> _Entry:
    """What goes out is written with either sign, or with none. Raises ValueError, KeyError."""
    cells = row.cells
    incoming, outgoing = _cell(row, "收入金额"), abs(_cell(row, "支出金额"))
    if incoming < 0:
        raise ValueError("less than nothing came in")
    if incoming and outgoing:
        raise ValueError("it came in and went out")
    orders = cells.get("业务订单号", "")
    return _Entry(
        id=number(cells, "账务流水号"),
        number=optional_number(cells, "业务流水号"),
        ours=optional_number(cells, "商户订单号"),
        main=_named(_MAIN, orders),
        base=optional_number(cells, "业务基础订单号"),
        refund=_named(_DOCUMENT, orders),
        at=moment(cells["发生时间"]),
        change=incoming - outgoing,
        balance=fen(cells["账户余额"]),
        word=cells["业务类型"],
        remark=cells["备注"],
        description=cells.get("业务描述", ""),
    )


def _named(pattern: re.Pattern[str], orders: str) -> str | None:
    found = pattern.search(orders)
    return found[1] if found is not None and found[1].isprintable() and len(found[1]) <= _MOST_LETTERS else None


def _line(entry: _Entry, keys: RunningNumbers) -> BillLine:
    kind, of_a_trade = entry.kind, entry.is_of_a_trade
    return BillLine(
        key=keys.unique(text_key(entry.id)),
        kind=kind,
        at=entry.at,
        amount_minor=entry.change,
        currency=CURRENCY,
        balance_minor=entry.balance,
        ours=entry.ours if of_a_trade else None,
        theirs=(entry.number or entry.main or entry.base) if of_a_trade else None,
        refund=entry.refund if kind in (LineKind.REFUND, LineKind.FEE_RETURN, LineKind.ADJUSTMENT) else None,
        related=None if of_a_trade else entry.number,
        word=printable(entry.word),
        note=_note(entry),
    )


def _note(entry: _Entry) -> str:
    """Alipay's own description, or its remark on a fee. Other remarks are a payer's or a merchant's words, with names
    and telephone numbers in them: whoever needs them opens the bill."""
    if entry.description:
        return printable(entry.description)
    return entry.remark if _FEE_REMARK.fullmatch(entry.remark) else ""
