"""From a fund flow bill's lines to rows, checked: as many and as much, in and out, as the totals at its end say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from plugins.wechat.bills.table import OddRow, Row, cells, columns, yuan
from plugins.wechat.documents import Unreadable

BOOKED_AT = "记账时间"
BUSINESS_NUMBER, FLOW_NUMBER, VOUCHER = "微信支付业务单号", "资金流水单号", "业务凭证号"
NAME, WORD, DIRECTION, REMARK = "业务名称", "业务类型", "收支类型", "备注"
AMOUNT, BALANCE = "收支金额", "账户结余"
"""Without their unit: it stands in brackets behind the name, of either width."""
COMES_IN, GOES_OUT = "收入", "支出"
COUNT = "资金流水总笔数"
_TOTALS = {COMES_IN: ("收入笔数", "收入金额"), GOES_OUT: ("支出笔数", "支出金额")}
_NEEDED = (BOOKED_AT, BUSINESS_NUMBER, FLOW_NUMBER, NAME, WORD, DIRECTION, AMOUNT, BALANCE, REMARK, VOUCHER)


def read_fund_rows(lines: Iterator[str]) -> Iterator[Row | OddRow]:
    """The rows by column name. Believe none before the last has come without Unreadable: the totals are at the end."""
    names = _without_units(next(lines, ""))
    sums = _Sums()
    for line in lines:
        if line.startswith(COUNT):
            needed = (COUNT, *(name for pair in _TOTALS.values() for name in pair))
            sums.check(cells(columns(_bare(line), needed), next(lines, "")))
            break
        yield sums.take(names, line)
    else:
        raise Unreadable("a bill without its totals")
    if next(lines, None) is not None:
        raise Unreadable("a bill that goes on after its totals")


def _without_units(header: str) -> list[str]:
    return columns(_bare(header), _NEEDED)


def _bare(line: str) -> str:
    """The names of a line without what stands in brackets."""
    return ",".join(name.replace("（", "(").partition("(")[0] for name in line.split(","))


@dataclass
class _Sums:
    """What the rows come to, to be held against the totals."""

    rows: int = 0
    odd: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {COMES_IN: 0, GOES_OUT: 0})
    amounts: dict[str, Decimal] = field(default_factory=lambda: {COMES_IN: Decimal(), GOES_OUT: Decimal()})

    def take(self, names: list[str], line: str) -> Row | OddRow:
        self.rows += 1
        try:
            row = cells(names, line)
            direction, amount = row[DIRECTION], yuan(row[AMOUNT])
            if direction not in self.counts or amount < 0:
                raise Unreadable("neither in nor out")
        except Unreadable as error:
            self.odd += 1
            return OddRow(self.rows, str(error))
        self.counts[direction] += 1
        self.amounts[direction] += amount
        return row

    def check(self, totals: Row) -> None:
        """Numbers are compared, not texts: a count may read `20.0`. What an odd row was worth is not known, so that
        the others may come to less than the totals; and it may be one row that a line break made two."""
        counted = yuan(totals[COUNT].strip())
        told = {way: [yuan(totals[name].strip()) for name in pair] for way, pair in _TOTALS.items()}
        ours = {way: [Decimal(self.counts[way]), self.amounts[way]] for way in _TOTALS}
        if counted != sum(count for count, _ in told.values()):
            raise Unreadable("a bill whose totals do not agree with each other")
        if self.odd == 0 and counted == self.rows and told == ours:
            return
        possible = self.rows - self.odd < counted <= self.rows
        less = all(mine <= theirs for way in told for mine, theirs in zip(ours[way], told[way], strict=True))
        if not (self.odd and possible and less):
            raise Unreadable("a bill whose rows and totals do not agree")
