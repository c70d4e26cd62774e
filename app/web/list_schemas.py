"""What callers send and get about lots, holds and transfers that they read."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from typing_extensions import TypeAliasType

from app.domain.accounting_time import EFFECTIVE_KINDS
from app.domain.debts import REPAID, REPAYMENT
from app.domain.gifts import GIFT_KINDS
from app.domain.ledger import EXPIRY, REVERSAL
from app.domain.opening import OPENING
from app.domain.refunding import COIN_KINDS, MONEY_KINDS
from app.domain.spending import CAPTURE, DEBIT, GRANT, SPEND
from app.services.ledger.wallet_lists import HoldState, LotsShown
from app.services.payments import bookings
from app.web.fields import Asset, At, Environment, MomentField, Number, ShownAsset, ShownUser, TransferId
from app.web.schemas import ListQuery, MissingDatabases, NextCursor, Out, TimedListQuery, UserQuery

MOST_TIME = timedelta(days=1)
"""The transfers of all users are listed for so long a time at once."""
_BY_CALLERS = (GRANT, SPEND, DEBIT, CAPTURE, REVERSAL, EXPIRY, REPAYMENT, REPAID)
_OF_USERS = {*bookings.KINDS, *MONEY_KINDS, *COIN_KINDS, *GIFT_KINDS, *_BY_CALLERS, OPENING}
TRANSFER_KINDS = tuple(sorted(_OF_USERS | EFFECTIVE_KINDS))
"""Every kind of transfer that there is."""


def _is_kind(text: str) -> str:
    if text not in TRANSFER_KINDS:
        raise ValueError(f"one of {', '.join(TRANSFER_KINDS)}")
    return text


TransferKind = Annotated[
    str,
    AfterValidator(_is_kind),
    Field(description="The kind of transfer.", examples=["spend"], json_schema_extra={"enum": list(TRANSFER_KINDS)}),
]
LotKind = TypeAliasType(
    "LotKind",
    Annotated[Literal["paid", "bonus"], Field(description="Paid for, or given on top.", examples=["paid"])],
)
LotName = Annotated[
    int,
    Field(description="Its name in its wallet: the version of the statement's line that brought it in.", examples=[1]),
]
HoldId = Annotated[uuid.UUID, Field(description="The hold.", examples=["0b9e6a52-3f41-8c07-a2d5-6e1f7b90c830"])]
ShownReference = Annotated[str, Field(description="What the caller gave.", examples=["sword-7"])]
ShownNote = Annotated[str, Field(description="For people.", examples=["a sword"])]


class LotsQuery(ListQuery):
    asset: Asset = "coin"
    environment: Environment = "live"
    show: LotsShown = Field(
        default="left", description="`left`: those with coins; `used_up`; or `all`.", examples=["left"]
    )
    kind: LotKind | None = Field(default=None, description="Only paid or only bonus coins.")
    expires_before: MomentField | None = Field(default=None, description="Only coins that expire before that moment.")


class LotOut(Out):
    lot: LotName
    kind: LotKind
    granted: int = Field(description="What came in.", examples=[60])
    left: int = Field(description="What of it is left.", examples=[35])
    expires_at: At | None = Field(description="When what is left expires; null: never.")
    order: Number | None = Field(description="The user's order that bought it; null for other coins.")
    payment: Number | None = Field(description="The payment that bought it; null for other coins.")
    product: str = Field(description="The product that it came with; empty for none.", examples=["coins-60"])
    value_minor: int = Field(
        description="The money that was paid for the whole lot, in minor units of `currency`.", examples=[600]
    )
    currency: str = Field(description="The currency of the value; empty where there is none.", examples=["CNY"])
    transfer: TransferId
    source: str = Field(description="The kind of that transfer: `purchase`, `bonus`, `grant`, …", examples=["purchase"])
    reference: ShownReference
    note: str = Field(description="The reason of a grant.", examples=[""])
    created_at: At


class LotsOut(Out):
    lots: list[LotOut] = Field(description="Oldest first.")
    next: NextCursor


class HoldsQuery(TimedListQuery):
    state: HoldState | None = Field(default=None, description="Only those that stand so.", examples=["open"])
    asset: Asset | None = Field(default=None, description="Only of this asset.")
    environment: Environment | None = Field(default=None, description="Only of this environment.")


class HoldRecordOut(Out):
    id: HoldId
    user: ShownUser
    asset: ShownAsset
    environment: Environment
    amount: int = Field(description="What it reserved at first.", examples=[25])
    captured: int = Field(description="What of it was spent.", examples=[10])
    released: int = Field(description="What of it was given back.", examples=[0])
    rest: int = Field(description="What is still reserved.", examples=[15])
    state: HoldState = Field(description="How the hold stands.", examples=["open"])
    reference: ShownReference
    note: ShownNote
    actor: str | None = Field(description="Who made it; null for a user's token.", examples=["backend:game"])
    created_at: At
    expires_at: At = Field(description="When it gives back what is left, by itself.")


class HoldsOut(Out):
    holds: list[HoldRecordOut] = Field(description="Newest first.")
    next: NextCursor


class OneQuery(UserQuery):
    """A backend's key reads every hold and transfer, with `user` only those of that user."""


class TransfersQuery(TimedListQuery):
    asset: Asset | None = Field(default=None, description="With `user`: `coin` if not given.")
    environment: Environment | None = Field(default=None, description="With `user`: `live` if not given.")
    account: Literal["wallet", "debt"] | None = Field(
        default=None,
        description="Only with `user`: the wallet, if not given, or what the user owes.",
        examples=["wallet"],
    )
    kind: TransferKind | None = Field(default=None, description="Only this kind.")
    order: Literal["oldest_first", "newest_first"] = Field(
        default="oldest_first", description="Which come first.", examples=["newest_first"]
    )


class TransferOut(Out):
    id: TransferId
    kind: str = Field(description="What kind of transfer: `purchase`, `spend`, …", examples=["spend"])
    user: ShownUser | None = Field(description="Whose account it changed; null where it moved the house's own money.")
    asset: ShownAsset
    environment: Environment
    amount: int = Field(description="How much moved.", examples=[25])
    debit: str = Field(description="Code of the account that it came from.", examples=["wallet"])
    credit: str = Field(description="Code of the account that it went to.", examples=["revenue"])
    version: int = Field(
        description="The version of the user's account after it: its line in the statement.", examples=[2]
    )
    balance: int = Field(description="The balance of the user's account after it.", examples=[35])
    reference: ShownReference
    note: ShownNote
    actor: str | None = Field(
        description="Who asked for it; empty for the service itself, null for a user's token.",
        examples=["backend:game"],
    )
    cause: uuid.UUID | None = Field(
        description="The hold that it captured, or the transfer that it goes back to.",
        examples=["0b9e6a52-3f41-8c07-a2d5-6e1f7b90c830"],
    )
    at: At


class LotPartOut(Out):
    lot: LotName
    amount: int = Field(description="How much of it.", examples=[25])


class TransferDetailsOut(TransferOut):
    lots: list[LotPartOut] = Field(description="The lots that it made, used, or gave back to.")


class TransfersOut(Out):
    transfers: list[TransferOut] = Field(description="In the order that was asked for.")
    next: NextCursor
    missing_databases: MissingDatabases
