"""Proves that money is credited once: every purchase to one user, under the key that its content says, and claimed.

The ledger's own proof shows that nothing was booked that no fact explains. This proof shows that no two facts explain
one payment at the provider, and that nobody who loses a row of `claims` can hand a purchase to a second user.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from sqlalchemy import Select, select, text, tuple_

from app.domain.deciding import Booking
from app.domain.facts import Kind, fact_of, key_of
from app.domain.matching import Mismatch
from app.models.base import AnyRow, OneOrder
from app.models.catalogue import Claim
from app.models.orders import FactRow, Order, Payment
from app.models.slot_guard import sweep
from app.services.audit import naming
from app.services.audit.orders import Finding, Progress
from app.services.base.reported_fact import LONGEST_FACT_KEY
from app.services.base.transaction import Sessions, Transaction, read
from app.services.facts.claims import slot_of_claim

ONCE_PAGE = 500
KEYS_AT_ONCE = 2000
CREDITING = (Booking.SALE, Booking.SURPLUS, Booking.SUSPENSE)
_f, _p, _o, _c = FactRow.__table__.c, Payment.__table__.c, Order.__table__.c, Claim.__table__.c


def audit_once(sessions: Sessions, progress: Progress | None = None) -> Iterator[Finding]:
    """Findings, page by page in bounded memory."""
    yield from read(sessions, _booked_twice, snapshot=True)
    last, is_last = (-1, -1), False
    while not is_last and (page := read(sessions, partial(_page, after=last), snapshot=True)) is not None:
        last, is_last, findings = page
        yield from findings
        if progress is not None:
            progress(f"facts: up to slot {last[0]}")


def _booked_twice(tx: Transaction) -> list[Finding]:
    """One payment at the provider has one place in the books of the whole service: its fact's key says which."""
    names = (_f.key, _f.provider_account, _f.environment)
    # In an order that is one in all databases: one payment may be booked in two of them.
    in_order = [OneOrder(name) for name in names]
    wanted = (
        select(*names)
        .prefix_with(sweep("audit"))
        .where(_f.kind == Kind.PAID, _f.booking.in_(CREDITING))
        .order_by(*in_order)
    )
    if tx.connection().dialect.name == "postgresql":
        tx.execute(text("SET LOCAL statement_timeout = 0"))
    booked = ((row, len(list(same))) for row, same in groupby(_streamed(tx, wanted)))
    return [
        Finding(
            "booked_twice",
            f"{row.key} of {row.provider_account} ({row.environment}) is booked {times} times, in as many slots"
            + "".join(map(naming.of_fact, _copies(tx, row))),
        )
        for row, times in [one for one in booked if one[1] > 1]
    ]


def _streamed(tx: Transaction, wanted: Select[Any]) -> Iterator[AnyRow]:
    yield from tx.connection().execute(wanted, execution_options={"yield_per": KEYS_AT_ONCE})


def _copies(tx: Transaction, booked: AnyRow) -> Sequence[AnyRow]:
    wanted = select(*_f).prefix_with(sweep("audit")).where(_f.key == booked.key, _f.booking.in_(CREDITING))
    mine = (_f.provider_account == booked.provider_account, _f.environment == booked.environment)
    return tx.execute(wanted.where(*mine).order_by(_f.slot).limit(1)).all()


def _page(tx: Transaction, after: tuple[int, int]) -> tuple[tuple[int, int], bool, list[Finding]] | None:
    """Where the page ends, whether it is short of a whole one, and so the last, and its findings."""
    wanted = (
        select(*_f, _o.user_id)
        .prefix_with(sweep("audit"))
        .select_from(FactRow.__table__)
        .outerjoin(Payment.__table__, (_p.slot == _f.slot) & (_p.id == _f.payment_id))
        .outerjoin(Order.__table__, (_o.slot == _p.slot) & (_o.id == _p.order_id))
        .where(tuple_(_f.slot, _f.id) > after)
        .order_by(_f.slot, _f.id)
        .limit(ONCE_PAGE)
    )
    facts = tx.execute(wanted).all()
    if not facts:
        return None
    findings = [*_keys(facts), *_claims(tx, [fact for fact in facts if _is_store_purchase(fact)])]
    return (facts[-1].slot, facts[-1].id), len(facts) < ONCE_PAGE, findings


def _keys(facts: Sequence[AnyRow]) -> Iterator[Finding]:
    """A fact's key follows from its content; where the key is a hash, only its kind can be compared."""
    for row in facts:
        if row.reason == Mismatch.UNUSABLE:
            continue
        key = key_of(fact_of(row.kind, row.at, row.content, {}))
        if len(key) <= LONGEST_FACT_KEY and row.key != key:
            about = naming.of_fact(row) if row.user_id is None else f"{naming.of_fact(row)}, of user {row.user_id}"
            yield Finding("fact_key", f"fact {row.id} is stored as {row.key}, and its content says {key}{about}")


def _is_store_purchase(fact: AnyRow) -> bool:
    return fact.kind == Kind.PAID and fact.booking == Booking.SALE and fact.content["ours"] is None


def _claims(tx: Transaction, facts: Sequence[AnyRow]) -> Iterator[Finding]:
    """Whoever was credited a store's purchase has claimed it: without the claim another user could be credited too."""
    for fact in facts:
        reference = fact.content["theirs"]
        owner = tx.execute(
            select(_c.user_id).where(
                _c.cslot == slot_of_claim(fact.provider_account, fact.environment, reference),
                _c.provider_account == fact.provider_account,
                _c.environment == fact.environment,
                _c.reference == reference,
            )
        ).scalar_one_or_none()
        if owner != fact.user_id:
            claimed = "nobody has claimed it" if owner is None else f"user {owner} has claimed it"
            yield Finding(
                "claim",
                f"purchase {reference} of {fact.provider_account} was credited to user {fact.user_id}, and {claimed}"
                + naming.of_fact(fact),
            )
