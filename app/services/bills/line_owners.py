"""To whom the money of each line belongs: one rule for bookings and reports.

Our number decides, in the line or in the line of its payment. What seems to be another system's is ours all the same if
our books have its money by a fact: of a payment that a person assigned, or money in suspense.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Select, Subquery, select

from app.domain.bill_figures import TOLD_BY_FACTS, LineOwner, line_owner
from app.domain.bill_lines import LineKind
from app.domain.deciding import Booking
from app.domain.settling import Whose
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.models.orders import FACTS, Payment
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction
from app.services.bills.counted_lines import payment_number
from app.services.bills.done_refunds import decided_lines

LINES_AT_ONCE = 1000
"""So many lines are read at once; those of other systems among them are looked for by one statement."""
_F, _P = FACTS.c, Payment.__table__.c


def lines_with_owners(
    tx: Transaction, account: str, whose: Whose, told: Subquery, *also: str
) -> Iterator[tuple[AnyRow, LineOwner]]:
    """Each decided line of `told` (`counted_lines`), with its owner, and with the columns named in `also`. Undecided
    ones say what was asked for, and move no money, but for refunds that our books have as done."""
    line = told.c
    minors = (line.amount_minor, line.fee_minor, line.discount_minor)
    wanted: Select[tuple[object, ...]] = select(
        line.kind, line.at, line.currency, *minors, line.theirs, line.refund, payment_number(told).label("number")
    ).add_columns(line.undecided, *(line[name] for name in also))
    suspended: set[str] | None = None
    rows_at_once = wanted.execution_options(yield_per=LINES_AT_ONCE)
    for part in tx.execute(rows_at_once).partitions():
        rows = decided_lines(tx, account, part)
        owners = [line_owner(LineKind(row.kind), row.number, row.refund, whose) for row in rows]
        strange = [row.theirs for row, owner in zip(rows, owners, strict=True) if _may_be_known(row, owner)]
        known = set[str]()
        if strange:
            suspended = _suspended(tx, account) if suspended is None else suspended
            known = suspended | _of_payments(tx, account, strange)
        for row, owner in zip(rows, owners, strict=True):
            yield row, LineOwner.HOUSE if _may_be_known(row, owner) and row.theirs in known else owner


def _may_be_known(row: AnyRow, owner: LineOwner) -> bool:
    return owner is LineOwner.ALIEN and row.kind in TOLD_BY_FACTS and row.theirs is not None


def _of_payments(tx: Transaction, account: str, numbers: Sequence[str]) -> set[str]:
    wanted = select(_P.theirs).prefix_with(sweep("named_by_provider"))
    return set(tx.scalars(wanted.where(_P.theirs.in_(numbers), _P.provider_account == account)))


def _suspended(tx: Transaction, account: str) -> set[str]:
    """The provider's numbers of verified money that waits here for a payment."""
    wanted = (
        select(_F.content)
        .prefix_with(sweep("report"))
        .where(
            _F.outcome.in_((Outcome.PARKED, Outcome.SURPLUS)),
            _F.provider_account == account,
            _F.booking != Booking.NOTHING,
        )
    )
    return {str(content["theirs"]) for content in tx.scalars(wanted)}
