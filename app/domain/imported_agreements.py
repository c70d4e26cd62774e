"""Agreements that an earlier system kept: one line of a table for each debit agreement and each store's subscription.

What a line says is compared with what was imported before, so it is kept as it was understood: times in UTC, money in
minor units.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from app.domain.agreements import IN_FORCE, AgreementStatus
from app.domain.facts import Ending
from app.domain.import_lines import BadLine, Cells, moment_in, needed_in, text_in, token_in
from app.domain.money import MoneyError, parse_decimal
from app.domain.periods import PeriodLength, period_start

IMPORTED_COLUMNS = (
    *("provider_account", "provider_number", "user", "product", "status", "old_number", "paid_until"),
    *("next_charge_at", "first_period_at", "zone", "amount", "currency", "way", "signed_at", "ended_at", "ended_by"),
)
"""`provider_number` is the provider's number of the agreement (of a store's subscription: its original transaction);
`old_number` the one under which the provider knows it as the merchant's. `paid_until`: what the earlier system has
collected. `next_charge_at`: the beginning of the next period, where that is not `paid_until`. `first_period_at`: the
beginning of the very first period, from which the days of all others are counted. `amount`: what a period costs."""
NEEDED_OF_IMPORTED = frozenset({"provider_account", "provider_number", "user", "product", "status"})
OWNER_COLUMNS = ("provider_account", "token", "user")
"""`token` is the UUID by which an earlier system named the user to the store."""
LONGEST_OLD_NUMBER = 255
"""Characters of a provider's or an earlier system's number."""
LONGEST_NAMED = 64
"""Characters of an account's, product's, zone's or way's name."""
LONGEST_OWNER = 128
MOST_PERIODS_BEFORE = 5_000
"""Periods between `first_period_at` and the next one: days of more than thirteen years."""
_STATUSES = IN_FORCE | {AgreementStatus.ENDED}


@dataclass(frozen=True, slots=True)
class AgreementLine:
    """One agreement, as the earlier system knew it. Each field is named like its column."""

    provider_account: str
    provider_number: str
    user: str
    product: str
    status: str
    old_number: str
    paid_until: datetime | None
    next_charge_at: datetime | None
    first_period_at: datetime | None
    zone: str
    amount: int | None
    """In minor units."""
    currency: str
    way: str
    signed_at: datetime | None
    ended_at: datetime | None
    ended_by: str

    @property
    def is_in_force(self) -> bool:
        return self.status in IN_FORCE

    @property
    def begins_at(self) -> datetime | None:
        """When the next period begins."""
        return self.next_charge_at or self.paid_until

    @property
    def credited_until(self) -> datetime | None:
        """Until when the earlier system credited what was collected."""
        return self.paid_until or self.ended_at

    def as_stored(self) -> dict[str, Any]:
        """The line as it is kept, to be compared with a later one."""
        values = dataclasses.asdict(self)
        return {name: each.isoformat() if isinstance(each, datetime) else each for name, each in values.items()}

    def changed_field(self, before: Mapping[str, Any]) -> str | None:
        """The name of the first column in which the line differs from the one that was imported; None: it is that."""
        return next((name for name, value in self.as_stored().items() if before.get(name) != value), None)

    def next_number(self, length: PeriodLength, zone: tzinfo) -> int:
        """The number of the next period, counted from `first_period_at`. Raises BadLine if none begins then."""
        number = 0 if self.paid_until is None else 1
        while self.first_period_at is not None and self.begins_at is not None and number <= MOST_PERIODS_BEFORE:
            begins_at = period_start(self.first_period_at, length, number, zone)
            if begins_at == self.begins_at:
                return number
            if begins_at > self.begins_at:
                break
            number += 1
        raise BadLine("first_period_at: no period that is counted from there begins where the next one does")


@dataclass(frozen=True, slots=True)
class OwnerLine:
    """A user, and the token by which an earlier system named them to a store."""

    provider_account: str
    token: uuid.UUID
    user: str


def owner_line(cells: Cells) -> OwnerLine:
    """The line with these cells, by the names in OWNER_COLUMNS. Raises BadLine."""
    account = needed_in(cells, "provider_account", LONGEST_NAMED)
    token = token_in(cells, "token")
    if not token.int:
        raise BadLine("token: the UUID of nothing names nobody")
    return OwnerLine(account, token, needed_in(cells, "user", LONGEST_OWNER))


def agreement_line(cells: Cells, now: datetime) -> AgreementLine:
    """The line with these cells, by the names in IMPORTED_COLUMNS; a column that is not there is empty. Raises
    BadLine."""
    status = cells.get("status", "")
    if status not in _STATUSES:
        raise BadLine(f"status: one of {', '.join(sorted(_STATUSES))}, not {status[:24]!r}")
    amount, currency = _price(cells)
    line = AgreementLine(
        provider_account=needed_in(cells, "provider_account", LONGEST_NAMED),
        provider_number=needed_in(cells, "provider_number", LONGEST_OLD_NUMBER),
        user=needed_in(cells, "user", LONGEST_OWNER),
        product=needed_in(cells, "product", LONGEST_NAMED),
        status=status,
        old_number=text_in(cells, "old_number", LONGEST_OLD_NUMBER),
        paid_until=moment_in(cells, "paid_until"),
        next_charge_at=moment_in(cells, "next_charge_at"),
        first_period_at=moment_in(cells, "first_period_at"),
        zone=text_in(cells, "zone", LONGEST_NAMED),
        amount=amount,
        currency=currency,
        way=text_in(cells, "way", LONGEST_NAMED),
        signed_at=_past(cells, "signed_at", now),
        ended_at=_past(cells, "ended_at", now),
        ended_by=text_in(cells, "ended_by", LONGEST_NAMED),
    )
    _check_end(line)
    _check_periods(line)
    return line


def _price(cells: Cells) -> tuple[int | None, str]:
    amount, currency = cells.get("amount", ""), cells.get("currency", "")
    if bool(amount) != bool(currency):
        raise BadLine("amount and currency: one of them is missing")
    if not amount:
        return None, ""
    try:
        minor = parse_decimal(amount, currency).minor
    except MoneyError as error:
        raise BadLine(f"amount: {error}") from None
    if minor <= 0:
        raise BadLine("amount: nothing, or below zero")
    return minor, currency


def _past(cells: Cells, name: str, now: datetime) -> datetime | None:
    moment = moment_in(cells, name)
    if moment is not None and moment > now.astimezone(UTC):
        raise BadLine(f"{name}: is yet to come")
    return moment


def _check_end(line: AgreementLine) -> None:
    if line.is_in_force:
        if line.ended_at is not None or line.ended_by:
            raise BadLine(f"ended_at and ended_by: this agreement is {line.status}")
        return
    if line.ended_at is None:
        raise BadLine("ended_at: when did it end?")
    if line.ended_by not in ("", *Ending):
        raise BadLine(f"ended_by: one of {', '.join(Ending)}, not {line.ended_by[:24]!r}")


def _check_periods(line: AgreementLine) -> None:
    if not line.is_in_force and (line.next_charge_at or line.first_period_at):
        raise BadLine("next_charge_at and first_period_at: an agreement that has ended has no next period")
    if line.is_in_force and line.begins_at is None:
        raise BadLine("paid_until: until when is it paid? If nothing was ever paid, next_charge_at says what is due")
    if line.paid_until and line.next_charge_at and line.next_charge_at < line.paid_until:
        raise BadLine("next_charge_at: before paid_until, and what is paid is not charged again")
