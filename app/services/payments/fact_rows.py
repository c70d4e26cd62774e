"""The statements on stored facts that the money path runs. Built once; every one names the slot."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, exists, select, update

from app.domain.deciding import Decision
from app.domain.facts import Fact, fact_of
from app.domain.raw_documents import words_in
from app.domain.seals import SEALED
from app.models.base import AnyRow
from app.models.history import Telling
from app.models.orders import FactRow
from app.services.base.context import Tx
from app.services.base.statements import Statement, make_row_type

_f, _t = FactRow.__table__.c, Telling.__table__.c
_ALSO = ("slot", "seal", "outcome", "reason", "booking", "payment_id")
_FACT_COLUMNS = tuple(_f[name] for name in (*SEALED["facts"], *_ALSO))
# Whether this road told the fact before: only a road that is new to it writes a row (`facts.record.note_road`).
TOLD_BY_ROAD = (
    exists()
    .where(_t.slot == bindparam("slot"), _t.fact_id == _f.id, _t.road == bindparam("road"))
    .label("told_by_road")
)
FACT_COLUMNS = (*_FACT_COLUMNS, TOLD_BY_ROAD)
_WANTED_FACT = select(*FACT_COLUMNS).where(
    _f.slot == bindparam("slot"),
    _f.provider_account == bindparam("provider_account"),
    _f.environment == bindparam("environment"),
    _f.key == bindparam("key"),
)
_StoredFactRow: Any = make_row_type("StoredFactRow", FACT_COLUMNS)
_FACT = Statement(lambda _: _WANTED_FACT)
_LOCK_FACT = Statement(lambda _: _WANTED_FACT.with_for_update())
_LOCK_FACT_NUMBERED = (
    select(*_FACT_COLUMNS).where(_f.slot == bindparam("slot"), _f.id == bindparam("id")).with_for_update()
)
_SETTLE_FACT = Statement(
    lambda _: (
        update(FactRow)
        .where(_f.slot == bindparam("at_slot"), _f.id == bindparam("at_id"))
        .values(
            outcome=bindparam("outcome"),
            reason=bindparam("reason"),
            booking=bindparam("booking"),
            from_suspense=bindparam("from_suspense"),
            payment_id=bindparam("payment_id"),
        )
    )
)
_COMPLETE_FACT = (
    update(FactRow)
    .where(_f.slot == bindparam("at_slot"), _f.id == bindparam("at_id"))
    .values(content=bindparam("full"), seal=bindparam("sealed"))
)


def fact_in(row: AnyRow) -> Fact:
    """The fact that a row keeps, as it was told."""
    return fact_of(row.kind, row.at, row.content, words_in(row.raw))


def fact_under(tx: Tx, slot: int, provider_account: str, environment: str, key: str, road: str = "") -> Any:
    """The fact under this key as it is stored, and whether that road told it again before."""
    keys = {"slot": slot, "provider_account": provider_account, "environment": environment, "key": key, "road": road}
    return named_fact(_FACT.row(tx, keys))


def named_fact(row: Any) -> Any:
    return None if row is None else _StoredFactRow._make(row)


def lock_fact(tx: Tx, slot: int, provider_account: str, environment: str, key: str, road: str) -> Any:
    """Before any order is locked, like the insert of a new fact."""
    keys = {"slot": slot, "provider_account": provider_account, "environment": environment, "key": key, "road": road}
    return named_fact(_LOCK_FACT.row(tx, keys))


def lock_fact_numbered(tx: Tx, slot: int, fact_id: int) -> AnyRow:
    """The stored fact with this number, locked. Only after the order of its payment is locked."""
    return tx.execute(_LOCK_FACT_NUMBERED, {"slot": slot, "id": fact_id}).one()


def complete_fact(tx: Tx, row: Any, content: dict[str, Any]) -> None:
    """Add to a stored fact what a later telling said and the first one did not. They do not contradict each other."""
    if content == row.content:
        return
    seals, before, seal = tx.core.rules.ledger.seals, row._asdict(), row.seal
    if seal is not None and seals.fits_row("facts", before, bytes(seal)):  # else the wrong seal stays, to be found
        seal = seals.of_row("facts", {**before, "content": content})
    tx.execute(_COMPLETE_FACT, {"at_slot": row.slot, "at_id": row.id, "full": content, "sealed": seal})


def settle_fact(
    tx: Tx,
    slot: int,
    fact_id: int,
    decision: Decision,
    payment_id: int | None,
    *,
    from_suspense: bool = False,
) -> None:
    """Write down what became of a recorded fact."""
    values = {
        "at_slot": slot,
        "at_id": fact_id,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "booking": decision.booking,
        "from_suspense": from_suspense,
        "payment_id": payment_id,
    }
    tx.later(_SETTLE_FACT, values)
