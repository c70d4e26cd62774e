"""What a fact about money means in the books.

Money: `clearing:<provider account>` (what the provider owes or has paid us) to `sales`, `surplus` or `suspense`. Of a
store, the gross in the customer's currency; a store that tells no price moves coins alone.
Coins: `issuance` to the user's wallet. Every transfer's key is made from the fact's, so no road can book it twice, and
the audit can work out the same transfers again from the stored fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.domain.deciding import Booking, sale_scope
from app.domain.facts import price_of
from app.domain.fulfilment import FulfilledBy
from app.domain.grants import Grant, grants_of
from app.domain.ledger import ISSUANCE, Lot, Transfer, system, wallet
from app.domain.money import Money
from app.models.base import AnyRow
from app.services.base.context import Tx
from app.services.base.reported_fact import ReportedFact
from app.services.ledger.postings import post

_COUNTERPART = {Booking.SALE: "sales", Booking.SURPLUS: "surplus", Booking.SUSPENSE: "suspense"}
KINDS = ("payment", "surplus", "suspense", "purchase", "bonus")
"""The kinds of transfer that only facts make."""


@dataclass(frozen=True)
class MoneyFact:
    """The part of a paid fact that the books need."""

    scope: str
    """The name space of the transfers that this provider account's facts cause."""
    account: str
    """The provider account whose money it is."""
    environment: str
    key: str
    money: Money | None
    """What was paid, or what the store's customer was charged. None where a store does not tell its price."""
    at: datetime
    theirs: str | None


def of_reported(reported: ReportedFact) -> MoneyFact:
    fact, account, environment = reported.fact, reported.account.name, reported.environment
    scope, money = sale_scope(account, environment), fact.money or fact.price
    return MoneyFact(scope, account, environment, reported.key, money, fact.at, fact.ref.theirs)


def of_row(row: AnyRow) -> MoneyFact:
    """What a stored fact tells about money."""
    content = row.content
    money = (
        Money(content["amount_minor"], content["currency"])
        if content["amount_minor"] is not None
        else price_of(content)
    )
    account, environment = row.provider_account, row.environment
    scope = sale_scope(account, environment)
    return MoneyFact(scope, account, environment, row.key, money, row.at, content["theirs"])


def book(tx: Tx, slot: int, transfers: Sequence[Transfer]) -> None:
    if transfers:
        post(tx, slot, transfers)


def transfers_of(
    fact: MoneyFact, order: AnyRow, payment_id: int, booking: Booking, *, from_suspense: bool = False
) -> list[Transfer]:
    """What to book for a fact that belongs to this payment: its money, and its coins if it is a sale of coins that are
    in our ledger.

    `from_suspense`: its money was booked to suspense first, and moves on from there.
    """
    before = unmatched(fact, Booking.SUSPENSE) if from_suspense else []
    return [*before, *still_to_book(fact, order, payment_id, booking, from_suspense=from_suspense)]


def still_to_book(
    fact: MoneyFact, order: AnyRow, payment_id: int, booking: Booking, *, from_suspense: bool
) -> list[Transfer]:
    """Those transfers without the one that brought its money to suspense."""
    if from_suspense:
        transfers = _out_of_suspense(fact, booking, str(payment_id))
    else:
        transfers = _moved(fact, "money", f"clearing:{fact.account}", booking, str(payment_id), at=fact.at)
    if booking is Booking.SALE and order.fulfilment == FulfilledBy.WALLET:
        paid = fact.money.minor if fact.money else 0
        grants = grants_of(order.grants, quantity=order.quantity, paid_minor=paid, paid_at=fact.at)
        for number, grant in enumerate(grants):
            at = None if from_suspense else fact.at
            transfers.append(_coins(fact, order, payment_id, number, grant, at))
    return transfers


def unmatched(fact: MoneyFact, booking: Booking) -> list[Transfer]:
    """What to book for verified money for which there is no payment here."""
    return _moved(fact, "money", f"clearing:{fact.account}", booking, fact.theirs or "", at=fact.at)


def out_of_slot(fact: MoneyFact) -> list[Transfer]:
    """What takes its money out of suspense again, back to `clearing`: it is booked anew where its payment lies, as of
    the same moment."""
    return [
        replace(arrived, key=f"{fact.key}:assigned", debit=arrived.credit, credit=arrived.debit)
        for arrived in unmatched(fact, Booking.SUSPENSE)
    ]


def of_unmatched_row(row: AnyRow) -> list[Transfer]:
    """What a stored fact without a payment has booked. One whose money has left suspense is told again elsewhere."""
    fact = of_row(row)
    if row.from_suspense:
        return [*unmatched(fact, Booking.SUSPENSE), *out_of_slot(fact)]
    return unmatched(fact, Booking(row.booking))


def _out_of_suspense(fact: MoneyFact, booking: Booking, reference: str) -> list[Transfer]:
    """Effective when it is booked: until then it was not known whose money that is."""
    if booking is Booking.SUSPENSE:
        return []
    return _moved(fact, "matched", _COUNTERPART[Booking.SUSPENSE], booking, reference)


def _moved(
    fact: MoneyFact, step: str, source: str, booking: Booking, reference: str, at: datetime | None = None
) -> list[Transfer]:
    money = fact.money
    if booking is Booking.NOTHING or money is None or money.minor == 0:
        return []
    return [
        Transfer(
            scope=fact.scope,
            key=f"{fact.key}:{step}",
            debit=system(source, money.currency, fact.environment),
            credit=system(_COUNTERPART[booking], money.currency, fact.environment),
            amount=money.minor,
            kind="payment" if booking is Booking.SALE else _COUNTERPART[booking],
            reference=reference[:128],
            effective_at=at,
        )
    ]


def _coins(fact: MoneyFact, order: AnyRow, payment_id: int, number: int, grant: Grant, at: datetime | None) -> Transfer:
    return Transfer(
        scope=fact.scope,
        key=f"{fact.key}:grant:{number}",
        debit=system(ISSUANCE, grant.asset, order.environment),
        credit=wallet(order.user_id, grant.asset, order.environment),
        amount=grant.amount,
        kind="bonus" if grant.bonus else "purchase",
        reference=str(order.id),
        lot=Lot(
            bonus=grant.bonus,
            expires_at=grant.expires_at,
            payment=str(payment_id),
            product=order.sku,
            value_minor=grant.value_minor,
            currency=fact.money.currency if fact.money and grant.value_minor else "",
        ),
        effective_at=at,
    )
