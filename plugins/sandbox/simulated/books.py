"""The simulated provider's own books: payments, refunds and their rules. Part of the simulator."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.domain.money import Money
from app.providers import Clock
from plugins.sandbox.mapping import moment, written

PAGE_SIZE = 50
HOLD = timedelta(days=7)
"""So long the payer's bank keeps money reserved; then the authorisation is over."""


class Refused(Exception):
    """The provider says no, with this HTTP status and code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass
class SimulatedRefund:
    number: str
    amount: int
    at: datetime
    status: str = "DONE"
    attempt: int = 1
    dispute_fee: int | None = None
    done_at: datetime | None = None
    """When the payer got the money, even if it was taken back later."""

    def __post_init__(self) -> None:
        if self.status == "DONE":
            self.done_at = self.at


@dataclass
class SimulatedPayment:
    """A payment as the provider keeps it. `asked` is the request that made it, to tell repeats from reuse."""

    id: str
    merchant: str
    asked: Mapping[str, Any]
    at: datetime
    status: str = "WAITING"
    refunds: list[SimulatedRefund] = field(default_factory=list)
    odd: Mapping[str, Any] = field(default_factory=dict)
    """Members of its row in the history that are not as documented."""
    agreement_id: str | None = None
    """Of a charge, and of the payment that is made while signing."""
    refusal: str | None = None
    """Why the payer's bank refused a charge that had been accepted."""
    delivered_at: datetime | None = None
    """When the merchant first said that what was paid was delivered."""

    @property
    def number(self) -> str:
        return str(self.asked["number"])

    @property
    def refunded(self) -> int:
        return sum(refund.amount for refund in self.refunds if refund.status in ("DONE", "WAITING"))

    @property
    def amount_text(self) -> str:
        return Money(self.asked["amount"], self.asked["currency"]).decimal()

    def shown(self) -> dict[str, Any]:
        """The payment as the protocol shows it."""
        return {
            "id": self.id,
            "number": self.number,
            "status": self.status,
            "amount": self.asked["amount"],
            "currency": self.asked["currency"],
            "owner": self.asked["owner"],
            "at": written(self.at),
            "refunds": [self.shown_refund(refund) for refund in self.refunds],
            **({} if self.agreement_id is None else {"agreement_id": self.agreement_id}),
            **({} if self.refusal is None else {"refusal": self.refusal}),
            **({} if self.delivered_at is None else {"delivered_at": written(self.delivered_at)}),
        }

    def shown_refund(self, refund: SimulatedRefund) -> dict[str, Any]:
        return {
            "number": refund.number,
            "payment_id": self.id,
            "payment_number": self.number,
            "status": refund.status,
            "amount": refund.amount,
            "currency": self.asked["currency"],
            "at": written(refund.at),
            "attempt": refund.attempt,
            **({} if refund.done_at is None else {"done_at": written(refund.done_at)}),
            **({} if refund.dispute_fee is None else {"dispute_fee": refund.dispute_fee}),
        }


