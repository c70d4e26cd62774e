"""Writes differences down: found again it is the same row, and one that is not found any more closes by itself. Each
change of a row leaves a line of its history in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

import structlog
from sqlalchemy import and_, or_, select, update

from app import metrics
from app.domain.bill_lines import BillSide
from app.domain.chart import HOUSE_SLOT
from app.domain.differences import GROWING, WITHOUT_MONEY, Difference, DifferenceType, difference_number
from app.domain.report_tables import Amount
from app.models.base import AnyRow
from app.models.differences import DIFFERENCE_CHANGES, DIFFERENCES
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError, NotFound
from app.services.base.sanitize import storable_text
from app.services.base.upsert import insert_if_new, insert_numbered_if_new

OPEN, IN_WORK, RESOLVED, MATCHED = "open", "in_work", "resolved", "matched"
WRITTEN_OFF, GONE = "written_off", "gone"
UNSETTLED = (OPEN, IN_WORK)
DIFFERENCES_AT_ONCE = 200
"""So many differences are written in one transaction."""
LONGEST_DIFFERENCE_NOTE = 255
"""Characters of a note, or of a reason, that are kept."""
LONGEST_WORKER_NAME = 160
"""Characters of a person's name that are kept beside a difference."""
_d, _c = DIFFERENCES.c, DIFFERENCE_CHANGES.c
_TOLD = ("ours_minor", "ours_currency", "theirs_minor", "theirs_currency")
_log = structlog.get_logger(__name__)


class NotDone(DomainError):
    """What a person wanted done about a difference is not possible as it stands. The text says why."""

    code = "difference_refused"
    remembered = False


@dataclass(frozen=True, slots=True)
class Where:
    """What was compared: everything of an account with a time of that span."""

    provider_account: str
    since: datetime
    until: datetime
    zone: str


@dataclass(slots=True)
class Kept:
    """What became of the differences of one comparison."""

    opened: int = 0
    reopened: int = 0
    stayed: int = 0
    gone: int = 0


def keep_found(core: Core, where: Where, found: Iterable[tuple[BillSide, Difference]], actor: str) -> Kept:
    """Write down what a comparison found, and close what it did not find any more: of its time, and of payouts, which
    every comparison looks for. Safe to repeat, and to be stopped
    between any two transactions: the next comparison finds the rest."""
    kept, seen = Kept(), set[int]()
    each = iter(found)
    while part := list(islice(each, DIFFERENCES_AT_ONCE)):
        numbered = {difference_number(where.provider_account, side, one): (side, one) for side, one in part}
        for what, times in core.home.transact(partial(_keep, where=where, found=numbered, actor=actor)).items():
            setattr(kept, what, getattr(kept, what) + times)
        seen |= numbered.keys()
    if kept.opened or kept.reopened:
        _log.warning(
            "differences",
            provider_account=where.provider_account,
            since=where.since.isoformat(),
            opened=kept.opened,
            reopened=kept.reopened,
        )
    in_span = or_(and_(_d.at >= where.since, _d.at < where.until), _d.type == DifferenceType.PAYOUT_MISSING.value)
    wanted = select(_d.id).where(
        _d.provider_account == where.provider_account, in_span, _d.state.in_((*UNSETTLED, MATCHED, WRITTEN_OFF))
    )
    lost = [number for number in core.home.read(lambda tx: tx.scalars(wanted).all()) if number not in seen]
    for start in range(0, len(lost), DIFFERENCES_AT_ONCE):
        numbers = lost[start : start + DIFFERENCES_AT_ONCE]
        kept.gone += core.home.transact(partial(_close, account=where.provider_account, numbers=numbers, actor=actor))
    return kept


def find_difference(tx: Tx, number: int, *, lock: bool = False) -> AnyRow:
    """Raises NotFound."""
    wanted = select(*_d).where(_d.id == number)
    row = tx.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        raise NotFound
    return row


