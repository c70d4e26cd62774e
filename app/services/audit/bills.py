"""That every bill which is kept is the one that came."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from app.services.audit.orders import Finding
from app.services.base.transaction import Sessions, read
from app.services.bills.kept_bills import BillDamaged, bill_bytes, list_bills


def audit_bills(sessions: Sessions) -> Iterator[Finding]:
    """One bill at a time: the largest one bounds the memory."""
    for bill in read(sessions, list_bills):
        try:
            read(sessions, partial(bill_bytes, bill=bill))
        except BillDamaged as error:
            yield Finding("bill", f"the bytes that are kept are not those that came: {error}")
