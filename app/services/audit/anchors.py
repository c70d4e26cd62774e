"""Writes anchors and proves the database against them: what was there when an anchor was made is there, unchanged.

More rows may have come, statuses may have moved, facts may have been completed, and forgotten keys may be gone: an
anchor says nothing about those. Slot by slot, each as of one moment, in memory that one slot bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Select, and_, select, tuple_

from app.domain.proof.anchors import (
    ANCHORED,
    AnchoredAccount,
    AnchoredClaim,
    AnchoredRow,
    AnchoredSlot,
    check_of,
    said_by,
)
from app.domain.proof.rows import UNREADABLE
from app.models.base import AnyRow
from app.models.catalogue import Claim
from app.models.ledger import ACCOUNTS, MARKS, TRANSFERS
from app.models.orders import FACTS, Order, Payment
from app.models.refunds import Refund
from app.models.slot_guard import sweep
from app.services.audit import naming
from app.services.audit.ledger_rows import snapshot
from app.services.audit.orders import Finding
from app.services.base.transaction import Sessions, Transaction, read
from app.services.base.used_slots import used_slots
from app.services.facts.claims import agreement_reference, slot_of_claim

ANCHOR_PAGE = 500
_A, _T, _M, _F = ACCOUNTS.c, TRANSFERS.c, MARKS.c, FACTS.c
_O, _P, _R, _C = Order.__table__.c, Payment.__table__.c, Refund.__table__.c, Claim.__table__.c
_CLAIM = (_C.cslot, _C.provider_account, _C.environment, _C.reference)
_ACCOUNT = (
    *(_A.id, _A.user_id, _A.code, _A.asset, _A.environment, _A.version, _A.balance, _A.head, _A.marks),
    _A.marks_head,
)
_WHAT = {"orders": "order", "facts": "fact", "refunds": "refund"}
Item = TypeVar("Item")


# --- writing ---


def anchor_lines(sessions: Sessions) -> Iterator[dict[str, object]]:
    """The lines of an anchor of what is there now, but for its header and its signature."""
    for slot in read(sessions, _slots_to_anchor):
        with snapshot(sessions) as tx:
            line = AnchoredSlot(slot, _accounts(tx, slot), {table: _anchored(tx, slot, table) for table in ANCHORED})
        yield line.line()
    after: tuple[Any, ...] = (-1, "", "", "")
    while page := read(sessions, partial(_claims_after, after=after)):
        after = tuple(page[-1][:4])
        of_agreements = agreement_reference("")
        claims = [_claim(row) for row in page if not row.reference.startswith(of_agreements)]
        yield {"claims": claims}


def _slots_to_anchor(tx: Transaction) -> list[int]:
    """The slots that have something to anchor."""
    return used_slots(tx, "audit", *(select(c.slot) for c in (_A, _O, _F, _R)))


def _accounts(tx: Transaction, slot: int) -> list[AnchoredAccount]:
    rows = tx.execute(select(*_ACCOUNT).where(_A.slot == slot).order_by(_A.id)).mappings()
    return [AnchoredAccount(**{name: _hex(value) for name, value in row.items()}) for row in rows]


def _hex(value: Any) -> Any:
    """Bytes as text; everything else as it is."""
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else value


def _claim(row: AnyRow) -> AnchoredClaim:
    return AnchoredClaim(row.provider_account, row.environment, row.reference, row.user_id)


def _anchored(tx: Transaction, slot: int, table: str) -> list[AnchoredRow]:
    anchored = []
    with closing(_rows(tx, slot, table)) as rows:
        for row in rows:
            said = said_by(row["content"]) if table == "facts" else 0
            anchored.append(AnchoredRow(row["id"], check_of(table, row, said), said, _ABOUT[table](row)))
    return anchored


def _claims_after(tx: Transaction, after: tuple[Any, ...]) -> Sequence[AnyRow]:
    wanted = select(*_CLAIM, _C.user_id).prefix_with(sweep("audit")).where(tuple_(*_CLAIM) > after)
    wanted = wanted.order_by(*_CLAIM).limit(ANCHOR_PAGE)
    return tx.execute(wanted).all()


def _rows(tx: Transaction, slot: int, table: str) -> Generator[Mapping[str, Any], None, None]:
    """All rows of the table in that slot, with the user to whom each belongs, in a stream. `close` it: a row that
    cannot be read leaves it open."""
    with tx.connection().execute(_SELECTED[table](slot), execution_options={"yield_per": ANCHOR_PAGE}) as result:
        for row in result:
            yield row._asdict()


def _orders(slot: int) -> Select[Any]:
    return select(*_O).where(_O.slot == slot).order_by(_O.id)


def _facts(slot: int) -> Select[Any]:
    return (
        select(*_F, _O.user_id)
        .select_from(FACTS)
        .outerjoin(Payment.__table__, and_(_P.slot == slot, _P.id == _F.payment_id))
        .outerjoin(Order.__table__, and_(_O.slot == slot, _O.id == _P.order_id))
        .where(_F.slot == slot)
        .order_by(_F.id)
    )


def _refunds(slot: int) -> Select[Any]:
    return (
        select(*_R, _O.user_id)
        .select_from(Refund.__table__)
        .outerjoin(Order.__table__, and_(_O.slot == slot, _O.id == _R.order_id))
        .where(_R.slot == slot)
        .order_by(_R.id)
    )


_SELECTED: Mapping[str, Callable[[int], Select[Any]]] = {"orders": _orders, "facts": _facts, "refunds": _refunds}


def _about_order(row: Mapping[str, Any]) -> str:
    return f"{row['quantity']} × {row['sku']}{_money(row)}, user {row['user_id']}"


def _about_fact(row: Mapping[str, Any]) -> str:
    content = row["content"]
    number = content.get("theirs") or content.get("ours") or "-"
    return f"{row['kind']} {number} of {row['provider_account']}{_money(content)}{_user(row)}"


def _about_refund(row: Mapping[str, Any]) -> str:
    return f"of payment {row['payment_id']}{_money(row)}{_user(row)}"


_ABOUT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "orders": _about_order,
    "facts": _about_fact,
    "refunds": _about_refund,
}


_SEE: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "orders": lambda row: f"`GET /v1/orders/{row['id']}?user={row['user_id']}`",
    "facts": lambda row: f"`tillbook facts list --theirs {row['content'].get('theirs')}`",
    "refunds": lambda row: f"`GET /v1/refunds/{row['id']}`",
}
"""The command or the call that shows more of a row that is there."""


def _money(row: Mapping[str, Any]) -> str:
    return naming.money(row.get("amount_minor"), row.get("currency"))


def _user(row: Mapping[str, Any]) -> str:
    return "" if row["user_id"] is None else f", user {row['user_id']}"


# --- comparing ---


def audit_against(sessions: Sessions, anchored: Iterable[AnchoredSlot | list[AnchoredClaim]]) -> Iterator[Finding]:
    """What was anchored and is gone, or is not as it was."""
    for part in anchored:
        if isinstance(part, AnchoredSlot):
            yield from _compare_slot(sessions, part)
        else:
            for some in _pieces(part):
                yield from read(sessions, partial(_compare_claims, claims=some))


def _compare_slot(sessions: Sessions, part: AnchoredSlot) -> list[Finding]:
    findings: list[Finding] = []
    with snapshot(sessions) as tx:
        try:
            findings.extend(_compare_accounts(tx, part))
            findings.extend(_compare_rows(tx, part))
        except UNREADABLE as error:
            findings.append(_changed(part.slot, f"a row in it cannot be read: {error!r}"))
    return findings


def _compare_accounts(tx: Transaction, part: AnchoredSlot) -> Iterator[Finding]:
    now = {account.id: account for account in _accounts(tx, part.slot)}
    for account in part.accounts:
        found = now.get(account.id)
        if found is None:
            lost = f"it had {account.version} postings and a balance of {account.balance}"
            yield _gone(part.slot, f"{account.shown}: {lost}{_statement(account)}")
        elif found.name != account.name:
            yield _changed(part.slot, f"{account.shown}: now it is {found.shown}{_statement(account)}")
    there = [account for account in part.accounts if account.id in now]
    for some in _pieces(there):
        yield from _compare_postings(tx, part.slot, some)
        yield from _compare_marks(tx, part.slot, some)


def _compare_postings(tx: Transaction, slot: int, accounts: Sequence[AnchoredAccount]) -> Iterator[Finding]:
    ends = [(account.id, account.version) for account in accounts if account.version]
    wanted = select(_T.book_id, _T.version, _T.hash, _T.balance, _T.kind, _T.amount, _T.id)
    rows = tx.execute(wanted.where(_T.slot == slot, tuple_(_T.book_id, _T.version).in_(ends)))
    found = {(row.book_id, row.version): row for row in rows}
    for account in accounts:
        if account.version == 0:
            continue
        row = found.get((account.id, account.version))
        where = f"posting {account.version} of {account.shown}, which left {account.balance}"
        if row is None:
            yield _gone(slot, f"{where}: the book is shorter now{_statement(account)}")
        elif row.hash.hex() != account.head:
            stands = f"there stands a {row.kind} of {row.amount} that leaves {row.balance} (transfer {row.id})"
            yield _changed(slot, f"{where}: it, or one before it; now {stands}{_statement(account)}")


def _compare_marks(tx: Transaction, slot: int, accounts: Sequence[AnchoredAccount]) -> Iterator[Finding]:
    ends = [(account.id, account.marks) for account in accounts if account.marks]
    wanted = select(_M.account_id, _M.number, _M.hash, _M.kind)
    rows = tx.execute(wanted.where(_M.slot == slot, tuple_(_M.account_id, _M.number).in_(ends)))
    found = {(row.account_id, row.number): row for row in rows}
    for account in accounts:
        if account.marks == 0:
            continue
        row = found.get((account.id, account.marks))
        where = f"mark {account.marks} of {account.shown}"
        if row is None:
            yield _gone(slot, f"{where}{_statement(account)}")
        elif row.hash.hex() != account.marks_head:
            yield _changed(slot, f"{where}: it, or one before it; now there stands a {row.kind}{_statement(account)}")


def _compare_rows(tx: Transaction, part: AnchoredSlot) -> Iterator[Finding]:
    for table, rows in part.rows.items():
        missing = {row.id: row for row in rows}
        if not missing:
            continue
        with closing(_rows(tx, part.slot, table)) as stored:
            for row in stored:
                anchored = missing.pop(row["id"], None)
                if anchored is not None and check_of(table, row, anchored.said) != anchored.check:
                    now = _ABOUT[table](row)
                    differs = "" if now == anchored.about else f"; now it is {now}"
                    yield _changed(part.slot, f"{_shown(table, anchored)}{differs}; see {_SEE[table](row)}")
        for anchored in missing.values():
            yield _gone(part.slot, _shown(table, anchored))


def _compare_claims(tx: Transaction, claims: Sequence[AnchoredClaim]) -> list[Finding]:
    keys = [(slot_of_claim(*claim[:3]), *claim[:3]) for claim in claims]
    rows = tx.execute(select(*_CLAIM, _C.user_id).prefix_with(sweep("audit")).where(tuple_(*_CLAIM).in_(keys)))
    owners = {tuple(row[:4]): row.user_id for row in rows}
    findings = []
    for key, claim in zip(keys, claims, strict=True):
        owner = owners.get(key)
        if owner != claim.user_id:
            now = "nobody has claimed it" if owner is None else f"user {owner} has claimed it"
            purchase = f"purchase {claim.reference} of {claim.provider_account} ({claim.environment})"
            detail = f"{purchase} belonged to user {claim.user_id}, and now {now}"
            findings.append(
                Finding("anchored_claim", f"{detail}; see `tillbook facts list --theirs {claim.reference}`")
            )
    return findings


def _gone(slot: int, what: str) -> Finding:
    return Finding("anchored_gone", f"slot {slot}, {what}")


def _changed(slot: int, what: str) -> Finding:
    return Finding("anchored_changed", f"slot {slot}, {what}")


def _shown(table: str, row: AnchoredRow) -> str:
    return f"{_WHAT[table]} {row.id} ({row.about})"


def _statement(account: AnchoredAccount) -> str:
    """The call that shows what is in the book now."""
    if not account.user_id:
        return "; see `tillbook report trial-balance`"
    return f"; see `GET /v1/statement?user={account.user_id}&asset={account.asset}&environment={account.environment}`"


def _pieces(items: Sequence[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while some := list(islice(rest, ANCHOR_PAGE)):
        yield some
