"""The simulated provider's agreements, and what it charges under them. Part of the simulator."""

from __future__ import annotations

import itertools
from calendar import monthrange
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from app.domain.money import Money
from app.providers import Clock
from plugins.sandbox.mapping import REFUSALS, moment, written
from plugins.sandbox.simulated.books import Books, Refused, SimulatedPayment


@dataclass(frozen=True, slots=True)
class ChargeConditions:
    """What the provider asks of a charge, besides that the agreement is in force."""

    before: timedelta | None = None
    """A charge may come so long before it is due, and not earlier. The n-th is due n periods after `first_due`. None:
    at any time."""
    notice: timedelta = timedelta(0)
    """So long before its charge the payer must have been told."""


@dataclass
class SimulatedAgreement:
    """An agreement as the provider keeps it. `asked` is the request that made it, to tell repeats from reuse."""

    id: str
    merchant: str
    asked: Mapping[str, Any]
    at: datetime
    first: SimulatedPayment | None = None
    """The payment that is made while signing."""
    status: str = "SIGNING"
    valid_until: datetime | None = None
    ended_by: str | None = None
    announced: dict[str, datetime] = field(default_factory=dict)
    """The due days that the payer was told of, and when the payer was told."""
    charges: list[SimulatedPayment] = field(default_factory=list)

    @property
    def number(self) -> str:
        return str(self.asked["number"])

    @property
    def amount_text(self) -> str:
        return Money(self.asked["amount"], self.asked["currency"]).decimal()

    @property
    def taken(self) -> int:
        """How many charges were taken, or may still be."""
        return sum(charge.status in ("PAID", "WAITING") for charge in self.charges)

    def due(self, number: int) -> datetime:
        """When that charge is due, counted from 0: by the calendar, from the anchor's day of the month."""
        anchor, count = date.fromisoformat(self.asked["first_due"]), number * int(self.asked["count"])
        if self.asked["unit"] == "day":
            return datetime.combine(anchor + timedelta(days=count), time(), UTC)
        year, month = divmod(anchor.year * 12 + anchor.month - 1 + count, 12)
        day = min(anchor.day, monthrange(year, month + 1)[1])
        return datetime(year, month + 1, day, tzinfo=UTC)

    def shown(self) -> dict[str, Any]:
        """The agreement as the protocol shows it."""
        return {
            "id": self.id,
            "number": self.number,
            "status": self.status,
            "owner": self.asked["owner"],
            "plan": self.asked["plan"],
            "at": written(self.at),
            "valid_until": None if self.valid_until is None else written(self.valid_until),
            "ended_by": self.ended_by,
        }


