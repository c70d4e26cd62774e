"""Proves that orders, facts, refunds and callers' grants are as the service wrote them: each bears its seal.

What is older than the seals of this database bears none, and is proven by the rest of the audit only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import FromClause, func, select, tuple_

from app.domain.seals import Seals
from app.domain.spending import GRANT
from app.models.base import AnyRow
from app.models.ledger import GRANT_SEALS, TRANSFERS
from app.models.orders import FactRow, Order, Payment
from app.models.refunds import Refund
from app.models.slot_guard import sweep
from app.services.audit.orders import Finding, Progress
from app.services.base.transaction import Sessions, Transaction, read
from app.services.ledger import idempotency

PAGE = 500
_TABLES: Mapping[str, FromClause] = {
    "orders": Order.__table__,
    "facts": FactRow.__table__,
    "refunds": Refund.__table__,
}
_MADE_AT = {"orders": "created_at", "facts": "recorded_at", "refunds": "created_at"}
_g, _t = GRANT_SEALS.c, TRANSFERS.c
_o, _p = Order.__table__.c, Payment.__table__.c


def audit_seals(sessions: Sessions, seals: Seals, progress: Progress | None = None) -> Iterator[Finding]:
    """Findings, page by page in bounded memory."""
    for name, table in _TABLES.items():
        first = read(sessions, partial(_first_sealed, table=table))
        last = (-1, -1)
        while page := read(sessions, partial(_page, table=table, after=last)):
            last = (page[-1].slot, page[-1].id)
            for row in page:
                wrong = _wrong_with(row, name, seals, first)
                if wrong:
                    yield Finding("seal", read(sessions, partial(_named, name=name, row=row)) + wrong)
            if progress is not None:
                progress(f"seals of {name}: up to slot {last[0]}")
    yield from _grants(sessions, seals)


def _first_sealed(tx: Transaction, table: FromClause) -> int | None:
    """The lowest number that bears a seal: from there on every row must."""
    found = tx.scalar(select(func.min(table.c.id)).prefix_with(sweep("audit")).where(table.c.seal.is_not(None)))
    return None if found is None else int(found)


def _page(tx: Transaction, table: FromClause, after: tuple[int, int]) -> list[AnyRow]:
    c = table.c
    wanted = select(*c).prefix_with(sweep("audit")).where(tuple_(c.slot, c.id) > after)
    return list(tx.execute(wanted.order_by(c.slot, c.id).limit(PAGE)))


def _wrong_with(row: AnyRow, name: str, seals: Seals, first: int | None) -> str:
    """What is wrong with the row's seal; empty if nothing is."""
    if row.seal is None:
        needs = seals.must_have(getattr(row, _MADE_AT[name])) or (first is not None and row.id > first)
        return "bears no seal: the service did not write it, or the seal was removed" if needs else ""
    if seals.fits_row(name, row._asdict(), bytes(row.seal)):
        return ""
    return "is not what was sealed: it was changed, or not written by the service"


def _named(tx: Transaction, name: str, row: AnyRow) -> str:
    """The row with what a person needs to find it."""
    if name == "orders":
        about = _money(row.amount_minor, row.currency)
        return f"order {row.id} of user {row.user_id} ({row.quantity} × {row.sku}{about}) "
    if name == "refunds":
        user = _user(tx, row)
        return f"refund {row.id} of payment {row.payment_id}{user}{_money(row.amount_minor, row.currency)} "
    content: Mapping[str, Any] = row.content
    told = content.get("theirs") or content.get("ours") or "-"
    money = _money(content.get("amount_minor"), content.get("currency"))
    user = _user(tx, row)
    return f"fact {row.id} ({row.kind} {told} of {row.provider_account}{money}{user}; `tillbook facts list {told}`) "


def _user(tx: Transaction, row: AnyRow) -> str:
    if row.payment_id is None:
        return ""
    wanted = (
        select(_o.user_id)
        .join(Payment.__table__, (_p.slot == _o.slot) & (_p.order_id == _o.id))
        .where(_o.slot == row.slot, _p.slot == row.slot, _p.id == row.payment_id)
    )
    found = tx.scalar(wanted)
    return "" if found is None else f" of user {found}"


def _money(minor: int | None, currency: str | None) -> str:
    return "" if minor is None else f", {minor} {currency}"


def _grants(sessions: Sessions, seals: Seals) -> Iterator[Finding]:
    """Coins that callers brought into wallets."""
    last = (-1, -1, -1)
    first = read(sessions, _first_sealed_grant)
    while page := read(sessions, partial(_page_of_grants, after=last)):
        last = (page[-1].slot, page[-1].book_id, page[-1].version)
        for row in page:
            grant = idempotency.stored(row)
            if row.seal is None:
                is_wrong = seals.must_have(grant.at) or (first is not None and grant.at > first)
            else:
                is_wrong = not seals.fits_grant(grant.id, grant.fingerprint(), bytes(row.seal), grant.at)
            if is_wrong:
                who = f"{grant.amount} {grant.credit.asset} to user {grant.credit.user_id} ({grant.credit.environment})"
                yield Finding("seal", f"grant {grant.id} of {who} was not made by the service, or was changed")


def _first_sealed_grant(tx: Transaction) -> datetime | None:
    joined = TRANSFERS.join(GRANT_SEALS, (_g.slot == _t.slot) & (_g.transfer_id == _t.id))
    found: datetime | None = tx.scalar(select(func.min(_t.created_at)).prefix_with(sweep("audit")).select_from(joined))
    return found


def _page_of_grants(tx: Transaction, after: tuple[int, int, int]) -> list[AnyRow]:
    wanted = (
        idempotency.STORED.add_columns(_g.seal)
        .prefix_with(sweep("audit"))
        .outerjoin(GRANT_SEALS, (_g.slot == _t.slot) & (_g.transfer_id == _t.id))
        .where(_t.kind == GRANT, tuple_(_t.slot, _t.book_id, _t.version) > after)
        .order_by(_t.slot, _t.book_id, _t.version)
        .limit(PAGE)
    )
    return list(tx.execute(wanted))