class Books:
    """All payments of all merchants. Safe to share between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._payments: list[SimulatedPayment] = []
        self._ids = itertools.count(1)
        self.next_refunds: deque[str] = deque()
        """How the next refunds end, in this order: WAITING (accepted, not done), or REFUSED. Else at once: DONE."""
        self.lock = self._lock = threading.RLock()

    def create(self, merchant: str, asked: Mapping[str, Any], agreement_id: str | None = None) -> SimulatedPayment:
        """The payment of that number: a new one, or the same again for the same request."""
        with self._lock:
            known = self.known(merchant, asked)
            if known is None:
                made = (f"sbx_{next(self._ids)}", merchant, dict(asked), self._clock.now())
                known = SimulatedPayment(*made, agreement_id=agreement_id)
                self._payments.append(known)
            return self._aged(known)

    def known(self, merchant: str, asked: Mapping[str, Any]) -> SimulatedPayment | None:
        """The payment that was made by this very request before."""
        _check_asked(asked)
        with self._lock:
            known = next((p for p in self._of(merchant) if p.number == asked["number"]), None)
            if known is not None and known.asked != dict(asked):
                raise Refused(409, "NUMBER_TAKEN")
            return None if known is None else self._aged(known)

    def fail(self, payment: SimulatedPayment, refusal: str) -> None:
        """The payer's bank refuses a charge that had been accepted."""
        with self._lock:
            if self._aged(payment).status != "WAITING":
                raise Refused(409, "CLOSED")
            payment.status, payment.refusal, payment.at = "FAILED", refusal, self._clock.now()

    def find(self, merchant: str | None, *, number: str | None = None, theirs: str | None = None) -> SimulatedPayment:
        """By our number or theirs; of any merchant where none is given."""
        with self._lock:
            for payment in self._of(merchant):
                if number in (None, payment.number) and theirs in (None, payment.id):
                    return self._aged(payment)
        raise Refused(404, "NO_SUCH_PAYMENT")

    def all_of(self, merchant: str) -> list[SimulatedPayment]:
        with self._lock:
            return list(self._of(merchant))

    def pay(self, payment: SimulatedPayment) -> bool:
        """True if it is paid by this call, or, with a card, reserved; False if it was before."""
        with self._lock:
            if self._aged(payment).status == "CLOSED":
                raise Refused(409, "CLOSED")
            if payment.status in ("PAID", "AUTHORIZED"):
                return False
            by_card = payment.asked["way"] == "card"
            payment.status, payment.at = "AUTHORIZED" if by_card else "PAID", self._clock.now()
            return True

    def deliver(self, payment: SimulatedPayment) -> None:
        """The merchant has delivered what was paid; said again, nothing changes."""
        with self._lock:
            if self._aged(payment).status != "PAID":
                raise Refused(409, "NOT_PAID")
            payment.delivered_at = payment.delivered_at or self._clock.now()

    def capture(self, payment: SimulatedPayment, asked: Mapping[str, Any]) -> bool:
        """True if the reserved money is taken by this call; False if it was before."""
        with self._lock:
            if asked != {"amount": payment.asked["amount"], "currency": payment.asked["currency"]}:
                raise Refused(400, "BAD_REQUEST")
            if self._aged(payment).status == "PAID":
                return False
            if payment.status != "AUTHORIZED":
                raise Refused(409, "NOT_AUTHORIZED")
            payment.status, payment.at = "PAID", self._clock.now()
            return True

    def close(self, payment: SimulatedPayment) -> bool:
        """True if it is closed by this call. One that is paid stays paid."""
        with self._lock:
            if self._aged(payment).status in ("PAID", "CLOSED"):
                return False
            payment.status, payment.at = "CLOSED", self._clock.now()
            return True

    def refund(self, payment: SimulatedPayment, asked: Mapping[str, Any]) -> tuple[SimulatedRefund, bool]:
        """The refund of that number, and whether this call made it: the same number never pays twice."""
        number, amount = asked.get("number"), asked.get("amount")
        if not isinstance(number, str) or not number or type(amount) is not int or amount <= 0:
            raise Refused(400, "BAD_REQUEST")
        with self._lock:
            for refund in payment.refunds:
                if refund.number == number:
                    return refund, False
            if payment.status != "PAID":
                raise Refused(409, "NOT_PAID")
            left = payment.asked["amount"] - payment.refunded
            if asked.get("currency") != payment.asked["currency"] or amount > left:
                raise Refused(409, "TOO_MUCH")
            status = self.next_refunds.popleft() if self.next_refunds else "DONE"
            if status == "REFUSED":
                raise Refused(409, "REFUND_REFUSED")
            payment.refunds.append(SimulatedRefund(number, amount, self._clock.now(), status))
            return payment.refunds[-1], True

    def set_refund(self, refund: SimulatedRefund, status: str) -> None:
        """The provider decides later: DONE, FAILED, or REVERSED. One that had failed or come back, and is done after
        all, is done in another attempt."""
        with self._lock:
            refund.attempt += status == "DONE" and refund.status in ("FAILED", "REVERSED")
            refund.status, refund.at = status, self._clock.now()
            refund.done_at = refund.at if status == "DONE" else refund.done_at

    def find_refund(self, merchant: str | None, number: str) -> tuple[SimulatedPayment, SimulatedRefund]:
        with self._lock:
            for payment in self._of(merchant):
                for refund in payment.refunds:
                    if refund.number == number:
                        return payment, refund
        raise Refused(404, "NO_SUCH_REFUND")

    def history(self, merchant: str, since: datetime, until: datetime, start: int) -> list[SimulatedPayment]:
        """Up to a page of decided payments in the window, from that place on, and one more if there is another page."""
        with self._lock:
            decided = [p for p in self._of(merchant) if self._aged(p).status != "WAITING" and since <= p.at < until]
        return decided[start : start + PAGE_SIZE + 1]

    def _of(self, merchant: str | None) -> Iterator[SimulatedPayment]:
        return (payment for payment in self._payments if merchant in (None, payment.merchant))

    def _aged(self, payment: SimulatedPayment) -> SimulatedPayment:
        """A payment past its time is closed: nobody can pay it any more, or capture it."""
        expires = moment(payment.asked["expires_at"])
        if payment.status == "WAITING" and expires <= self._clock.now():
            payment.status, payment.at = "CLOSED", expires
        if payment.status == "AUTHORIZED" and payment.at + HOLD <= self._clock.now():
            payment.status, payment.at = "CLOSED", payment.at + HOLD
        return payment


def _check_asked(asked: Mapping[str, Any]) -> None:
    """What every request for a payment must bring."""
    texts = ("number", "currency", "subject", "owner", "way", "expires_at", "notify_url", "return_url")
    amount = asked.get("amount")
    if not all(isinstance(asked.get(name), str) for name in texts) or type(amount) is not int or amount <= 0:
        raise Refused(400, "BAD_REQUEST")
    if asked["way"] == "bank" and not asked.get("extra", {}).get("bank"):
        raise Refused(400, "BAD_REQUEST")
    try:
        moment(asked["expires_at"])
    except ValueError:
        raise Refused(400, "BAD_REQUEST") from None
