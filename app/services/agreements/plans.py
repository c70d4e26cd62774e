"""What an agreement's row says about its calendar: when a period begins and ends, and when something is to be done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from app.domain.agreements import CHARGEABLE, AgreementStatus
from app.domain.charging import ChargingRules, announcement_moment
from app.domain.periods import PeriodLength, charge_moment, due_day, period_start
from app.domain.schedule import AskRules, next_ask
from app.providers.agreements import ChargeWindow, charge_window
from app.services.base.context import Tx

ASK_GAP = timedelta(days=1)
"""An agreement in force is asked about so often: a validity may end in silence."""
STORE_PATIENCE = timedelta(hours=1)
"""So long after the end of a period a store is asked, if it has told of no other."""


def zone_of(row: Any) -> tzinfo:
    return UTC if row.zone == "UTC" else ZoneInfo(row.zone)


def span(row: Any, number: int) -> tuple[datetime, datetime]:
    """When that period of an agreement with an anchor begins and ends."""
    length = PeriodLength(cast(Literal["day", "month"], row.unit), row.length)
    start, end = (
        period_start(row.anchor_at, length, number - row.anchor_number + further, zone_of(row)) for further in (0, 1)
    )
    return start, end


def beginning(at: datetime, replaced: Any, *, is_paid: bool) -> datetime:
    """When the first period of an agreement begins that is signed at that moment: at once, but where it takes the place
    of another one and is not paid with the signing, when what is paid under that one is over."""
    paid_until: datetime | None = None if replaced is None else replaced.paid_until
    return at if paid_until is None or is_paid else max(at, paid_until)


def planned_charge(row: Any, number: int, rules: ChargingRules) -> datetime:
    """When the charge of that period is planned, whatever was refused."""
    zone = zone_of(row)
    return charge_moment(due_day(span(row, number)[0], zone), rules.hour, zone)


def window_of(tx: Tx, row: Any) -> ChargeWindow:
    account = tx.core.registry.get(row.provider_account)
    return ChargeWindow() if account is None else charge_window(account.provider)


def next_charge(row: Any, rules: ChargingRules) -> datetime | None:
    """When the next period is to be charged; None where nothing is to be charged."""
    if row.by_store or row.status not in CHARGEABLE or row.cancel_at is not None or row.anchor_at is None:
        return None
    return planned_charge(row, row.next_period, rules)


def _next_store_question(row: Any, asked_at: datetime) -> datetime:
    """When a store is asked next: of what is paid when that is over. What is in force for nothing (tried, shared in a
    family) may be over at any time, and no refund tells of that: so it is asked about each day besides."""
    usual = asked_at + ASK_GAP
    ends: list[datetime] = [until + STORE_PATIENCE for until in (row.paid_until, row.valid_until) if until is not None]
    if row.paid_until is not None:
        return max(usual, *ends)
    return min([usual, *(end for end in ends if end > asked_at)])


def next_work(row: Any, now: datetime, ask: AskRules, window: ChargeWindow) -> datetime | None:
    """When the worker takes the agreement up: to ask, to tell the payer of a charge, to charge, or to end it."""
    status = AgreementStatus(row.status)
    if status is AgreementStatus.ENDED:
        return None
    if status is AgreementStatus.SIGNING:
        return next_ask(now=now, asked=row.tries, expires_at=row.expires_at, rules=ask, jitter=0.5)
    asked_at: datetime = row.asked_at or row.signed_at or row.created_at
    moments: list[datetime] = [asked_at + ASK_GAP]
    if row.by_store:
        moments = [_next_store_question(row, asked_at)]
    if row.cancel_at is not None:
        moments.append(row.cancel_at)
    elif row.next_charge_at is not None:
        notice = window.notice
        moments.append(announcement_moment(row.next_charge_at, notice) if notice else row.next_charge_at)
    return max(now, min(moments))
