"""Proves that orders, facts, refunds, answers to keys and callers' grants are as the service wrote them.

What is older than the seals of this database bears none, and is proven by the rest of the audit only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from sqlalchemy import FromClause, func, or_, select, tuple_

from app.domain.opening import SEALED_KINDS
from app.domain.refunding import Origin
from app.domain.seals import Seals
from app.models.agreements import AGREEMENTS
from app.models.base import AnyRow
from app.models.finance import CLOSINGS, JOURNAL_ENTRIES
from app.models.gifts import GIFTS
from app.models.ledger import GRANT_SEALS, TRANSFERS
from app.models.orders import FactRow, IdempotencyKey, Order, Payment
from app.models.refunds import FREEZES, Refund
from app.models.slot_guard import sweep
from app.services.audit import naming
from app.services.audit.orders import Finding, Progress
from app.services.base.idempotency import NO_RESOURCE
from app.services.base.transaction import Sessions, Transaction, read
from app.services.base.used_slots import used_slots
from app.services.ledger import idempotency

SEAL_PAGE = 500
_TABLES: Mapping[str, FromClause] = {
    "orders": Order.__table__,
    "facts": FactRow.__table__,
    "refunds": Refund.__table__,
    "gifts": GIFTS,
    "idempotency": IdempotencyKey.__table__,
    "journal_entries": JOURNAL_ENTRIES,
    "closings": CLOSINGS,
}
_FIRST_PAGES = {
    name: select(*table.c).prefix_with(sweep("audit")).order_by(*table.primary_key).limit(SEAL_PAGE)
    for name, table in _TABLES.items()
}
_OF_FINANCE = {
    "journal_entries": "journal entry {row.id} ({row.document}; `tillbook journal show {row.id}`) ",
    "closings": "the closing of {row.month} ",
}
"""How a row of these tables is named."""
_MADE_AT = dict.fromkeys(_TABLES, "created_at") | {"facts": "recorded_at"}
_BEFORE_ALL = (-1, -1, -1)
_g, _t = GRANT_SEALS.c, TRANSFERS.c
_o, _p, _r, _k = Order.__table__.c, Payment.__table__.c, Refund.__table__.c, IdempotencyKey.__table__.c


def audit_seals(sessions: Sessions, seals: Seals, progress: Progress | None = None) -> Iterator[Finding]:
    """Findings, page by page in bounded memory."""
    for name, table in _TABLES.items():
        order = [column.name for column in table.primary_key]
        sealed = _Sealed(partial(read, sessions, partial(_first_sealed, table=table, made_at=_MADE_AT[name])))
        for page in _pages(sessions, partial(_page, name=name), order):
            for row in page:
                wrong = _wrong_with(row, name, seals, sealed)
                if wrong:
                    yield Finding("seal", read(sessions, partial(_named, name=name, row=row)) + wrong)
            if progress is not None:
                progress(f"seals of {name}: up to {getattr(page[-1], order[0])}")
    yield from _grants(sessions, seals)
    for slot in read(sessions, _slots_with_keys):
        yield from read(sessions, partial(_keys_without_resource, slot=slot), snapshot=True)


def _slots_with_keys(tx: Transaction) -> list[int]:
    return used_slots(tx, "audit", select(_k.slot))


def _keys_without_resource(tx: Transaction, slot: int) -> list[Finding]:
    """Answers to keys whose order, payment, refund, freezing, gift or agreement is gone; and refunds of callers
    whose key is gone.

    Keys that were cleared away by their age are missed by nobody: only what is younger than the oldest key counts.
    """
    there = [
        select(c.id).where(c.slot == slot, c.id == _k.resource_id).exists()
        for c in (_o, _p, _r, FREEZES.c, GIFTS.c, AGREEMENTS.c)
    ]
    gone = select(_k.caller, _k.key, _k.resource_id).where(_k.slot == slot, _k.resource_id != NO_RESOURCE, ~or_(*there))
    oldest = tx.scalar(select(func.min(_k.created_at)).where(_k.slot == slot))
    key = select(_k.resource_id).where(_k.slot == slot, _k.resource_id == _r.id).exists()
    unasked = select(_r.id, _r.payment_id).where(_r.slot == slot, _r.origin == Origin.ASKED, _r.created_at > oldest)
    return [
        *(
            Finding("key_without_resource", f"key {row.key!r} of {row.caller} stands for {row.resource_id}: it is gone")
            for row in tx.execute(gone)
        ),
        *(
            Finding(
                "refund_unasked",
                f"refund {row.id} of payment {row.payment_id}: nobody's key stands for it (`tillbook find {row.id}`)",
            )
            for row in tx.execute(unasked.where(~key))
        ),
    ]


class _Sealed:
    """When the oldest row of a table that bears a seal was made: from then on every row must.

    The whole table is read for it, so that is done only where a row bears none.
    """

    def __init__(self, look: Callable[[], datetime | None]) -> None:
        self._look = look

    @cached_property
    def first(self) -> datetime | None:
        return self._look()

    def must_have(self, made_at: datetime) -> bool:
        return self.first is not None and made_at > self.first


def _pages(
    sessions: Sessions, read_page: Callable[..., list[AnyRow]], names: Sequence[str]
) -> Iterator[Sequence[AnyRow]]:
    """The pages of a table in the order of the columns with these names. What is short of a page is the last one."""
    last: tuple[Any, ...] = ()
    while page := read(sessions, partial(read_page, after=last)):
        yield page
        if len(page) < SEAL_PAGE:
            return
        last = tuple(getattr(page[-1], name) for name in names)


def _first_sealed(tx: Transaction, table: FromClause, made_at: str) -> datetime | None:
    first = select(func.min(table.c[made_at])).prefix_with(sweep("audit")).where(table.c.seal.is_not(None))
    found: datetime | None = tx.scalar(first)
    return found


def _page(tx: Transaction, name: str, after: tuple[Any, ...]) -> list[AnyRow]:
    wanted = _FIRST_PAGES[name]
    return list(tx.execute(wanted.where(tuple_(*_TABLES[name].primary_key) > after) if after else wanted))


def _wrong_with(row: AnyRow, name: str, seals: Seals, sealed: _Sealed) -> str:
    """What is wrong with the row's seal; empty if nothing is."""
    if row.seal is None:
        made_at: datetime = getattr(row, _MADE_AT[name])
        needs = seals.must_have(made_at) or sealed.must_have(made_at)
        return "bears no seal: the service did not write it, or the seal was removed" if needs else ""
    if seals.fits_row(name, row._asdict(), bytes(row.seal)):
        return ""
    return "is not what was sealed: it was changed, or not written by the service"


