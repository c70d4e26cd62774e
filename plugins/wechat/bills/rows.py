"""From a bill's lines to rows, checked: all columns there, ours, and as many and as much as the totals at its end say.

Source of the layout: the official page on trade bills (4013071254) and published bills of 2019 to 2024.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from plugins.wechat.documents import Unreadable

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
    "订单金额",
    "申请退款金额",
)
COUNT = "总交易单数"
TOTALS = {"订单总金额": "订单金额", "申请退款总金额": "申请退款金额"}
"""The totals that are compared, each with its column: those from which facts take their money."""
_YUAN = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,5})?", re.ASCII)
Row = Mapping[str, str]


def read_rows(lines: Iterator[str], mchid: str) -> Iterator[Row]:
    """The rows by column name. Believe none before the last has come without Unreadable: the totals are at the end."""
    header = _names(next(lines, ""), NEEDED)
    sums = _Sums()
    for line in lines:
        if line.startswith(COUNT):
            sums.check(_row(_names(line, (COUNT, *TOTALS)), next(lines, "")))
            break
        row = _row(header, line)
        if row["商户号"] != mchid:
            raise Unreadable("a bill of another merchant")
        sums.add(row)
        yield row
    else:
        raise Unreadable("a bill without its totals")
    if next(lines, None) is not None:
        raise Unreadable("a bill that goes on after its totals")


def _names(line: str, needed: tuple[str, ...]) -> list[str]:
    names = line.split(",")
    missing = [name for name in needed if name not in names]
    if missing:
        raise Unreadable(f"not a bill, or columns are missing: {', '.join(missing)}")
    return names


def _row(names: list[str], line: str) -> Row:
    """Cells begin with a backquote and are never quoted: `,` alone may be part of what a shop wrote (its `attach` in
    JSON, for one), `` ,` `` may not."""
    cells = line[1:].split(",`")
    if not line.startswith("`") or len(cells) != len(names):
        raise Unreadable("a row with other cells than the columns")
    return dict(zip(names, cells, strict=True))


@dataclass
class _Sums:
    rows: int = 0
    money: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(TOTALS, Decimal(0)))

    def add(self, row: Row) -> None:
        self.rows += 1
        for total, column in TOTALS.items():
            self.money[total] += _yuan(row[column])

    def check(self, totals: Row) -> None:
        if totals[COUNT] != str(self.rows) or any(_yuan(totals[name]) != money for name, money in self.money.items()):
            raise Unreadable("a bill whose rows and totals do not agree")


def _yuan(text: str) -> Decimal:
    if not _YUAN.fullmatch(text):
        raise Unreadable("an amount in a bill that is none")
    return Decimal(text)
