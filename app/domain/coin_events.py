"""Which event a transfer is: every movement of a user's coins, and of what a user owes, is told as one."""

from __future__ import annotations

from typing import Any

from app.domain import representations
from app.domain.debts import REPAYMENT
from app.domain.event_types import EventType
from app.domain.gifts import GIFT_RECALLED
from app.domain.ledger import EXPIRY, OWED, REVERSAL, AccountName, Posted, Transfer
from app.domain.refunding import CLAWBACK, RETURNED

_OUT = {
    EXPIRY: EventType.COINS_EXPIRED,
    CLAWBACK: EventType.COINS_CLAWED_BACK,
    REVERSAL: EventType.COINS_CLAWED_BACK,
    REPAYMENT: EventType.COINS_CLAWED_BACK,
    GIFT_RECALLED: EventType.COINS_CLAWED_BACK,
}
_IN = {RETURNED: EventType.COINS_RETURNED, REVERSAL: EventType.COINS_RETURNED}


def event_of(transfer: Transfer) -> EventType | None:
    """The event that this transfer is for the user whose account it changes; None for the house's own."""
    book: AccountName = transfer.book
    if not book.user_id:
        return None
    is_credit = transfer.credit == book
    if book.code == OWED:
        return EventType.DEBT_OPENED if is_credit else EventType.DEBT_REPAID
    if is_credit:
        return _IN.get(transfer.kind, EventType.COINS_CREDITED)
    return _OUT.get(transfer.kind, EventType.COINS_SPENT)


def coins_data(transfer: Transfer, posted: Posted) -> dict[str, Any]:
    """What such an event shows: whose account, and the new line of its statement."""
    return {"wallet": representations.wallet_data(transfer.book), "line": representations.line_data(transfer, posted)}
