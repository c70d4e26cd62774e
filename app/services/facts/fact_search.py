"""Facts as an operator reads them: with the user and the product that they are about, found by any number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, or_, select

from app.domain.numbers import parse_number, slot_of_number, slot_of_reference, slot_of_uuid
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.models.orders import FactRow, Order, Payment, User
from app.models.slot_guard import sweep
from app.services.accounts.users import uuid_of
from app.services.base.context import Tx
from app.services.facts import parked

MOST_FOUND = 100
"""Facts that a search by number shows."""
NOT_SETTLED = (Outcome.PARKED, Outcome.SURPLUS, Outcome.NOT_OURS)
"""Facts that may lie in any slot under any number: few enough to be read through."""
_f, _o, _p, _u = (table.__table__.c for table in (FactRow, Order, Payment, User))


@dataclass(frozen=True, slots=True)
class ShownFact:
    """A fact's row, and whose purchase of what it is about, as far as that is known here."""

    row: AnyRow
    user: str | None
    product: str | None


def described(tx: Tx, rows: Sequence[AnyRow]) -> list[ShownFact]:
    """These facts with user and product: by their payment's order, else by what the store names."""
    tx.of_several_slots("search")
    return [_shown(tx, row) for row in rows]


def find_facts(tx: Tx, number: str) -> list[ShownFact]:
    """The facts that this number names, oldest first: a fact's own number, an order's or a payment's of ours, or a
    provider's number of a payment. Everything that was told of such a payment is found with it."""
    tx.of_several_slots("search")
    places: set[tuple[int, int | None]] = {(slot_of_reference(number), None), *_payments_there(tx, number)}
    ours = parse_number(number)
    if ours is not None:
        places.add((slot_of_number(ours), None))
    found: dict[int, AnyRow] = {
        row.id: row for outcome in NOT_SETTLED for row in parked.list_parked(tx, outcome, MOST_FOUND, number)
    }
    for slot, payment_id in sorted(places, key=str):
        for row in tx.execute(_in_slot(slot, payment_id, number, ours)):
            found[row.id] = row
    return described(tx, sorted(found.values(), key=lambda row: (row.recorded_at, row.id))[:MOST_FOUND])


def facts_about(tx: Tx, number: int) -> list[ShownFact] | None:
    """The facts in the slot of this number of ours that it names; None if a store's token says that one of them is
    about a user of another slot."""
    slot = slot_of_number(number)
    rows: list[AnyRow] = list(tx.execute(_in_slot(slot, None, str(number), number)))
    tokens = [uuid_of(row.content["owner"]) for row in rows if row.payment_id is None]
    if any(token is not None and slot_of_uuid(token) != slot for token in tokens):
        return None
    return [_shown(tx, row) for row in rows]


def _in_slot(slot: int, payment_id: int | None, number: str, ours: int | None) -> Select[Any]:
    names = [_f.content[name].as_string() == number for name in ("ours", "theirs")]
    if payment_id is not None:
        names.append(_f.payment_id == payment_id)
    if ours is not None:
        of_order = select(_p.id).where(_p.slot == slot, _p.order_id == ours)
        names += [_f.id == ours, _f.payment_id == ours, _f.payment_id.in_(of_order)]
    return select(*_f).where(_f.slot == slot, or_(*names)).order_by(_f.id).limit(MOST_FOUND)


def _payments_there(tx: Tx, number: str) -> list[tuple[int, int]]:
    """Slot and number of the payments that their provider knows by that number."""
    accounts = [account.name for account in tx.core.registry]
    wanted = (
        select(_p.slot, _p.id)
        .prefix_with(sweep("operator"))
        .where(_p.provider_account.in_(accounts), _p.theirs == number)
        .limit(MOST_FOUND)
    )
    return [(row.slot, row.id) for row in tx.execute(wanted)]


def _shown(tx: Tx, row: AnyRow) -> ShownFact:
    told: str | None = row.content["product"]
    if row.payment_id is not None:
        of_payment = (
            select(_o.user_id, _o.sku)
            .join(Payment, (_p.slot == _o.slot) & (_p.order_id == _o.id))
            .where(_o.slot == row.slot, _p.slot == row.slot, _p.id == row.payment_id)
        )
        order = tx.execute(of_payment).one_or_none()
        if order is not None:
            return ShownFact(row, order.user_id, order.sku)
    return ShownFact(row, _user_of(tx, row.content["owner"]), told)


def _user_of(tx: Tx, owner: str | None) -> str | None:
    """The user whose token this is; the token says the slot."""
    token = uuid_of(owner)
    if token is None:
        return None
    return tx.execute(select(_u.id).where(_u.slot == slot_of_uuid(token), _u.token == token)).scalar_one_or_none()
