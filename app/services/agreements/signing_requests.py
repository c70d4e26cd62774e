"""Writes down the agreements that users want to sign. The provider hears of an agreement only when its row is there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import select

from app.domain.agreements import IN_FORCE, AgreementStatus
from app.domain.facts import Ref
from app.domain.money import Money
from app.domain.numbers import keyed_uuid, slot_of_number, slot_of_user
from app.domain.periods import PeriodLength, day_after
from app.models.agreements import AGREEMENTS
from app.models.base import AnyRow
from app.models.catalogue import Product
from app.providers.agreements import Terms
from app.providers.registry import ProviderAccount
from app.services.accounts.catalog import check_for_sale, price_in
from app.services.accounts.users import ensure_user, lock_user
from app.services.agreements import agreement_rows, charge_rows, plans, signing_terms
from app.services.base.context import Core, Tx, environment_of
from app.services.base.errors import DomainError, Invalid, KeyReused, NotFound, UnknownProduct
from app.services.base.idempotency import Keyed, decided_once
from app.services.base.upsert import NumberTaken, insert_if_new
from app.services.payments.order_limits import check_limits, check_time
from app.services.payments.orders import PayBy, account_for

MOST_SIGNING = 10
"""Agreements of one user that wait for the user's signature at one time."""
_g = Product.__table__.c
_AGREED = ("way", "zone", "first_minor", "grants", "fulfilment", "entitlements", "grace_days", "replaces_id")
"""What a user agrees to beside the terms that the provider gets."""


class KeptByTheStore(DomainError):
    """Only the payer can change a subscription, in the store."""

    code = "kept_by_the_store"


class AgreementNotInForce(DomainError):
    """The member `agreement_status` says how it stands."""

    code = "agreement_not_in_force"


class NotAPlan(DomainError):
    code = "not_a_plan"


class AlreadyAgreed(DomainError):
    """The member `agreement` names the one that is in force."""

    code = "already_agreed"
    remembered = False


class TooManySignings(DomainError):
    """The member `retry_after` says in how many seconds the first of them ends."""

    code = "too_many_signings"
    remembered = False


class CannotPayNow(DomainError):
    code = "cannot_pay_now"


@dataclass(frozen=True, slots=True)
class NewAgreement:
    user_id: str
    sku: str
    pay_by: PayBy
    currency: str | None = None
    zone: str | None = None
    """Of the user; None: that of the settings."""
    pay_now: bool = False
    """The first period is paid by the act of signing."""
    replaces: int | None = None
    """An agreement of the user that ends when this one is signed."""


def create_signing(core: Core, wanted: NewAgreement, request: Keyed) -> int:
    """Write the agreement down; its number. A repeat gives the first one again, or the first refusal."""
    slot = slot_of_user(wanted.user_id)
    name = keyed_uuid(slot, f"agreement:{request.caller}", request.key)

    def decide(tx: Tx) -> int:
        lock_user(tx, wanted.user_id)
        known = agreement_rows.agreement_of_request(tx, slot, name)
        if known is not None:
            return _still_known(known, wanted)
        account, pay_by = account_for(tx.core, wanted.pay_by, "agreement_ways")
        if wanted.zone is not None and wanted.zone not in available_timezones():
            raise Invalid("not a time zone that this service knows", field="zone")
        product = _product(tx, wanted.sku)
        replaced = _replaced(tx, wanted, account)
        _check_none_in_force(tx, slot, wanted, account)
        row = {**_row(tx, wanted, pay_by, product, account, replaced), "request": name}
        same = _same_signing(tx, row, is_paid=wanted.pay_now)
        if same is not None:
            return same
        _check_count(tx, slot, wanted)
        if wanted.pay_now:
            _check_can_pay(tx, row, wanted, pay_by, account)
        if not insert_if_new(tx, AGREEMENTS, row):
            raise NumberTaken
        if wanted.pay_now:
            _add_first_payment(tx, row["id"], pay_by)
        return int(row["id"])

    return decided_once(core, slot, request, decide)


def _still_known(row: AnyRow, wanted: NewAgreement) -> int:
    """The number of an agreement whose key was forgotten. Raises KeyReused if it is not what is wanted now."""
    before = (row.user_id, row.sku, row.provider_account, row.way, row.first_payment_id is not None, row.replaces_id)
    pay_by = wanted.pay_by
    now = (wanted.user_id, wanted.sku, pay_by.provider_account, pay_by.way, wanted.pay_now, wanted.replaces)
    if before != now:
        raise KeyReused
    return int(row.id)


def _product(tx: Tx, sku: str) -> AnyRow:
    product = tx.execute(select(*_g).where(_g.sku == sku)).one_or_none()
    if product is None:
        raise UnknownProduct(sku=sku)
    check_for_sale(product, sku, tx.now)
    if product.plan is None:
        raise NotAPlan(sku=sku)
    return product


def _check_none_in_force(tx: Tx, slot: int, wanted: NewAgreement, account: ProviderAccount) -> None:
    environment = environment_of(account.live)
    in_force = agreement_rows.in_force_of(tx, slot, wanted.user_id, wanted.sku, environment, but=wanted.replaces or 0)
    if in_force is not None:
        raise AlreadyAgreed(agreement=str(in_force.id))


def _replaced(tx: Tx, wanted: NewAgreement, account: ProviderAccount) -> AnyRow | None:
    """The agreement that the new one takes the place of. Raises NotFound, KeptByTheStore, AgreementNotInForce."""
    if wanted.replaces is None:
        return None
    about, is_near = str(wanted.replaces), slot_of_number(wanted.replaces) == slot_of_user(wanted.user_id)
    row = agreement_rows.find_agreement(tx, wanted.replaces) if is_near else None
    if row is None or (row.user_id, row.environment) != (wanted.user_id, environment_of(account.live)):
        raise NotFound(agreement=about)
    if row.by_store:
        raise KeptByTheStore(agreement=about)
    if row.status not in IN_FORCE:
        raise AgreementNotInForce(agreement=about, agreement_status=row.status)
    return row


