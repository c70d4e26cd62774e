"""From a trade bill's lines to rows, checked: all columns there, ours, and as many and as much as the totals at its end
say.

One odd row does not spoil the others: it is told as odd, and the totals say how much it may hide. Bills of type ALL
have payments and refunds; SUCCESS has only payments, and no columns for refunds; REFUND has only refunds, with their
own times. Each of them has an old layout, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from plugins.wechat.bills.table import OddRow, Row, cells, columns, yuan
from plugins.wechat.documents import Unreadable

ORDERED, ASKED_BACK = "订单金额", "申请退款金额"
"""The amounts of a payment and of a refund, before coupons."""
SETTLED, RETURNED = "应结订单金额", "退款金额"
"""What is left of them when the coupons that the merchant pays for himself are taken off."""
FEE = "手续费"
COUNT = "总交易单数"
_NEEDED = (
    "交易时间",
    "公众账号ID",
    "商户号",
    "微信订单号",
    "商户订单号",
    "交易状态",
    "货币种类",
    FEE,
)
_OF_REFUNDS = ("商户退款单号", "退款状态")
_FEES = "手续费总金额"


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the amounts are called, and the totals that go with them."""

    names: list[str]
    ordered: str
    asked_back: str
    total_ordered: str
    total_asked_back: str
    further: dict[str, str]
    """Columns whose totals are compared only where fees and coupons count, with the names of their totals."""
    has_refunds: bool

    @property
    def needed_totals(self) -> list[str]:
        return [COUNT, self.total_ordered, *([self.total_asked_back] if self.has_refunds else [])]

    def in_todays_names(self, row: dict[str, str]) -> dict[str, str]:
        """The old layout is that of merchants who never had coupons switched on that are not charged (免充值): what was
        ordered is what is settled."""
        if self.ordered == ORDERED:
            return row
        row |= {ORDERED: row[self.ordered], SETTLED: row[self.ordered]}
        return row | ({ASKED_BACK: row[self.asked_back]} if self.has_refunds else {})


def _layout(line: str, *, for_books: bool) -> _Layout:
    names = columns(line, _NEEDED)
    has_refunds = not for_books or any(name in names for name in (*_OF_REFUNDS, ASKED_BACK, RETURNED))
    if "总金额" in names:
        layout = _Layout(names, "总金额", RETURNED, "总交易额", "总退款金额", {FEE: _FEES}, has_refunds)
    else:
        further = {SETTLED: "应结订单总金额", FEE: _FEES} | ({RETURNED: "退款总金额"} if has_refunds else {})
        layout = _Layout(names, ORDERED, ASKED_BACK, "订单总金额", "申请退款总金额", further, has_refunds)
    refunds = (*_OF_REFUNDS, layout.asked_back) if has_refunds else ()
    columns(line, (layout.ordered, *refunds, *(layout.further if for_books else ())))
    return layout


def read_rows(lines: Iterator[str], mchid: str, *, for_books: bool = False) -> Iterator[Row | OddRow]:
    """The rows of a merchant's bill by column name; those of an old bill have today's names too. Believe none before
    the last has come without Unreadable: the totals are at the end.

    `for_books` compares every total, of fees and settled amounts too, and takes a row without them for odd: the lines
    of a bill are booked. Otherwise the bill must be of type ALL, and those totals are compared from which facts take
    their money, so that an odd fee keeps no payment from being credited.
    """
    layout = _layout(next(lines, ""), for_books=for_books)
    sums = _Sums(layout, mchid, layout.further if for_books else {})
    for line in lines:
        if line.startswith(COUNT):
            sums.check(cells(columns(line, layout.needed_totals), next(lines, "")))
            break
        yield sums.take(line)
    else:
        raise Unreadable("a bill without its totals")
    if next(lines, None) is not None:
        raise Unreadable("a bill that goes on after its totals")


@dataclass
class _Sums:
    """What the rows come to, to be held against the totals."""

    layout: _Layout
    mchid: str
    further: dict[str, str]
    rows: int = 0
    odd: int = 0
    of_others: int = 0
    ordered: Decimal = field(default_factory=Decimal)
    asked_back: Decimal = field(default_factory=Decimal)
    others: dict[str, Decimal] = field(default_factory=dict)

    def take(self, line: str) -> Row | OddRow:
        self.rows += 1
        try:
            row = cells(self.layout.names, line)
            ordered = yuan(row[self.layout.ordered])
            asked_back = yuan(row[self.layout.asked_back]) if self.layout.has_refunds else Decimal()
            further = {name: yuan(row[name]) for name in self.further}
        except Unreadable as error:
            self.odd += 1
            return OddRow(self.rows, str(error))
        self.ordered += ordered
        self.asked_back += asked_back
        for name, amount in further.items():
            self.others[name] = self.others.get(name, Decimal()) + amount
        if row["商户号"] != self.mchid:
            self.of_others += 1
            return OddRow(self.rows, "another merchant's number")
        return self.layout.in_todays_names(row)

    def check(self, totals: Row) -> None:
        """Numbers are compared, not texts: a count may read `45.0`. What an odd row was worth is not known, so that
        the others may come to less than the totals; and it may be one row that a line break made two."""
        if self.of_others and self.of_others == self.rows - self.odd:
            raise Unreadable("a bill of another merchant")
        counted = yuan(totals[COUNT].strip())
        ordered = yuan(totals[self.layout.total_ordered].strip())
        asked_back = yuan(totals[self.layout.total_asked_back].strip()) if self.layout.has_refunds else Decimal()
        exact = (counted, ordered, asked_back) == (Decimal(self.rows), self.ordered, self.asked_back)
        possible = self.rows - self.odd < counted <= self.rows and ordered >= self.ordered
        if not exact and not (self.odd and possible and asked_back >= self.asked_back):
            raise Unreadable("a bill whose rows and totals do not agree")
        if self.odd == 0:
            self._check_further(totals)

    def _check_further(self, totals: Row) -> None:
        """SUCCESS bills have four totals or seven (page of 2024, file of 2019): those that are there are compared."""
        for name, total in self.further.items():
            if total in totals and yuan(totals[total].strip()) != self.others.get(name, Decimal()):
                raise Unreadable(f"a bill whose rows and its {total} do not agree")
