"""A bill of the simulated WeChat Pay as a sheet of rows, what goes wrong in one, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from plugins.wechat.bills.days import beijing_day
from plugins.wechat.bills.feeds import TRADE_BILL
from plugins.wechat.simulated.books import Refused

TRADE_COLUMNS = (
    *("交易时间", "公众账号ID", "商户号", "特约商户号", "设备号", "微信订单号", "商户订单号", "用户标识", "交易类型"),
    *("交易状态", "付款银行", "货币种类", "应结订单金额", "代金券金额", "微信退款单号", "商户退款单号", "退款金额"),
    *("充值券退款金额", "退款类型", "退款状态", "商品名称", "商户数据包", "手续费", "费率", "订单金额"),
    *("申请退款金额", "费率备注"),
)
FUND_COLUMNS = (
    *("记账时间", "微信支付业务单号", "资金流水单号", "业务名称", "业务类型", "收支类型", "收支金额(元)"),
    *("账户结余(元)", "资金变更提交申请人", "备注", "业务凭证号"),
)


@dataclass(frozen=True)
class SheetRow:
    number: str
    """The merchant's: of an order, a refund, or another movement."""
    at: datetime
    cells: Mapping[str, str]
    """By column, in the order of the columns."""
    fen: Mapping[str, int]
    """What the totals count, by column: also where the cell shows something else."""
    word: str = ""
    """业务类型, where a number has more than one row."""

    @property
    def day(self) -> date:
        return beijing_day(self.at)


@dataclass
class BillFaults:
    """What WeChat Pay gets wrong in its bills from now on: totals are right for the rows that are listed, so that
    nobody sees it in the bill alone. `mend` makes all bills anew, right."""

    _changes: list[tuple[str, str, str, Callable[[SheetRow], list[SheetRow]]]] = field(default_factory=list)
    _late: set[tuple[str, str, str]] = field(default_factory=set)

    def drop(self, number: str, feed: str = TRADE_BILL, word: str = "") -> None:
        """The row is missing."""
        self._changes.append((feed, number, word, lambda _: []))

    def double(self, number: str, feed: str = TRADE_BILL, word: str = "") -> None:
        """The row is listed twice."""
        self._changes.append((feed, number, word, lambda row: [row, row]))

    def alter(self, number: str, cells: Mapping[str, str], feed: str = TRADE_BILL, word: str = "") -> None:
        """The row shows this in place of what is right."""
        unknown = cells.keys() - set(TRADE_COLUMNS if feed == TRADE_BILL else FUND_COLUMNS)
        if unknown:
            raise Refused(400, "PARAM_ERROR", f"no such column: {', '.join(sorted(unknown))}")
        self._changes.append((feed, number, word, lambda row: [_altered(row, cells)]))

    def delay(self, number: str, feed: str = TRADE_BILL, word: str = "") -> None:
        """The row is listed with its own time in the bill of the next day."""
        self._late.add((feed, number, word))

    def mend(self) -> None:
        """All bills are made anew."""
        self._changes.clear()
        self._late.clear()

    def listed(self, feed: str, day: date, rows: Iterable[SheetRow]) -> list[SheetRow]:
        """The rows that the bill of that day has."""
        found = [row for row in rows if self._listed_on(feed, row) == day]
        for changed, number, word, change in self._changes:
            if changed == feed:
                found = [
                    each
                    for row in found
                    for each in (change(row) if row.number == number and word in ("", row.word) else [row])
                ]
        return found

    def _listed_on(self, feed: str, row: SheetRow) -> date:
        late = {(feed, row.number, row.word), (feed, row.number, "")} & self._late
        return row.day + timedelta(days=1) if late else row.day


def _altered(row: SheetRow, cells: Mapping[str, str]) -> SheetRow:
    counted = {name: int(Decimal(cells[name]).scaleb(2)) for name in row.fen.keys() & cells.keys()}
    return replace(row, cells={**row.cells, **cells}, fen={**row.fen, **counted})


def written(columns: Iterable[str], rows: Iterable[SheetRow], totals: Mapping[str, str]) -> str:
    """The text of a bill."""
    lines = [",".join(columns), *(_line(row.cells.values()) for row in rows), ",".join(totals), _line(totals.values())]
    return "\ufeff" + "\r\n".join(lines) + "\r\n"


def in_yuan(fen: int, more_places: str = "") -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}{more_places}"


def _line(cells: Iterable[str]) -> str:
    return ",".join(f"`{cell}" for cell in cells)
