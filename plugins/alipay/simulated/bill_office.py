"""The simulated Alipay's books of one merchant: what a day's bills say, and what is wrong with them on demand.

The merchant's balance grows by payments and shrinks by refunds, fees and payouts; the account bill shows each change
with the balance after it. Bills are made once, when they are first asked for, and made anew only on demand.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import TypeVar

from plugins.alipay.formats import beijing_day, beijing_text
from plugins.alipay.simulated.bills import ACCOUNT, TRADE, AccountRow, TradeRow, account_bill, trade_bill
from plugins.alipay.simulated.trades import Trade

BASIS = 10_000
AnyRow = TypeVar("AnyRow", TradeRow, AccountRow)
_numbers = itertools.count(1)


class Planted(StrEnum):
    """What is wrong with a row."""

    MISSING = "missing"
    TWICE = "twice"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    LATE = "late"
    """It stands in the bill of the next day, with its own time."""


@dataclass(frozen=True, slots=True)
class Movement:
    """A change of the balance that belongs to no trade."""

    number: str
    word: str
    at: datetime
    fen: int
    remark: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with the rows of one number: with those of one 业务类型, or with all of them."""

    bill_type: str
    number: str
    fault: Planted
    word: str = ""
    fen: int = 0
    """Of CHANGED: what the row says instead, with its sign."""

    def concerns(self, bill_type: str, row: TradeRow | AccountRow) -> bool:
        return self.bill_type == bill_type and self.number in row.numbers and self.word in ("", row.word)


