"""The rows of an agreement that an earlier system kept: as it stands there, with what is paid, and charged on from
there."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from app.domain.facts import Ending, Ref
from app.domain.imported_agreements import AgreementLine
from app.domain.money import Money
from app.domain.numbers import keyed_uuid, slot_of_user
from app.domain.periods import PeriodLength, due_day, period_start
from app.models.agreements import AGREEMENTS
from app.models.base import AnyRow
from app.providers.agreements import Terms
from app.providers.registry import ProviderAccount
from app.services.accounts.users import ensure_user, lock_user
from app.services.agreements import agreement_rows, charge_rows, plans, signing_terms
from app.services.base.context import Tx, environment_of
from app.services.base.transaction import Transaction
from app.services.base.upsert import NumberTaken, insert_if_new
from app.services.payments.store_orders import STORE_WAY

_A = AGREEMENTS.c


def sets_prices(account: ProviderAccount) -> bool:
    """Whether the provider account is a store, which sets its prices and charges by itself."""
    return not account.provider.currencies


def length_of(product: AnyRow) -> PeriodLength:
    return PeriodLength(cast(Literal["day", "month"], product.plan["unit"]), product.plan["count"])


def imported_as(tx: Transaction, line: AgreementLine, account: ProviderAccount) -> AnyRow | None:
    """The agreement that an earlier import of this line made."""
    return agreement_rows.agreement_of_request(tx, slot_of_user(line.user), _request(line, account))


def known_here(tx: Transaction, line: AgreementLine, account: ProviderAccount) -> AnyRow | None:
    """The user's agreement that has the provider's number of the line, whoever brought it."""
    environment = environment_of(account.live)
    return agreement_rows.find_claimed(tx, line.user, account.name, environment, line.provider_number)


def add_imported(tx: Tx, line: AgreementLine, product: AnyRow, account: ProviderAccount) -> bool:
    """Write the agreement of the line, unless that was done before. A subscription of which the store told meanwhile
    keeps what the store said, and gets what was paid before that."""
    lock_user(tx, line.user)
    if imported_as(tx, line, account) is not None:
        return False
    told = known_here(tx, line, account)
    if told is None:
        _add(tx, line, product, account)
    else:
        _add_to(tx, agreement_rows.lock_known_agreement(tx, told.id), line, product, account)
    return True


def _add(tx: Tx, line: AgreementLine, product: AnyRow, account: ProviderAccount) -> None:
    row = _row(tx, line, product, account)
    if not insert_if_new(tx, AGREEMENTS, row):
        raise NumberTaken
    added = agreement_rows.known_agreement(tx, row["id"])
    if line.paid_until is not None:
        _add_paid_period(tx, added, added.next_period - 1, line.paid_until, product)
    if line.is_in_force:
        agreement_rows.change_agreement(tx, added, _plan(tx, added))


def _add_to(tx: Tx, told: AnyRow, line: AgreementLine, product: AnyRow, account: ProviderAccount) -> None:
    changes: dict[str, Any] = {"imported": line.as_stored(), "request": _request(line, account)}
    if line.paid_until is not None and (told.paid_until is None or told.paid_until < line.paid_until):
        _add_paid_period(tx, told, told.next_period, line.paid_until, product)
        changes |= {"paid_until": line.paid_until, "next_period": told.next_period + 1}
    agreement_rows.change_agreement(tx, told, changes)


def _add_paid_period(tx: Tx, row: AnyRow, number: int, paid_until: datetime, product: AnyRow) -> None:
    """The newest period that the earlier system collected: what it makes active goes on. Here nothing was paid for it,
    so it counts like a free one."""
    new = {
        "slot": row.slot,
        "agreement_id": row.id,
        "number": number,
        "starts_at": period_start(paid_until, length_of(product), -1, plans.zone_of(row)),
        "ends_at": paid_until,
        "status": "free",
        "entitlements": product.entitlements,
    }
    agreement_rows.add_period(tx, new)


def _plan(tx: Tx, row: Any) -> dict[str, Any]:
    """When it is charged, and when the worker takes it up."""
    charge_at = plans.next_charge(row, tx.core.rules.charges)
    planned = SimpleNamespace(**{**row._mapping, "next_charge_at": charge_at})
    work_at = plans.next_work(planned, tx.now, tx.core.rules.ask, plans.window_of(tx, row))
    return {"next_charge_at": charge_at, "next_work_at": work_at}


def _request(line: AgreementLine, account: ProviderAccount) -> uuid.UUID:
    """What names the import of this agreement, whatever else a later line says of it."""
    slot = slot_of_user(line.user)
    return keyed_uuid(slot, f"agreement:import:{account.name}:{environment_of(account.live)}", line.provider_number)


def _row(tx: Tx, line: AgreementLine, product: AnyRow, account: ProviderAccount) -> dict[str, Any]:
    slot = slot_of_user(line.user)
    number, user = tx.core.numbers.next(slot), ensure_user(tx, line.user)
    plan, length, by_store = product.plan, length_of(product), sets_prices(account)
    row: dict[str, Any] = dict.fromkeys(column.name for column in AGREEMENTS.c) | {
        "slot": slot,
        "id": number,
        "user_id": line.user,
        "environment": environment_of(account.live),
        "provider_account": account.name,
        "by_store": by_store,
        "theirs": line.provider_number,
        "known_as": line.old_number or None,
        "imported": line.as_stored(),
        "way": STORE_WAY if by_store else way_of(line, account),
        "status": line.status,
        "sku": product.sku,
        "title": product.title,
        "amount_minor": line.amount,
        "currency": line.currency or None,
        "most_minor": line.amount,
        "unit": length.unit,
        "length": length.count,
        "zone": line.zone or tx.core.rules.charges.zone,
        "grants": product.grants,
        "fulfilment": product.fulfilment,
        "entitlements": product.entitlements,
        "grace_days": 0 if by_store else plan["grace_days"],
        "problem": "",
        "anchor_number": 0,
        "next_period": 0 if line.paid_until is None else 1,
        "paid_until": line.paid_until,
        "cancel_by": "",
        "signed_at": line.signed_at,
        "told_at": line.ended_at or line.signed_at,
        "ended_at": line.ended_at,
        "ended_by": "" if line.is_in_force else line.ended_by or Ending.US,
        "created_at": tx.now,
        "expires_at": tx.now,
        "next_work_at": tx.now + timedelta(minutes=1) if line.is_in_force else None,
        "tries": 0,
        "request": _request(line, account),
    }
    if not by_store:
        row |= _counted_from(line, length, row["zone"])
        row["terms"] = _terms(tx, line, product, account, row, str(user.token))
    return row


def _counted_from(line: AgreementLine, length: PeriodLength, zone: str) -> dict[str, Any]:
    """Where the periods are counted from: the very first one where that is known, else the next one."""
    if line.first_period_at is not None:
        return {"anchor_at": line.first_period_at, "next_period": line.next_number(length, ZoneInfo(zone))}
    return {"anchor_at": line.begins_at, "anchor_number": 0 if line.paid_until is None else 1}


def way_of(line: AgreementLine, account: ProviderAccount) -> str:
    """The way by which it was signed: the account's only one, if the line names none. Empty for one that is none."""
    ways = getattr(account.provider, "agreement_ways", {})
    if line.way:
        return line.way if line.way in ways else ""
    return next(iter(ways)) if len(ways) == 1 else ""


def _terms(
    tx: Tx, line: AgreementLine, product: AnyRow, account: ProviderAccount, row: dict[str, Any], owner: str
) -> dict[str, Any]:
    """What charges take from the signed terms."""
    length = length_of(product)
    terms = Terms(
        ref=Ref(our_agreement=line.old_number or str(row["id"])),
        money=Money(line.amount or 0, line.currency),
        subject=product.title[: charge_rows.LONGEST_SUBJECT],
        product=product.store_ids.get(account.name, product.sku),
        unit=length.unit,
        count=length.count,
        first_due=due_day(line.begins_at or tx.now, ZoneInfo(row["zone"])),
        owner=owner,
        way=row["way"],
        created_at=line.signed_at or tx.now,
        expires_at=tx.now,
        notify_url=f"{tx.core.public_url}/webhooks/{account.name}",
    )
    return signing_terms.as_stored(terms)
