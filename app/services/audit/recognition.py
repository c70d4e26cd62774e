"""Proves the contract liability: its account is what the figures come to, the figures are what the unspent coins of
purchases are worth, and every transfer of recognition is one that the figures ask for.

The worth of unspent coins is worked out from lots, postings and money as of the end of the last day that is recognised,
not from earlier figures. All is read as of one moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from app.domain.accounting_time import effective_before
from app.domain.chart import HOUSE_SLOT
from app.domain.ledger import Transfer
from app.domain.recognition import LIABILITY, RECOGNITION_KINDS, Movement, RecognitionRules
from app.domain.report_tables import Amount, asset_written
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.recognition import FIGURES
from app.models.slot_guard import sweep
from app.services.audit.ledger_rows import snapshot
from app.services.audit.orders import Finding, Progress
from app.services.base.transaction import Sessions, Transaction
from app.services.finance.contract_liability import Closings, closings_at, kept_closings
from app.services.finance.recognition import progress, reading_at, transfers_of_figures
from app.services.ledger.idempotency import STORED, Stored, stored

LEGS_AT_ONCE = 2000
"""The database sends this many transfers at a time."""
_A, _T, _F = ACCOUNTS.c, TRANSFERS.c, FIGURES.c
_LIABILITY = "contract_liability"


def audit_recognition(sessions: Sessions, zone: tzinfo, told: Progress | None = None) -> Iterator[Finding]:
    """Nothing, while no day is recognised."""
    if told is not None:
        told("contract liability")
    with snapshot(sessions) as tx:
        done = progress(tx)
        if done is None:
            return
        reading = reading_at(tx, RecognitionRules.from_text(done.rules), zone, done.booked_until)
        yield from _of_account(tx, done.booked_until)
        yield from _of_closings(kept_closings(tx), closings_at(tx, reading))
        yield from _of_transfers(tx, zone)


def _of_account(tx: Transaction, until: datetime) -> Iterator[Finding]:
    """The account is what the figures come to: money by its time of booking, recognition by the day it is about. Gifts
    of imported coins move between lines of the report only, and are in none while they are under way."""
    figures, booked = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    sums = select(_F.environment, _F.currency, func.sum(_F.value_minor).label("minor")).where(
        _F.currency != "", _F.movement != Movement.GIVEN
    )
    for told in tx.execute(sums.group_by(_F.environment, _F.currency)):
        figures[told.environment, told.currency] = int(told.minor)
    for side, sign in ((_T.credit_id, 1), (_T.debit_id, -1)):
        for row in tx.connection().execute(_legs(side, until), execution_options={"yield_per": LEGS_AT_ONCE}):
            booked[row.environment, row.asset] += sign * row.amount
    for about in sorted(figures.keys() | booked.keys()):
        if figures[about] != booked[about]:
            ours, account = (Amount(sums[about], about[1]).written() for sums in (figures, booked))
            said = f"the figures come to {ours}, the account {LIABILITY} to {account}"
            yield Finding(_LIABILITY, f"{about[0]}: {said}")


def _legs(side: ColumnElement[int], until: datetime) -> Select[Any]:
    return (
        select(_T.amount, _A.asset, _A.environment)
        .prefix_with(sweep("audit"))
        .join(ACCOUNTS, and_(_A.slot == _T.slot, _A.id == side))
        .where(_A.code == LIABILITY, _A.user_id == "")
        .where(or_(_T.created_at < until, _T.kind.in_(RECOGNITION_KINDS)))
    )


def _of_closings(kept: Closings, due: Closings) -> Iterator[Finding]:
    for about in sorted(kept.keys() | due.keys()):
        told, right = kept.get(about, (0, 0)), due.get(about, (0, 0))
        if told != right:
            name = " ".join(part or "-" for part in about)
            ours, due_now = (
                f"{coins} coins worth {Amount(minor, about.currency).written()}" for coins, minor in (told, right)
            )
            said = f"the figures come to {ours}, the purchases to {due_now}"
            yield Finding(_LIABILITY, f"{name}: {said}")


def _of_transfers(tx: Transaction, zone: tzinfo) -> Iterator[Finding]:
    """Every transfer of recognition is one that the figures ask for, and none is missing."""
    due = {transfer.id_in(HOUSE_SLOT): transfer for transfer in _due(tx, zone)}
    wanted = STORED.prefix_with(sweep("audit")).where(_T.kind.in_(RECOGNITION_KINDS))
    for row in tx.connection().execute(wanted, execution_options={"yield_per": LEGS_AT_ONCE}):
        found = stored(row)
        right = due.pop(found.id, None)
        is_right = right is not None and found.slot == HOUSE_SLOT
        if right is not None and is_right:
            is_right = found.fingerprint() == right.fingerprint(HOUSE_SLOT)
            is_right &= row.effective_at == effective_before(right.effective_at, found.at)
        if not is_right:
            yield Finding(_LIABILITY, f"transfer {found.id}: {_of(found)} is not what the figures say")
    for number, missing in sorted(due.items()):
        yield Finding(_LIABILITY, f"transfer {number}: {_of(missing)} is missing")


def _of(transfer: Transfer | Stored) -> str:
    moved = asset_written(transfer.amount, transfer.debit.asset, transfer.debit.code, transfer.credit.code)
    return f"{transfer.kind} of {moved}"


def _due(tx: Transaction, zone: tzinfo) -> list[Transfer]:
    about = (_F.booked_until, _F.day, _F.environment, _F.currency, _F.movement)
    rows = tx.execute(select(*about, func.sum(_F.value_minor).label("value_minor")).group_by(*about))
    return transfers_of_figures([{**row._mapping, "value_minor": int(row.value_minor)} for row in rows], zone)