def changes_of(tx: Tx, row: AnyRow) -> Sequence[AnyRow]:
    """The history of a difference, oldest first."""
    of_it = (_c.provider_account == row.provider_account, _c.difference_id == row.id)
    return tx.execute(select(*_c).where(*of_it).order_by(_c.id)).all()


def take_difference(core: Core, number: int, *, actor: str, owner: str | None = None) -> AnyRow:
    """Somebody works on it: the person who says so, or the one who is named. Raises NotFound, NotDone."""
    name = storable_text(owner or actor, LONGEST_WORKER_NAME)
    return core.home.transact(
        lambda tx: change_difference(
            tx, unsettled_difference(tx, number), actor, "taken", name, state=IN_WORK, owner=name
        )
    )


def note_difference(core: Core, number: int, note: str, *, actor: str) -> AnyRow:
    """Write a note beside it; earlier notes stay in its history. Raises NotFound."""
    text = storable_text(note, LONGEST_DIFFERENCE_NOTE)
    return core.home.transact(
        lambda tx: change_difference(tx, find_difference(tx, number, lock=True), actor, "noted", text, note=text)
    )


def resolve_difference(core: Core, number: int, reason: str, *, actor: str) -> AnyRow:
    """A person says that nothing is left to be done. Found again, it is opened again. Raises NotFound,
    NotDone."""
    text = storable_text(reason, LONGEST_DIFFERENCE_NOTE)
    return core.home.transact(
        lambda tx: change_difference(
            tx, unsettled_difference(tx, number), actor, "resolved", text, state=RESOLVED, note=text, closed_at=tx.now
        )
    )


def change_difference(tx: Tx, row: AnyRow, actor: str, what: str, detail: str, **values: Any) -> AnyRow:
    """Change a row that the caller has locked, with the line of its history."""
    of_it = and_(_d.provider_account == row.provider_account, _d.id == row.id)
    tx.execute(update(DIFFERENCES).where(of_it).values(changed_at=tx.now, **values))
    write_change(tx, row, actor, what, detail)
    return find_difference(tx, row.id)


def open_again(tx: Tx, row: AnyRow, actor: str, what: str, detail: str, **values: Any) -> AnyRow:
    """It waits for somebody once more. The caller has locked the row."""
    ended = {"state": OPEN, "closed_at": None, "matched_with": None}
    return change_difference(tx, row, actor, what, detail, **ended, **values)


def difference_of(row: AnyRow) -> Difference:
    """The disagreement that a row keeps."""
    sums = (row.ours_minor, row.ours_currency, row.theirs_minor, row.theirs_currency)
    names = (row.ours, row.theirs, row.refund, row.payment_id, row.refund_id, row.line_key)
    return Difference(DifferenceType(row.type), row.subject, row.at, *sums, *names)


def write_change(tx: Tx, row: AnyRow, actor: str, what: str, detail: str = "") -> None:
    """A line of its history."""
    change = {
        "provider_account": row.provider_account,
        "difference_id": row.id,
        "at": tx.now,
        "actor": storable_text(actor, LONGEST_WORKER_NAME),
        "what": what,
        "detail": storable_text(detail, LONGEST_DIFFERENCE_NOTE),
    }
    insert_numbered_if_new(tx, DIFFERENCE_CHANGES, tx.core.numbers, HOUSE_SLOT, change)


def unsettled_difference(tx: Tx, number: int) -> AnyRow:
    """The row, locked. Raises NotFound, NotDone."""
    row = find_difference(tx, number, lock=True)
    if row.state not in UNSETTLED:
        raise NotDone(f"it is {row.state}")
    return row