def _named(tx: Transaction, name: str, row: AnyRow) -> str:
    """The row with what a person needs to find it."""
    if name == "orders":
        about = naming.money(row.amount_minor, row.currency)
        see = f"(`tillbook find {row.id} --timeline`)"
        return f"order {row.id} of user {row.user_id} ({row.quantity} × {row.sku}{about}) {see} "
    if name == "refunds":
        user = _user(tx, row)
        money = naming.money(row.amount_minor, row.currency)
        return f"refund {row.id} of payment {row.payment_id}{user}{money} (`tillbook find {row.id}`) "
    if name == "gifts":
        who = f"from user {row.giver} to user {row.receiver} (`tillbook find {row.id}`)"
        return f"gift {row.id} of {row.amount} {row.asset} {who} "
    if name == "idempotency":
        return f"the answer {row.resource_id} to key {row.key!r} of {row.caller} (`tillbook find {row.resource_id}`) "
    if name in _OF_FINANCE:
        return _OF_FINANCE[name].format(row=row)
    content: Mapping[str, Any] = row.content
    told = content.get("theirs") or content.get("ours") or "-"
    money = naming.money(content.get("amount_minor"), content.get("currency"))
    user = _user(tx, row)
    return f"fact {row.id} ({row.kind} {told} of {row.provider_account}{money}{user}; `tillbook facts find {told}`) "


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


def _grants(sessions: Sessions, seals: Seals) -> Iterator[Finding]:
    """Coins that callers brought into wallets."""
    sealed = _Sealed(partial(read, sessions, _first_sealed_grant))
    for page in _pages(sessions, _page_of_grants, ("slot", "book_id", "version")):
        for row in page:
            grant = idempotency.stored(row)
            if row.seal is None:
                is_wrong = seals.must_have(grant.at) or sealed.must_have(grant.at)
            else:
                is_wrong = not seals.fits_grant(grant.id, grant.fingerprint(), bytes(row.seal), grant.at)
            if is_wrong:
                who = f"{grant.amount} {grant.credit.asset} to user {grant.credit.user_id} ({grant.credit.environment})"
                wrong = f"was not made by the service, or was changed (`tillbook find {grant.id}`)"
                yield Finding("seal", f"grant {grant.id} of {who} {wrong}")


def _first_sealed_grant(tx: Transaction) -> datetime | None:
    joined = TRANSFERS.join(GRANT_SEALS, (_g.slot == _t.slot) & (_g.transfer_id == _t.id))
    found: datetime | None = tx.scalar(select(func.min(_t.created_at)).prefix_with(sweep("audit")).select_from(joined))
    return found


def _page_of_grants(tx: Transaction, after: tuple[int, ...]) -> list[AnyRow]:
    wanted = (
        idempotency.STORED.add_columns(_g.seal)
        .prefix_with(sweep("audit"))
        .outerjoin(GRANT_SEALS, (_g.slot == _t.slot) & (_g.transfer_id == _t.id))
        .where(_t.kind.in_(SEALED_KINDS), tuple_(_t.slot, _t.book_id, _t.version) > (after or _BEFORE_ALL))
        .order_by(_t.slot, _t.book_id, _t.version)
        .limit(SEAL_PAGE)
    )
    return list(tx.execute(wanted))
