"""What a finding is about, in words that a person can use: whose row it is, of what kind and amount, and the command
that shows more. Findings are few, so each is looked up by itself."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import or_, select

from app.domain.proof.rows import LedgerFinding
from app.domain.report_tables import Amount, asset_written
from app.models.base import AnyRow
from app.models.ledger import ACCOUNTS, HOLDS, TRANSFERS
from app.models.refunds import FREEZES
from app.services.base.transaction import Transaction

_a, _t, _h, _z = ACCOUNTS.c, TRANSFERS.c, HOLDS.c, FREEZES.c
_BY_ACCOUNT = ("accounts", "lots", "marks")
"""Tables whose rows the proof of the ledger names by their account first."""


def sum_told(minor: Any, currency: Any) -> str:
    """As `6.00 CNY`; what somebody changed into no amount, as it stands there."""
    is_amount = type(minor) is int and isinstance(currency, str)
    return Amount(minor, currency).written() if is_amount else f"{minor} {currency}"


def money(minor: Any, currency: Any) -> str:
    """After other words: `, 6.00 CNY`."""
    return "" if minor is None else f", {sum_told(minor, currency)}"


def of_order(row: AnyRow) -> str:
    """Whose order it is, and of what."""
    about = f"user {row.user_id}, {row.quantity} × {row.sku}{money(row.amount_minor, row.currency)}"
    return f" ({about}; see `tillbook find {row.id} --timeline`)"


def of_fact(row: AnyRow) -> str:
    """What the fact says, for one that belongs to no order."""
    content = row.content
    told = content.get("theirs") or content.get("ours") or row.id
    about = f"{row.kind} {told} of {row.provider_account}{money(content.get('amount_minor'), content.get('currency'))}"
    return f" ({about}; see `tillbook facts find {told}`)"


def of_ledger(tx: Transaction, finding: LedgerFinding) -> str:
    """Whose account, transfer or hold it is; empty where the row is gone, or names nobody."""
    name = finding.row.partition("/")[0]
    if name.isascii() and name.isdecimal():
        if finding.table == "freezes":
            user = tx.execute(
                select(_z.user_id).where(_z.slot == finding.slot, _z.id == int(name))
            ).scalar_one_or_none()
            return "" if user is None else f" (user {user}; see `tillbook wallets history {user}`)"
        return _of_account(tx, finding.slot, int(name)) if finding.table in _BY_ACCOUNT else ""
    number = _uuid_of(name)
    if number is None:
        return " (a sum of the whole slot; see `tillbook report trial-balance`)" if finding.table == "accounts" else ""
    if finding.table == "transfers":
        return _of_transfer(tx, finding.slot, number)
    if finding.table == "holds":
        row = tx.execute(select(_h.account_id, _h.amount).where(_h.slot == finding.slot, _h.id == number)).one_or_none()
        return "" if row is None else f" (hold of {row.amount}){_of_account(tx, finding.slot, row.account_id)}"
    return ""


def of_transfer(tx: Transaction, slot: int, number: uuid.UUID) -> str:
    """Kind, amount and users of one transfer, as text of its own."""
    return _of_transfer(tx, slot, number).strip(" ()")


def _of_account(tx: Transaction, slot: int, number: int) -> str:
    row = tx.execute(_account().where(_a.slot == slot, _a.id == number)).one_or_none()
    if row is None:
        return ""
    if not row.user_id:
        return f" ({row.asset} of {row.code}, {row.environment}; see `tillbook report trial-balance`)"
    return f" (user {row.user_id}, {row.balance} {row.asset}, {row.environment}; see `tillbook find {row.user_id}`)"


def _of_transfer(tx: Transaction, slot: int, number: uuid.UUID) -> str:
    wanted = select(_t.kind, _t.amount, _t.debit_id, _t.credit_id).where(_t.slot == slot, _t.id == number)
    row = tx.execute(wanted).one_or_none()
    if row is None:
        return ""
    legs = or_(_a.id == row.debit_id, _a.id == row.credit_id)
    accounts = tx.execute(_account().where(_a.slot == slot, legs)).all()
    users = "".join(f", user {account.user_id}" for account in accounts if account.user_id)
    asset = accounts[0].asset if accounts else "?"
    moved = asset_written(row.amount, asset, *(account.code for account in accounts))
    return f" ({row.kind} of {moved}{users}; see `tillbook find {number}`)"


def _account() -> Any:
    return select(_a.user_id, _a.code, _a.asset, _a.environment, _a.balance)


def _uuid_of(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(name)
    except ValueError:
        return None