def _keep(tx: Tx, *, where: Where, found: dict[int, tuple[BillSide, Difference]], actor: str) -> dict[str, int]:
    counts = {"opened": 0, "reopened": 0, "stayed": 0}
    of_account = (_d.provider_account == where.provider_account, _d.id.in_(sorted(found)))
    known = {row.id: row for row in tx.execute(select(*_d).where(*of_account).order_by(_d.id).with_for_update())}
    for number, (side, one) in sorted(found.items()):
        told = {**asdict(one), "at": one.at}
        row = known.get(number)
        if row is None:
            if insert_if_new(tx, DIFFERENCES, _new_row(tx, where, number, side, told)):
                write_change(tx, find_difference(tx, number), actor, "opened")
                tx.once_committed(metrics.DIFFERENCES_FOUND.labels(where.provider_account, one.type).inc)
                counts["opened"] += 1
            continue
        changed = one.type not in GROWING and any(getattr(row, name) != told[name] for name in _TOLD)
        if _opens(row, changed):
            values = {name: told[name] for name in (*_TOLD, "at", "payment_id", "refund_id", "line_key")}
            open_again(tx, row, actor, "reopened", row.state, **values)
            _open_partner(tx, row, actor)
            tx.once_committed(metrics.DIFFERENCES_FOUND.labels(where.provider_account, one.type).inc)
            counts["reopened"] += 1
            continue
        if changed:
            change_difference(tx, row, actor, "other_amounts", _amounts(row), **{name: told[name] for name in _TOLD})
        counts["stayed"] += 1
    return counts


def _opens(row: AnyRow, changed: bool) -> bool:
    """Whether it is open again, since it is found again. What two persons agreed on, or a person decided about what no
    repair can mend, holds for as long as the bill says the same."""
    if row.state in (WRITTEN_OFF, MATCHED) or (row.state == RESOLVED and row.type in WITHOUT_MONEY):
        return changed
    return bool(row.state in (RESOLVED, GONE))


def _open_partner(tx: Tx, row: AnyRow, actor: str) -> None:
    """Of two that a person matched, one is not as it was: then the other has no other side any more."""
    if row.state != MATCHED:
        return
    of_it = and_(_d.provider_account == row.provider_account, _d.id == row.matched_with, _d.matched_with == row.id)
    partner = tx.execute(select(*_d).where(of_it, _d.state == MATCHED).with_for_update()).one_or_none()
    if partner is not None:
        open_again(tx, partner, actor, "match_ended", f"{row.id} is not as it was")


def _new_row(tx: Tx, where: Where, number: int, side: BillSide, told: dict[str, Any]) -> dict[str, Any]:
    names = {"owner": "", "note": "", "written_off_by": ""}
    moments = {"opened_at": tx.now, "changed_at": tx.now, "closed_at": None, "matched_with": None}
    place = {"provider_account": where.provider_account, "id": number, "side": side.value, "zone": where.zone}
    return {**told, "type": told["type"].value, **place, "state": OPEN, **names, **moments}


def _close(tx: Tx, *, account: str, numbers: Sequence[int], actor: str) -> int:
    of_account = (_d.provider_account == account, _d.id.in_(numbers))
    rows = tx.execute(select(*_d).where(*of_account).order_by(_d.id).with_for_update()).all()
    closed = 0
    for row in rows:
        if row.state in UNSETTLED:
            change_difference(tx, row, actor, "gone", row.state, state=GONE, closed_at=tx.now)
            closed += 1
        elif row.state == MATCHED:
            change_difference(tx, row, actor, "gone", row.state, state=GONE, matched_with=None)
            closed += 1
        elif row.state == WRITTEN_OFF:
            # The books bear a write-off for what is explained now: a person takes it back by another entry.
            about = {"provider_account": account, "difference": row.id}
            tx.once_committed(_log.error, "write_off_without_cause", **about)
            open_again(tx, row, actor, "write_off_without_cause", "")
    for row in rows:
        _open_partner(tx, row, actor)
    return closed


def _amounts(row: AnyRow) -> str:
    ours, theirs = sum_written(row.ours_minor, row.ours_currency), sum_written(row.theirs_minor, row.theirs_currency)
    return f"before: ours {ours}, theirs {theirs}"


def sum_written(minor: int | None, currency: str | None) -> str:
    """Money of one side of a difference, for people; a line where there is none."""
    return "-" if minor is None else Amount(minor, currency or "").written()
