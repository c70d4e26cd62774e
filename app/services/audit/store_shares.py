"""Proves that the share that a store keeps is booked as its financial reports say."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial

from sqlalchemy import and_, select
from sqlalchemy.orm import aliased

from app.domain.accounting_time import effective_before
from app.domain.bill_lines import BillSide
from app.domain.chart import HOUSE_SLOT
from app.domain.store_cells import shares_of_store
from app.models.bills import BILL_READINGS
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.audit.orders import Finding
from app.services.base.transaction import Sessions, Transaction, read
from app.services.finance.store_sales import (
    STORE_SHARE,
    StorePeriod,
    cause_of_share,
    feeds_of_period,
    figures_of_feed,
    reported_periods,
)

_T, _A, _R = TRANSFERS.c, ACCOUNTS.c, BILL_READINGS.c
_Cause = tuple[StorePeriod, str]


def audit_store_shares(sessions: Sessions) -> Iterator[Finding]:
    """Findings, a period at a time."""
    wanted = select(_R.provider_account).where(_R.side == BillSide.PROCEEDS).distinct()
    for account in read(sessions, lambda tx: list(tx.scalars(wanted.order_by(_R.provider_account)))):
        yield from read(sessions, partial(_account, account=account), snapshot=True)
    yield from read(sessions, _without_report)


def _account(tx: Transaction, account: str) -> list[Finding]:
    periods, findings = reported_periods(tx, account), list[Finding]()
    booked = _booked(tx, account, periods)
    for period in periods:
        if _waits(tx, account, period):
            continue
        told = [
            shares_of_store(figures_of_feed(tx, account, period, feed)) for feed in feeds_of_period(tx, account, period)
        ]
        mine = {currency: minor for (of, currency), minor in booked.items() if of == period and minor}
        if not any(mine == {currency: minor for currency, minor in one.items() if minor} for one in told):
            findings.append(Finding("store_share", f"{account} {period.name}: {mine} is booked, by the reports {told}"))
    return findings


def _not_zero(shares: Mapping[str, int]) -> dict[str, int]:
    return {currency: minor for currency, minor in shares.items() if minor}


def _waits(tx: Transaction, account: str, period: StorePeriod) -> bool:
    """Whether the worker has not booked a report of that period yet."""
    of_it = and_(_R.provider_account == account, _R.since == period.since, _R.until == period.until)
    unbooked = (_R.side == BillSide.PROCEEDS, _R.status == "read", _R.booked_at.is_(None))
    return tx.scalar(select(_R.id).where(of_it, *unbooked).limit(1)) is not None


def _booked(tx: Transaction, account: str, periods: list[StorePeriod]) -> dict[_Cause, int]:
    """What is booked for each period and currency."""
    share = aliased(ACCOUNTS, name="share")
    code = f"{STORE_SHARE}:{account}"
    wanted = (
        select(_T.cause_id, _T.amount, _T.debit_id, share.c.id.label("share_id"), share.c.asset)
        .join(share, and_(share.c.slot == _T.slot, share.c.id.in_((_T.debit_id, _T.credit_id))))
        .where(_T.slot == HOUSE_SLOT, share.c.slot == HOUSE_SLOT, share.c.code == code, _T.kind == STORE_SHARE)
    )
    rows = tx.execute(wanted).all()
    causes = {cause_of_share(account, period, row.asset): period for period in periods for row in rows}
    sums = defaultdict[_Cause, int](int)
    for row in rows:
        if row.cause_id in causes:
            sums[causes[row.cause_id], row.asset] += row.amount if row.debit_id == row.share_id else -row.amount
    return dict(sums)


def _without_report(tx: Transaction) -> list[Finding]:
    """Transfers of this kind that no report explains, or with another time than the end of their period."""
    known = dict[uuid.UUID, StorePeriod]()
    debit, credit = aliased(ACCOUNTS, name="debit"), aliased(ACCOUNTS, name="credit")
    wanted = (
        select(_T.id, _T.slot, _T.cause_id, _T.created_at, _T.effective_at, debit.c.asset)
        .add_columns(debit.c.code.label("debit_code"), credit.c.code.label("credit_code"))
        .prefix_with(sweep("audit"))
        .join(debit, and_(debit.c.slot == _T.slot, debit.c.id == _T.debit_id))
        .join(credit, and_(credit.c.slot == _T.slot, credit.c.id == _T.credit_id))
        .where(_T.kind == STORE_SHARE)
    )
    findings = list[Finding]()
    for row in tx.execute(wanted).all():
        code = row.debit_code if row.debit_code.startswith(f"{STORE_SHARE}:") else row.credit_code
        account = code.removeprefix(f"{STORE_SHARE}:")
        for period in reported_periods(tx, account):
            known[cause_of_share(account, period, row.asset)] = period
        of = known.get(row.cause_id)
        if of is None or row.slot != HOUSE_SLOT or {row.debit_code, row.credit_code} != {code, f"clearing:{account}"}:
            findings.append(Finding("store_share", f"transfer {row.id}: no report of {account} says so"))
        elif row.effective_at != effective_before(of.effective_at, row.created_at):
            findings.append(Finding("store_share", f"transfer {row.id} is not of the end of {of.name}"))
    return findings
