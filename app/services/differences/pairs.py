"""The third step of matching: amount and time, with a person's consent. Two differences, one of each side, end
together; comparing again keeps them ended for as long as both are found as they were."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from app.domain.difference_pairs import OTHER_SIDE, why_no_pair
from app.domain.differences import DifferenceType
from app.domain.settling import POOL
from app.models.base import AnyRow
from app.models.differences import DIFFERENCES
from app.services.base.context import Core, Tx
from app.services.base.errors import NotFound
from app.services.base.sanitize import storable_text
from app.services.differences.difference_rows import (
    LONGEST_DIFFERENCE_NOTE,
    MATCHED,
    OPEN,
    RESOLVED,
    UNSETTLED,
    NotDone,
    change_difference,
    difference_of,
    find_difference,
    open_again,
)

MOST_PROPOSED = 5
"""So many others are proposed as the other side of a difference."""
_d = DIFFERENCES.c


def proposed_others(tx: Tx, row: AnyRow) -> Sequence[AnyRow]:
    """Those that a person may match with this one, the nearest in time first: `match_differences` would do it."""
    other_side = OTHER_SIDE.get(DifferenceType(row.type))
    if other_side is None or row.state not in UNSETTLED:
        return ()
    near = (_d.at >= row.at - POOL, _d.at <= row.at + POOL, _d.state.in_(UNSETTLED), _d.type == other_side.value)
    sums = (
        (_d.ours_minor == row.theirs_minor, _d.ours_currency == row.theirs_currency)
        if row.ours_minor is None
        else (_d.theirs_minor == row.ours_minor, _d.theirs_currency == row.ours_currency)
    )
    of_account = (_d.provider_account == row.provider_account, _d.side == row.side)
    found = tx.execute(select(*_d).where(*of_account, *near, *sums)).all()
    mine = difference_of(row)
    pairs = [other for other in found if not why_no_pair(mine, difference_of(other))]
    return sorted(pairs, key=lambda other: (abs(other.at - row.at), other.id))[:MOST_PROPOSED]


def match_differences(core: Core, number: int, other: int, reason: str, *, actor: str) -> tuple[AnyRow, AnyRow]:
    """A person says that the two are one payment or refund. A repeat changes nothing. Raises NotFound, NotDone."""
    text = storable_text(reason, LONGEST_DIFFERENCE_NOTE)
    if not text.strip():
        raise NotDone("a match needs a reason")
    return core.house.transact(lambda tx: _match(tx, number, other, text, actor))


def reopen_difference(core: Core, number: int, reason: str, *, actor: str) -> AnyRow:
    """A person takes back that nothing is left to be done, or that two are one: then both are open again. Raises
    NotFound, NotDone."""
    text = storable_text(reason, LONGEST_DIFFERENCE_NOTE)
    return core.house.transact(lambda tx: _reopen(tx, number, text, actor))


def _match(tx: Tx, number: int, other: int, reason: str, actor: str) -> tuple[AnyRow, AnyRow]:
    if number == other:
        raise NotDone("a difference is no other side of itself")
    locked = {each: find_difference(tx, each, lock=True) for each in sorted((number, other))}
    one, two = locked[number], locked[other]
    if one.state == two.state == MATCHED and (one.matched_with, two.matched_with) == (two.id, one.id):
        return one, two
    for row in (one, two):
        if row.state not in UNSETTLED:
            raise NotDone(f"{row.id} is {row.state}")
    if one.provider_account != two.provider_account or one.side != two.side:
        raise NotDone("they are of two provider accounts, or of two kinds of bills")
    if why := why_no_pair(difference_of(one), difference_of(two)):
        raise NotDone(why)
    ended = {"state": MATCHED, "note": reason, "closed_at": tx.now}
    for row, partner in ((one, two), (two, one)):
        change_difference(tx, row, actor, "matched", f"with {partner.id}: {reason}", matched_with=partner.id, **ended)
    return find_difference(tx, number), find_difference(tx, other)


def _reopen(tx: Tx, number: int, reason: str, actor: str) -> AnyRow:
    known = find_difference(tx, number)
    numbers = sorted({number, known.matched_with or number})
    rows = [find_difference(tx, each, lock=True) for each in numbers]
    row = next(row for row in rows if row.id == number)
    if row.state == OPEN:
        return row
    if row.state not in (RESOLVED, MATCHED):
        raise NotDone(f"it is {row.state}")
    if row.state == MATCHED and row.matched_with not in numbers:  # matched with another one meanwhile
        raise NotFound
    for each in rows:
        if each.id == number or each.state == MATCHED:
            open_again(tx, each, actor, "reopened", reason)
    return find_difference(tx, number)
