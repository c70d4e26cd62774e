"""From a bill's lines to rows, checked: all columns there, ours, and as many and as much as the totals at its end say.

One odd row does not spoil the others: it is told as odd, and the totals say how much it may hide.

Source of the layouts: the official page on trade bills (4013071254) and published bills of 2014 to 2024.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from plugins.wechat.documents import Unreadable

ORDERED, ASKED_BACK = "订单金额", "申请退款金额"
"""The amounts of a payment and of a refund, before coupons."""
NEEDED = (
    "交易时间",
    "公众账号ID",
    "商户号",
    "微信订单号",
    "商户订单号",
    "交易状态",
    "货币种类",
    "商户退款单号",
    "退款状态",
    "手续费",
)
COUNT = "总交易单数"
_YUAN = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,5})?", re.ASCII)
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OddRow:
    """A row that cannot be read; `why` quotes nothing of it."""

    number: int
    """Of all rows of the bill, the first one is 1."""
    why: str


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the two amounts are called, and the totals that go with them: those from which facts take their money."""

    ordered: str
    asked_back: str
    total_ordered: str
    total_asked_back: str


_LAYOUT = _Layout(ORDERED, ASKED_BACK, "订单总金额", "申请退款总金额")
_OLD_LAYOUT = _Layout("总金额", "退款金额", "总交易额", "总退款金额")
"""Of 24 columns: the bill of merchants who never had coupons switched on that are not charged (免充值)."""


def read_rows(lines: Iterator[str], mchid: str) -> Iterator[Row | OddRow]:
    """The rows by column name; those of an old bill have today's names too. Believe none before the last has come
    without Unreadable: the totals are at the end."""
    header, layout = _header(next(lines, ""))
    sums = _Sums()
    for line in lines:
        if line.startswith(COUNT):
            names = _names(line, (COUNT, layout.total_ordered, layout.total_asked_back))
            sums.check(_cells(names, next(lines, "")), layout)
            break
        yield sums.take(header, layout, line, mchid)
    else:
        raise Unreadable("a bill without its totals")
    if next(lines, None) is not None:
        raise Unreadable("a bill that goes on after its totals")


def _header(line: str) -> tuple[list[str], _Layout]:
    layout = _OLD_LAYOUT if _OLD_LAYOUT.ordered in line.split(",") else _LAYOUT
    return _names(line, (*NEEDED, layout.ordered, layout.asked_back)), layout


def _names(line: str, needed: tuple[str, ...]) -> list[str]:
    names = line.split(",")
    missing = [name for name in needed if name not in names]
    if missing:
        raise Unreadable(f"not a bill, or columns are missing: {', '.join(missing)}")
    return names


def _cells(names: list[str], line: str) -> dict[str, str]:
    """Cells begin with a backquote and are never quoted: `,` alone may be part of what a shop wrote (its `attach` in
    JSON, for one), `` ,` `` may not. Some bills of 2014 have no backquotes at all."""
    quoted = "`" in line
    cells = line[1:].split(",`") if quoted else line.split(",")
    if (quoted and not line.startswith("`")) or len(cells) != len(names):
        raise Unreadable("other cells than the columns")
    return dict(zip(names, cells, strict=True))


@dataclass
class _Sums:
    """What the rows come to, to be held against the totals."""

    rows: int = 0
    odd: int = 0
    of_others: int = 0
    ordered: Decimal = field(default_factory=Decimal)
    asked_back: Decimal = field(default_factory=Decimal)

    def take(self, header: list[str], layout: _Layout, line: str, mchid: str) -> Row | OddRow:
        self.rows += 1
        try:
            row = _cells(header, line)
            ordered, asked_back = yuan(row[layout.ordered]), yuan(row[layout.asked_back])
        except Unreadable as error:
            self.odd += 1
            return OddRow(self.rows, str(error))
        self.ordered += ordered
        self.asked_back += asked_back
        if row["商户号"] != mchid:
            self.of_others += 1
            return OddRow(self.rows, "another merchant's number")
        return row | {ORDERED: row[layout.ordered], ASKED_BACK: row[layout.asked_back]}

    def check(self, totals: Row, layout: _Layout) -> None:
        """Numbers are compared, not texts: a count may read `45.0`. What an odd row was worth is not known, so that
        the others may come to less than the totals; and it may be one row that a line break made two."""
        if self.of_others and self.of_others == self.rows - self.odd:
            raise Unreadable("a bill of another merchant")
        counted = yuan(totals[COUNT].strip())
        ordered, asked_back = yuan(totals[layout.total_ordered].strip()), yuan(totals[layout.total_asked_back].strip())
        exact = (counted, ordered, asked_back) == (Decimal(self.rows), self.ordered, self.asked_back)
        possible = self.rows - self.odd < counted <= self.rows and ordered >= self.ordered
        if not exact and not (self.odd and possible and asked_back >= self.asked_back):
            raise Unreadable("a bill whose rows and totals do not agree")


def yuan(text: str) -> Decimal:
    """An amount or a count of a bill, exactly. Raises Unreadable."""
    if not _YUAN.fullmatch(text):
        raise Unreadable("an amount that is none")
    return Decimal(text)
