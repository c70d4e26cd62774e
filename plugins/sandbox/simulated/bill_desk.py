"""The simulated provider's bills: what happened to a merchant's money, by day and side. Part of the simulator."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from app.providers import Clock
from plugins.sandbox.mapping import written
from plugins.sandbox.simulated.books import Books, Refused, SimulatedPayment, SimulatedRefund

READY_AFTER = timedelta(hours=1)
"""So long after its day has ended a bill can be had."""
BASIS = 10_000
SIDES = ("trades", "funds")
PAYER = "payer@example.org"
Row = dict[str, Any]
_numbers = itertools.count(1)


@dataclass
class BillDesk:
    books: Books
    clock: Clock
    fee_basis_points: int = 60
    """Hundredths of a percent, rounded half up to the minor unit for each payment."""
    gives_fees_back: bool = True
    """A refund gives its part of the fee back."""
    moved: list[tuple[str, Row]] = field(default_factory=list)
    """Payouts and whatever else belongs to no payment, by merchant."""
    missing: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    """Ids of rows that bills leave out, or have twice; with `trades:` or `funds:` before the id, that bill alone. Such
    a bill adds up, and is wrong."""
    made: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Bills by merchant, side and day: each is made when it is first asked for, and made anew once it is taken out of
    here."""

    def pay_out(self, merchant: str, amount: int, currency: str) -> str:
        """To the merchant's bank account; the payout's number."""
        return self.move(merchant, "PAYOUT", -amount, currency)

    def move(self, merchant: str, kind: str, amount: int, currency: str) -> str:
        """Any change of the balance that belongs to no payment; its number."""
        number = f"mov_{next(_numbers)}"
        row = {"id": number, "kind": kind, "at": self.clock.now(), "amount": amount, "currency": currency}
        self.moved.append((merchant, {**row, "payout": number}))
        return number

    def balance(self, merchant: str, currency: str, until: datetime) -> int:
        """The balance in that currency at that moment."""
        rows = (row for row in self._funds(merchant) if row["currency"] == currency and row["at"] < until)
        return sum(row["amount"] for row in rows)

    def bill(self, merchant: str, side: str, day: str, *, live: bool) -> str:
        """The bill of one day. Raises Refused while it is not made yet."""
        try:
            since = datetime.combine(date.fromisoformat(day), time.min, UTC)
        except ValueError:
            raise Refused(400, "BAD_REQUEST") from None
        if side not in SIDES:
            raise Refused(400, "BAD_REQUEST")
        until = since + timedelta(days=1)
        if self.clock.now() < until + READY_AFTER:
            raise Refused(409, "BILL_NOT_READY")
        if (merchant, side, day) not in self.made:
            head = {"bill": side.upper(), "merchant": merchant, "live": live}
            head |= {"since": written(since), "until": written(until)}
            every = self._trades(merchant) if side == "trades" else self._funds(merchant)
            rows = [shown for row in every if since <= row["at"] < until for shown in self._shown(row, side)]
            self.made[merchant, side, day] = _document(head, rows)
        return self.made[merchant, side, day]

    def _shown(self, row: Row, side: str) -> Iterator[Row]:
        names = {row["id"], f"{side}:{row['id']}"}
        times = 0 if names & self.missing else 2 if names & self.twice else 1
        for at in range(times):
            yield row if at == 0 else {**row, "id": f"{row['id']}_again"}

    def _trades(self, merchant: str) -> Iterator[Row]:
        """Payments and refunds, each with its fee in a column."""
        for payment in self.books.all_of(merchant):
            if payment.status == "PAID":
                fee = self._fee(payment.asked["amount"])
                yield _row(payment, "PAYMENT", payment.at, payment.asked["amount"], fee=-fee) | dict(payment.odd)
                yield from self._refunds(payment, fee)

    def _refunds(self, payment: SimulatedPayment, fee: int) -> Iterator[Row]:
        left = fee if self.gives_fees_back else 0
        for refund in payment.refunds:
            if refund.done_at is None:
                continue
            back = min(left, _part(fee, refund.amount, payment.asked["amount"]))
            left -= back
            yield _row(payment, "REFUND", refund.done_at, -refund.amount, refund, fee=back)
            if refund.dispute_fee:
                yield _row(payment, "DISPUTE_FEE", refund.done_at, -refund.dispute_fee, refund)
            if refund.status == "REVERSED":
                yield _row(payment, "REFUND_BACK", refund.at, refund.amount, refund)

    def _funds(self, merchant: str) -> Iterator[Row]:
        """Every change of the balance, a fee as a row of its own, with the balance after it."""
        rows = [part for row in self._trades(merchant) for part in _parts(row)]
        rows += [row for owner, row in self.moved if owner == merchant]
        balances: defaultdict[str, int] = defaultdict(int)
        for row in sorted(rows, key=lambda row: row["at"]):
            if isinstance(row["amount"], int):
                balances[row["currency"]] += row["amount"]
            yield {**row, "balance": balances[row["currency"]]}

    def _fee(self, amount: int) -> int:
        return (amount * self.fee_basis_points + BASIS // 2) // BASIS


def _row(
    payment: SimulatedPayment, kind: str, at: datetime, amount: int, refund: SimulatedRefund | None = None, fee: int = 0
) -> Row:
    named = [payment.id, *([refund.number] if refund else []), kind.lower()]
    return {
        "id": "-".join(named),
        "kind": kind,
        "at": at,
        "amount": amount,
        "currency": payment.asked["currency"],
        "fee": fee,
        "payment_id": payment.id,
        "payment_number": payment.number,
        "refund_number": refund.number if refund else None,
        "payer": PAYER,
    }


def _parts(row: Row) -> Iterator[Row]:
    """A row of the trades as rows of the funds."""
    yield {**row, "fee": 0}
    if row["fee"]:
        kind = "FEE" if row["fee"] < 0 else "FEE_BACK"
        yield {**row, "id": f"{row['id']}-fee", "kind": kind, "amount": row["fee"], "fee": 0}


def _part(amount: int, part: int, whole: int) -> int:
    """The part of an amount that goes with part of the payment, rounded half up."""
    return (2 * amount * part + whole) // (2 * whole)


def _document(head: Mapping[str, Any], rows: list[Row]) -> str:
    sums: dict[str, dict[str, int]] = {}
    for row in rows:
        of = sums.setdefault(row["currency"], {"amount": 0, "fee": 0})
        of["amount"] += row["amount"] if isinstance(row["amount"], int) else 0
        of["fee"] += row.get("fee", 0)
    lines = [head, *({**row, "at": written(row["at"])} for row in rows), {"rows": len(rows), "sums": sums}]
    return "".join(f"{json.dumps(line)}\n" for line in lines)