def _same_signing(tx: Tx, row: dict[str, Any], *, is_paid: bool) -> int | None:
    """The number of an agreement that waits for the user's signature to the very same terms: somebody pressed the
    button twice. None where less than half of the time for signing is left: then a new one is begun."""
    until = tx.now + (row["expires_at"] - tx.now) / 2
    found = agreement_rows.signable_of(tx, row["slot"], row["user_id"], row["sku"], row["provider_account"], until)
    for other in found:
        had = {name: getattr(other, name) for name in _AGREED} | {"terms": _lasting(other.terms)}
        wants = {name: row[name] for name in _AGREED} | {"terms": _lasting(row["terms"])}
        if had == wants and (other.first_payment_id is not None) == is_paid:
            return int(other.id)
    return None


def _lasting(terms: dict[str, Any]) -> dict[str, Any]:
    """The terms without what is another at each request."""
    return {name: value for name, value in terms.items() if name not in ("our_agreement", "created_at", "expires_at")}


def _check_count(tx: Tx, slot: int, wanted: NewAgreement) -> None:
    count, first_end = agreement_rows.count_signing(tx, slot, wanted.user_id)
    if count >= MOST_SIGNING and first_end is not None:
        wait = max(1, math.ceil((first_end - tx.now).total_seconds()))
        raise TooManySignings(limit=MOST_SIGNING, retry_after=wait)


def _row(
    tx: Tx, wanted: NewAgreement, pay_by: PayBy, product: AnyRow, account: ProviderAccount, replaced: AnyRow | None
) -> dict[str, Any]:
    amount, currency = price_in(product.prices, account.provider.currencies, wanted.currency)
    plan, rules = product.plan, tx.core.rules.charges
    slot, zone = slot_of_user(wanted.user_id), wanted.zone or rules.zone
    number = tx.core.numbers.next(slot)
    user = ensure_user(tx, wanted.user_id)
    first = plan["first_prices"].get(currency)
    length = PeriodLength(plan["unit"], plan["count"])
    begins_at = plans.beginning(tx.now, replaced, is_paid=wanted.pay_now)
    terms = Terms(
        ref=Ref(our_agreement=str(number)),
        money=Money(amount, currency),
        subject=product.title[: charge_rows.LONGEST_SUBJECT],
        product=product.store_ids.get(account.name, product.sku),
        unit=length.unit,
        count=length.count,
        first_due=_first_due(begins_at, zone, length, is_paid=wanted.pay_now or first == 0),
        owner=str(user.token),
        way=pay_by.way,
        created_at=tx.now,
        expires_at=tx.now + timedelta(minutes=rules.signing_minutes),
        notify_url=f"{tx.core.public_url}/webhooks/{account.name}",
        return_url=pay_by.return_url,
        extra=pay_by.extra,
    )
    return dict.fromkeys(column.name for column in AGREEMENTS.c) | {
        "slot": slot,
        "id": number,
        "user_id": wanted.user_id,
        "environment": environment_of(account.live),
        "provider_account": account.name,
        "by_store": False,
        "way": pay_by.way,
        "status": AgreementStatus.SIGNING,
        "sku": product.sku,
        "title": product.title,
        "amount_minor": amount,
        "currency": currency,
        "most_minor": amount,
        "first_minor": first,
        "unit": length.unit,
        "length": length.count,
        "zone": zone,
        "grants": product.grants,
        "fulfilment": product.fulfilment,
        "entitlements": product.entitlements,
        "grace_days": plan["grace_days"],
        "terms": signing_terms.as_stored(terms),
        "problem": "",
        "replaces_id": wanted.replaces,
        "anchor_number": 0,
        "next_period": 0,
        "cancel_by": "",
        "ended_by": "",
        "created_at": tx.now,
        "expires_at": terms.expires_at,
        "next_work_at": tx.now + timedelta(seconds=30),
        "tries": 0,
    }


def _first_due(begins_at: datetime, zone: str, length: PeriodLength, *, is_paid: bool) -> date:
    """The day of the first charge under the agreement: the day on which its first period begins, unless that is free or
    paid with the signing."""
    day = begins_at.astimezone(ZoneInfo(zone)).date()
    return day_after(day, length, 1) if is_paid else day


def _check_can_pay(tx: Tx, row: dict[str, Any], wanted: NewAgreement, pay_by: PayBy, account: ProviderAccount) -> None:
    if pay_by.way not in getattr(account.provider, "paying_ways", ()):
        raise CannotPayNow(way=pay_by.way)
    if row["first_minor"] == 0:
        raise CannotPayNow("The first period costs nothing.", way=pay_by.way)
    check_time(account, _order_end(tx), tx.now)
    check_limits(tx, row["slot"], wanted.user_id, new_order=True)


def _order_end(tx: Tx) -> datetime:
    return tx.now + timedelta(minutes=tx.core.rules.order_minutes)


def _add_first_payment(tx: Tx, number: int, pay_by: PayBy) -> None:
    """The order of the first period, and the payment that is made by the act of signing."""
    agreement = agreement_rows.lock_known_agreement(tx, number)
    order = charge_rows.new_order(tx, agreement, 0, _order_end(tx))
    payment = charge_rows.new_payment(tx, agreement, order, 1, return_url=pay_by.return_url, extra=pay_by.extra)
    charge_rows.write(tx, order, payment)
    agreement_rows.change_agreement(tx, agreement, {"first_payment_id": payment.id})