class AgreementBooks:
    """All agreements of all merchants. Safe to share between threads: the lock is that of the payments."""

    def __init__(self, books: Books, clock: Clock, rules: ChargeConditions, validity: timedelta | None) -> None:
        self._books, self._clock, self._lock = books, clock, books.lock
        self._rules, self._validity = rules, validity
        self._agreements: list[SimulatedAgreement] = []
        self._ids = itertools.count(1)
        self.next_charges: deque[str] = deque()
        """What becomes of the next charges, in this order: PAID at once, WAITING (accepted, not decided), or refused at
        once with this code. Else PAID."""

    def create(self, merchant: str, asked: Mapping[str, Any]) -> SimulatedAgreement:
        """The agreement of that number: a new one, or the same again for the same request."""
        _check_asked(asked)
        with self._lock:
            known = next((a for a in self.all_of(merchant) if a.number == asked["number"]), None)
            if known is not None and known.asked != dict(asked):
                raise Refused(409, "NUMBER_TAKEN")
            if known is None:
                known = SimulatedAgreement(f"sba_{next(self._ids)}", merchant, dict(asked), self._clock.now())
                if asked["payment"] is not None:
                    known.first = self._books.create(merchant, asked["payment"], known.id)
                self._agreements.append(known)
            return self._aged(known)

    def find(self, merchant: str | None, *, number: str | None = None, theirs: str | None = None) -> SimulatedAgreement:
        """By our number or theirs; of any merchant where none is given."""
        for agreement in self.all_of(merchant):
            if number in (None, agreement.number) and theirs in (None, agreement.id):
                return self._aged(agreement)
        raise Refused(404, "NO_SUCH_AGREEMENT")

    def all_of(self, merchant: str | None) -> list[SimulatedAgreement]:
        with self._lock:
            return [agreement for agreement in self._agreements if merchant in (None, agreement.merchant)]

    def sign(self, agreement: SimulatedAgreement) -> bool:
        """True if it is signed by this call; False if it was before."""
        with self._lock:
            if self._aged(agreement).status == "ACTIVE":
                return False
            if agreement.status != "SIGNING":
                raise Refused(409, "AGREEMENT_ENDED")
            agreement.status, agreement.at = "ACTIVE", self._clock.now()
            agreement.valid_until = None if self._validity is None else agreement.at + self._validity
            return True

    def end(self, agreement: SimulatedAgreement, by: str) -> bool:
        """True if it is over by this call. One that nobody signed is given up."""
        with self._lock:
            if self._aged(agreement).status not in ("SIGNING", "ACTIVE"):
                return False
            signed = agreement.status == "ACTIVE"
            agreement.status, agreement.at = "ENDED" if signed else "ABANDONED", self._clock.now()
            agreement.ended_by = by
            return True

    def expire(self, agreement: SimulatedAgreement) -> None:
        """Its validity ends now, and nobody is told."""
        with self._lock:
            agreement.valid_until = self._clock.now()

    def announce(self, agreement: SimulatedAgreement, due: str) -> None:
        """The payer is told of a charge on that day, the first time that this is asked for."""
        with self._lock:
            self._check_in_force(agreement)
            agreement.announced.setdefault(due, self._clock.now())

    def charge(self, agreement: SimulatedAgreement, asked: Mapping[str, Any]) -> tuple[SimulatedPayment, bool]:
        """The charge of that number, and whether this call made it: a number is charged once, and shown ever after."""
        with self._lock:
            known = self._books.known(agreement.merchant, asked)
            if known is not None:
                return known, False
            self._check_in_force(agreement)
            self._check_allowed(agreement, asked)
            outcome = self.next_charges.popleft() if self.next_charges else "PAID"
            if outcome in REFUSALS:
                raise Refused(409, outcome)
            payment = self._books.create(agreement.merchant, asked, agreement.id)
            agreement.charges.append(payment)
            if outcome == "PAID":
                self._books.pay(payment)
            return payment, True

    def _check_in_force(self, agreement: SimulatedAgreement) -> None:
        if self._aged(agreement).status != "ACTIVE":
            raise Refused(409, "AGREEMENT_ENDED")

    def _check_allowed(self, agreement: SimulatedAgreement, asked: Mapping[str, Any]) -> None:
        now, told = self._clock.now(), agreement.announced.values()
        if asked["currency"] != agreement.asked["currency"]:
            raise Refused(400, "BAD_REQUEST")
        if asked["amount"] > agreement.asked["amount"]:
            raise Refused(409, "OVER_LIMIT")
        if self._rules.before is not None and now < agreement.due(agreement.taken) - self._rules.before:
            raise Refused(409, "TOO_EARLY")
        if self._rules.notice and sum(at + self._rules.notice <= now for at in told) <= agreement.taken:
            raise Refused(409, "NOT_ANNOUNCED")

    def _aged(self, agreement: SimulatedAgreement) -> SimulatedAgreement:
        """One that nobody signed in time is given up; one whose validity is over has ended."""
        now, expires = self._clock.now(), moment(agreement.asked["expires_at"])
        if agreement.status == "SIGNING" and expires <= now:
            agreement.status, agreement.at = "ABANDONED", expires
        if agreement.status == "ACTIVE" and agreement.valid_until is not None and agreement.valid_until <= now:
            agreement.status, agreement.at, agreement.ended_by = "ENDED", agreement.valid_until, "TIME"
        return agreement


def _check_asked(asked: Mapping[str, Any]) -> None:
    """What every request for an agreement must bring."""
    texts = ("number", "currency", "subject", "plan", "owner", "way", "notify_url", "return_url")
    numbers = (asked.get("amount"), asked.get("count"))
    if not all(isinstance(asked.get(name), str) for name in texts) or "payment" not in asked:
        raise Refused(400, "BAD_REQUEST")
    if any(type(number) is not int or number <= 0 for number in numbers) or asked.get("unit") not in ("day", "month"):
        raise Refused(400, "BAD_REQUEST")
    try:
        moment(asked.get("expires_at"))
        date.fromisoformat(str(asked.get("first_due")))
    except ValueError:
        raise Refused(400, "BAD_REQUEST") from None
