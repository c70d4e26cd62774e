"""Closes a month: one person proposes, another one confirms, and from then on its reports never change.

A closed month contains everything that was booked before `booked_until`, the end of the newest day whose checkpoint may
be written. No transaction of such a day can be open any more, so the trial balance that is kept with the closing can be
drawn again at any time, and the audit does so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Update, func, select, update

from app.domain.accounting_time import TICK, ClosedMonth, NotATime, Span, month_after, month_span
from app.domain.journal import person_of
from app.domain.seals import Seals
from app.domain.trial_balance import TrialBalance, as_json
from app.models.base import AnyRow
from app.models.differences import DIFFERENCES
from app.models.finance import CLOSINGS
from app.models.receipts import Scan
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError
from app.services.base.transaction import Transaction
from app.services.base.upsert import insert_if_new
from app.services.bills.readings import feeds_of
from app.services.finance import bill_bookings, recognition
from app.services.finance.accounting_periods import CLOSED, closed_months
from app.services.ledger import checkpoints
from app.services.ledger.leg_sums import FOREVER, busy_days
from app.services.ledger.trial_balance import trial_balance

PROPOSED = "proposed"
LONGEST_DESPITE = 255
_C, _D, _S = CLOSINGS.c, DIFFERENCES.c, Scan.__table__.c


class NotClosable(DomainError):
    """The month cannot be closed, or not yet, or not by this person. The text says why."""

    code = "not_closable"
    remembered = False


@dataclass(frozen=True, slots=True)
class MonthToClose:
    month: str
    span: Span
    booked_until: datetime


ClosingCheck = Callable[[Tx, MonthToClose], str]
"""What must be settled before a month is closed: says what is still open, or nothing."""


def bills_are_fetched(tx: Tx, month: MonthToClose) -> str:
    """Until when a kind of bill was fetched by the worker, if that is before the end of the month: its fees and payouts
    would be in no book. Bills that persons bring are theirs to look after."""
    for account in tx.core.registry:
        for feed in sorted({*feeds_of(account)} & account.scan.keys()):
            row = tx.execute(select(_S.since, _S.until, _S.cursor).where(*_of_feed(account.name, feed))).one_or_none()
            fetched = None if row is None else row.until if row.cursor is None else row.since
            if fetched is None or fetched < month.span.until:
                until = "never" if fetched is None else f"until {fetched.isoformat()}"
                return f"{feed} of {account.name} was fetched {until}: `tillbook scans list` says why"
    return ""


def _of_feed(account: str, feed: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _S.provider_account == account, _S.feed == feed


def bills_are_booked(tx: Tx, month: MonthToClose) -> str:
    """Which bill of the month is read and not booked yet."""
    return bill_bookings.not_booked(tx, [account.name for account in tx.core.registry], month.span.until)


def revenue_is_recognised(tx: Tx, month: MonthToClose) -> str:
    """Until which day revenue is recognised, if that is before the end of the month."""
    return recognition.not_recognised(tx, month.span.until, month.booked_until)


def differences_are_settled(tx: Tx, month: MonthToClose) -> str:
    """How many differences of the month, or of months before it, wait for somebody."""
    wanted = select(func.count()).where(_D.closed_at.is_(None), _D.at < month.span.until)
    count = tx.scalar(wanted)
    return f"{count} differences are open: `tillbook differences list`" if count else ""


CHECKS: tuple[ClosingCheck, ...] = (
    *(bills_are_fetched, bills_are_booked, revenue_is_recognised, differences_are_settled),
)


def propose(
    core: Core, month: str, *, actor: str, despite: str = "", checks: Sequence[ClosingCheck] = CHECKS
) -> AnyRow:
    """Draw up the reports of the month as they are to stand. What `checks` find open stops it, unless `despite` says
    why the month is closed all the same. Proposing again replaces a proposal that nobody has confirmed."""
    return core.whole.transact(partial(_propose, month=month, actor=actor, despite=despite, checks=checks))


def confirm(core: Core, month: str, *, actor: str) -> AnyRow:
    """Close the month as it was proposed. Raises NotClosable if the proposer confirms, or if the books of the month
    are not any more what was proposed."""
    return core.whole.transact(partial(_confirm, month=month, actor=actor))


def list_closings(tx: Transaction) -> Sequence[AnyRow]:
    """All of them, in the order of time."""
    return tx.execute(select(CLOSINGS).order_by(_C.until)).all()


def snapshot_of(tx: Transaction, month: ClosedMonth, before: Sequence[ClosedMonth], now: datetime) -> dict[str, Any]:
    """The trial balance at the end of a month, where the months before it are closed."""
    found = trial_balance(tx, now=now, at=month.until - TICK, closed=[*before, month])
    return document_of(found)


def document_of(found: TrialBalance) -> dict[str, Any]:
    return {
        "at": found.at.isoformat(),
        "balanced": found.balanced,
        "sheets": [as_json(sheet) for sheet in found.sheets],
    }


def digest_of_document(document: dict[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _propose(tx: Tx, month: str, actor: str, despite: str, checks: Sequence[ClosingCheck]) -> AnyRow:
    to_close = _month_to_close(tx, month)
    before = closed_months(tx)
    open_still = [text for text in (check(tx, to_close) for check in checks) if text]
    if open_still and not despite:
        raise NotClosable("; ".join(open_still))
    if len(despite) > LONGEST_DESPITE:
        raise NotClosable(f"the reason has at most {LONGEST_DESPITE} characters")
    document = snapshot_of(tx, ClosedMonth(to_close.span.until, to_close.booked_until), before, tx.now)
    if not document["balanced"]:
        raise NotClosable("the trial balance does not sum to zero: run the audit first")
    row = {
        "month": month,
        "zone": str(tx.core.rules.ledger.zone),
        "until": to_close.span.until,
        "booked_until": to_close.booked_until,
        "status": PROPOSED,
        "document": document,
        "sha256": digest_of_document(document),
        "despite": despite,
        "proposed_by": actor,
        "created_at": tx.now,
        "confirmed_by": None,
        "confirmed_at": None,
    }
    row["seal"] = tx.core.rules.ledger.seals.of_row("closings", row)
    if not insert_if_new(tx, CLOSINGS, row):
        replaced = update(CLOSINGS).where(_C.month == month, _C.status == PROPOSED).values(row)
        _change(tx, replaced, "it is closed already")
    return _closing(tx, month)


def _confirm(tx: Tx, month: str, actor: str) -> AnyRow:
    rows = tx.execute(select(CLOSINGS).order_by(_C.month).with_for_update()).all()  # one month is closed at a time
    row = next((each for each in rows if each.month == month), None)
    if row is None:
        raise NotClosable(f"nobody has proposed to close {month}")
    if row.status == CLOSED:
        raise NotClosable("it is closed already")
    if person_of(row.proposed_by) == person_of(actor):
        raise NotClosable("another person must confirm")
    before = [each for each in rows if each.status == CLOSED]
    if before and (month != month_after(before[-1].month) or row.booked_until < before[-1].booked_until):
        raise NotClosable("another month was closed since this was proposed: propose again")
    document = snapshot_of(tx, ClosedMonth(row.until, row.booked_until), closed_months(tx), tx.now)
    if digest_of_document(document) != row.sha256:
        raise NotClosable("the books of the month are not what was proposed: run the audit, and propose again")
    values = {"status": CLOSED, "confirmed_by": actor, "confirmed_at": tx.now}
    values["seal"] = _sealed(tx.core.rules.ledger.seals, row, values)
    _change(tx, update(CLOSINGS).where(_C.month == month, _C.status == PROPOSED).values(values), "it is closed already")
    return _closing(tx, month)


def _sealed(seals: Seals, row: AnyRow, values: dict[str, Any]) -> bytes:
    return seals.of_row("closings", {**row._asdict(), **values})


def _change(tx: Tx, statement: Update, otherwise: str) -> None:
    if tx.execute(statement.returning(_C.month)).first() is None:
        raise NotClosable(otherwise)


def _closing(tx: Tx, month: str) -> AnyRow:
    return tx.execute(select(CLOSINGS).where(_C.month == month)).one()


def _month_to_close(tx: Tx, month: str) -> MonthToClose:
    """Raises NotClosable unless the month is over, everything booked in it is in checkpoints, and the month before it
    is closed (or none is)."""
    try:
        span = month_span(month, tx.core.rules.ledger.zone)
    except NotATime as error:
        raise NotClosable(str(error)) from None
    booked_until = checkpoints.closed_until(tx.now)
    if booked_until < span.until:
        raise NotClosable(f"it can be closed when checkpoints reach its end, {span.until.isoformat()}: a day later")
    last: str | None = tx.scalar(select(func.max(_C.month)).where(_C.status == CLOSED))
    if last is not None and month != (due := month_after(last)):
        raise NotClosable(f"months are closed one after another, and {due} is the next")
    base = checkpoints.latest(tx, FOREVER)
    if next(busy_days(tx, base.end, booked_until), None) is not None:
        raise NotClosable(
            "checkpoints are behind: the worker sums up each day a day after its end. Try again later, or see that it"
            " runs"
        )
    return MonthToClose(month, span, booked_until)
