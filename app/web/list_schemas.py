"""What callers send and get about lots, holds and transfers that they read."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.domain.debts import REPAID, REPAYMENT
from app.domain.gifts import GIFT_KINDS
from app.domain.ledger import EXPIRY, REVERSAL
from app.domain.refunding import COIN_KINDS, MONEY_KINDS
from app.domain.spending import CAPTURE, DEBIT, GRANT, SPEND
from app.services.ledger.wallet_lists import HoldState, LotsShown
from app.services.payments import bookings
from app.web.schemas import Asset, ListQuery, Moment, NextCursor, Number, Out, TimedListQuery, UserQuery

MOST_TIME = timedelta(days=1)
"""The transfers of all users are listed for so long a time at once."""
_BY_CALLERS = (GRANT, SPEND, DEBIT, CAPTURE, REVERSAL, EXPIRY, REPAYMENT, REPAID)
TRANSFER_KINDS = tuple(sorted({*bookings.KINDS, *MONEY_KINDS, *COIN_KINDS, *GIFT_KINDS, *_BY_CALLERS}))
"""Every kind of transfer that there is."""
Environment = Literal["live", "sandbox"]


def _is_kind(text: str) -> str:
    if text not in TRANSFER_KINDS:
        raise ValueError(f"one of {', '.join(TRANSFER_KINDS)}")
    return text


TransferKind = Annotated[str, AfterValidator(_is_kind), Field(json_schema_extra={"enum": list(TRANSFER_KINDS)})]


class LotsQuery(ListQuery):
    asset: Asset = "coin"
    environment: Environment = "live"
    show: LotsShown = Field(default="left", description="`left`: those with coins; `used_up`; or `all`.")
    kind: Literal["paid", "bonus"] | None = None
    expires_before: Moment | None = Field(default=None, description="Only coins that expire before that moment.")


class LotOut(Out):
    lot: int = Field(description="Its name in its wallet: the version of the statement's line that brought it in.")
    kind: Literal["paid", "bonus"]
    granted: int
    left: int
    expires_at: datetime | None
    order: Number | None = Field(description="The user's order that bought it; null for other coins.")
    payment: Number | None
    product: str
    value_minor: int = Field(description="The money that was paid for the whole lot, in minor units of `currency`.")
    currency: str
    transfer: uuid.UUID
    source: str = Field(description="The kind of that transfer: `purchase`, `bonus`, `grant`, …")
    reference: str
    note: str = Field(description="The reason of a grant.")
    created_at: datetime


class LotsOut(Out):
    lots: list[LotOut]
    next: NextCursor


class HoldsQuery(TimedListQuery):
    state: HoldState | None = None
    asset: Asset | None = None
    environment: Environment | None = None


class HoldRecordOut(Out):
    id: uuid.UUID
    user: str
    asset: str
    environment: Environment
    amount: int
    captured: int
    released: int
    rest: int = Field(description="What is still reserved.")
    state: HoldState
    reference: str
    note: str
    actor: str | None = Field(description="Who made it; null for a user's token.")
    created_at: datetime
    expires_at: datetime


class HoldsOut(Out):
    holds: list[HoldRecordOut]
    next: NextCursor


class OneQuery(UserQuery):
    """A backend's key reads every hold and transfer, with `user` only those of that user."""


class TransfersQuery(TimedListQuery):
    asset: Asset | None = Field(default=None, description="With `user`: `coin` if not given.")
    environment: Environment | None = Field(default=None, description="With `user`: `live` if not given.")
    account: Literal["wallet", "debt"] | None = Field(
        default=None, description="Only with `user`: the wallet, if not given, or what the user owes."
    )
    kind: TransferKind | None = None
    order: Literal["oldest_first", "newest_first"] = "oldest_first"


class TransferOut(Out):
    id: uuid.UUID
    kind: str
    user: str | None = Field(description="Whose account it changed; null where it moved the house's own money.")
    asset: str
    environment: Environment
    amount: int
    debit: str = Field(description="Code of the account that it came from.")
    credit: str = Field(description="Code of the account that it went to.")
    version: int = Field(description="The version of the user's account after it: its line in the statement.")
    balance: int = Field(description="The balance of the user's account after it.")
    reference: str
    note: str
    actor: str | None = Field(description="Who asked for it; empty for the service itself, null for a user's token.")
    cause: uuid.UUID | None = Field(description="The hold that it captured, or the transfer that it goes back to.")
    at: datetime


class LotPartOut(Out):
    lot: int
    amount: int


class TransferDetailsOut(TransferOut):
    lots: list[LotPartOut] = Field(description="The lots that it made, used, or gave back to.")


class TransfersOut(Out):
    transfers: list[TransferOut]
    next: NextCursor