@dataclass(slots=True)
class BillOffice:
    trades: Callable[[], Iterable[Trade]]
    seller_id: str
    now: Callable[[], datetime]
    fee_basis_points: int = 60
    """Hundredths of a percent, rounded half up to the fen for each payment (0.6 %: 393.00 pays 2.36)."""
    gives_fees_back: bool = False
    """Whether a refund gives its part of the fee back: that is the contract's."""
    fees_after: timedelta = timedelta(0)
    """So much later than its payment or refund a fee is taken or given back: perhaps on the next day."""
    opening_fen: int = 0
    """The balance before everything."""
    coupons: dict[str, int] = field(default_factory=dict)
    """The part of a payment that the merchant's own coupon stands for, by out_trade_no."""
    movements: list[Movement] = field(default_factory=list)
    faults: list[RowFault] = field(default_factory=list)
    made: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """Bills by type and day."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    # --- the merchant's money -------------------------------------------------------------------------------------

    def pay_out(self, fen: int, fee_fen: int = 0) -> str:
        """To the merchant's bank account; the payout's number."""
        number = self.move("提现", -fen, description="提现")
        if fee_fen:
            charged = (number, "收费", self.now(), -fee_fen, f"服务费[{number}]", "提现服务费")
            self.movements.append(Movement(*charged))
        return number

    def move(self, word: str, fen: int, *, remark: str = "", description: str = "") -> str:
        """Any other change of the balance, such as 转账, 充值 or 其它; its number."""
        number = f"{beijing_day(self.now()):%Y%m%d}1100701{next(_numbers):017d}"
        self.movements.append(Movement(number, word, self.now(), fen, remark, description))
        return number

    def balance_fen(self, until: datetime) -> int:
        """The balance at that moment."""
        return self.opening_fen + sum(row.fen for row in self._changes() if row.at < until)

    # --- bills ----------------------------------------------------------------------------------------------------

    def bill(self, bill_type: str, day: str) -> bytes:
        """The bill of one Beijing day (`2026-01-03`), as it was made first."""
        with self._lock:
            if (bill_type, day) not in self.made:
                wanted = date.fromisoformat(day)
                if bill_type == TRADE:
                    content = trade_bill(self._of_day(TRADE, self._trade_rows(), wanted), self.seller_id, wanted)
                else:
                    content = account_bill(self._of_day(ACCOUNT, self._entries(), wanted), self.seller_id, wanted)
                self.made[bill_type, day] = content
            return self.made[bill_type, day]

    def make_anew(self, bill_type: str, day: str) -> None:
        """From now on the day's bill tells what is known now."""
        with self._lock:
            self.made.pop((bill_type, day), None)

    def plant(self, bill_type: str, number: str, fault: Planted, *, word: str = "", fen: int = 0) -> None:
        """Make rows of bills wrong that are not made yet. Totals and balances are those of the rows that are shown and
        of what happened: the bill is whole, and wrong."""
        self.faults.append(RowFault(bill_type, number, fault, word, fen))

    def fee(self, fen: int) -> int:
        return (fen * self.fee_basis_points + BASIS // 2) // BASIS

    def _of_day(self, bill_type: str, rows: Iterable[AnyRow], day: date) -> list[AnyRow]:
        shown: list[AnyRow] = []
        for row in rows:
            faults = {fault.fault: fault for fault in self.faults if fault.concerns(bill_type, row)}
            if beijing_day(row.at) + timedelta(days=Planted.LATE in faults) == day:
                shown += _with_faults(row, faults)
        return shown

    def _trade_rows(self) -> Iterator[TradeRow]:
        for trade in self.trades():
            paid = self._payment_row(trade)
            if paid is not None:
                yield paid
                yield from self._refund_rows(trade, paid)

    def _payment_row(self, trade: Trade) -> TradeRow | None:
        if trade.paid_at is None:
            return None
        coupon = self.coupons.get(trade.order.out_trade_no, 0)
        return TradeRow(
            trade_no=trade.trade_no,
            out_trade_no=trade.order.out_trade_no,
            word="交易",
            at=trade.paid_at,
            fen=trade.fen,
            subject=trade.order.subject,
            created_at=trade.created_at,
            fee_fen=-self.fee(trade.fen - coupon),
            coupon_fen=coupon,
            readable=not trade.odd_in_bills,
        )

    def _refund_rows(self, trade: Trade, paid: TradeRow) -> Iterator[TradeRow]:
        """What comes back of the fee is rounded for each refund, and is never more than was taken."""
        left = -paid.fee_fen if self.gives_fees_back else 0
        for refund in trade.done_refunds:
            back = min(left, _part(-paid.fee_fen, refund.fen, paid.fen))
            left -= back
            yield replace(
                paid,
                word="退款",
                at=refund.at,
                fen=-refund.fen,
                request_no=refund.request_no,
                fee_fen=back,
                coupon_fen=-_part(paid.coupon_fen, refund.fen, paid.fen),
            )

    def _entries(self) -> Iterator[AccountRow]:
        """All changes in the order of their time, each with the balance after it."""
        balance = self.opening_fen
        for row in sorted(self._changes(), key=lambda row: row.at):
            balance += row.fen
            yield replace(row, balance_fen=balance)

    def _changes(self) -> Iterator[AccountRow]:
        for row in self._trade_rows():
            yield from self._changes_of(row)
        for move in self.movements:
            entry_no = _entry_no(move.at, move.number, move.word)
            yield AccountRow(
                entry_no=entry_no,
                number=move.number,
                word=move.word,
                at=move.at,
                fen=move.fen,
                remark=move.remark,
                description=move.description,
            )

    def _changes_of(self, row: TradeRow) -> Iterator[AccountRow]:
        """A payment or refund, and its fee as a row of its own."""
        is_refund = row.word == "退款"
        orders = f"M{{{row.trade_no}}}|" + (f"O{{{row.request_no}}}" if is_refund else "")
        word = "交易退款" if is_refund else "在线支付"
        moved = AccountRow(
            entry_no=_entry_no(row.at, row.trade_no, word, row.request_no),
            number=row.trade_no,
            word=word,
            at=row.at,
            fen=row.received_fen,
            out_trade_no=row.out_trade_no,
            request_no=row.request_no,
            subject=row.subject,
            description=f"002|{word}",
            orders=orders,
            readable=row.readable,
        )
        yield moved
        if row.fee_fen:
            charged_at = row.at + self.fees_after
            charge = "退费" if row.fee_fen > 0 else "收费"
            yield replace(
                moved,
                entry_no=_entry_no(charged_at, row.trade_no, charge, row.request_no),
                word=charge,
                at=charged_at,
                fen=row.fee_fen,
                subject="",
                remark=f"服务费{'退还' if row.fee_fen > 0 else ''}[{row.trade_no}]",
                description="003|退服务费" if row.fee_fen > 0 else "003|服务费",
                readable=True,
            )


def _with_faults(row: AnyRow, faults: Mapping[Planted, RowFault]) -> list[AnyRow]:
    if Planted.MISSING in faults:
        return []
    if Planted.CHANGED in faults:
        row = replace(row, fen=faults[Planted.CHANGED].fen)
    if Planted.UNREADABLE in faults:
        row = replace(row, readable=False)
    return [row, row] if Planted.TWICE in faults else [row]


def _part(fen: int, part: int, whole: int) -> int:
    """The part of an amount that goes with part of the payment, rounded half up."""
    return (2 * fen * part + whole) // (2 * whole) if whole else 0


def _entry_no(at: datetime, *named: str) -> str:
    """账务流水号: always the same for one change, whenever a bill is made."""
    digest = int.from_bytes(blake2b("|".join(named).encode(), digest_size=7).digest())
    return f"{beijing_text(at)[:10].replace('-', '')}{digest % 10**16:016d}"
