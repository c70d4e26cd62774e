"""What callers send and get about store purchases."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.web.fields import Number, ShownSku, ShownUser, UserId
from app.web.schemas import In, Out


class AccountTokenOut(Out):
    token: uuid.UUID = Field(
        description="For the store, with every purchase.", examples=["2f1c7f0e-5b34-4c1d-9a68-0d7e5a3b9c42"]
    )


class ConsentIn(In):
    user: UserId | None = Field(default=None, description="Backend keys only: whose.")
    consented: Annotated[bool, Field(strict=True)] = Field(
        description="The user agrees that a store is told how much was used.", examples=[True]
    )


class ConsentOut(Out):
    user: ShownUser
    consented: bool = Field(description="What is recorded now.", examples=[True])


class ReceiptIn(BaseModel):
    """The proof as the provider's plugin wants it (`docs/api.md`): a JSON object."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"transaction_id": "2000000000000001"}]})


class PurchaseOut(Out):
    transaction: str = Field(description="The store's id of the purchase.", examples=["2000000000000001"])
    status: Literal["credited", "refunded", "entitled", "ended", "pending", "held", "not_yours", "unknown"] = Field(
        description="What it became.", examples=["credited"]
    )
    finish: bool = Field(description="The client may tell the store that it was delivered.", examples=[True])
    product: ShownSku | None = Field(description="What was bought; null: not known here.")
    order: Number | None = Field(description="The order that was made of it; null: none.")


class ReceiptOut(Out):
    receipt: Number
    status: Literal["pending", "settled", "given_up"] = Field(
        description="`pending`: the store is asked again.", examples=["settled"]
    )
    purchases: list[PurchaseOut] = Field(description="What the proof is about.")
