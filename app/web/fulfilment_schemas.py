"""What the app's backend sends and gets about orders that it fulfils."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.domain.fulfilment import FulfilmentStatus
from app.web.fields import At, Environment, Number, PositiveInt, Reference, ShownAsset, ShownSku, ShownUser, Text
from app.web.schemas import In, MissingDatabases, NextCursor, Out


class FulfilmentIn(In):
    revision: Annotated[PositiveInt, Field(description="The wish that this answers.", examples=[1])]
    status: Literal["delivered", "refused", "taken_back"] = Field(
        description="`delivered` or `refused` answers a delivery, `taken_back` a taking back.", examples=["delivered"]
    )
    reason: Annotated[Text, StringConstraints(max_length=255)] = Field(
        default="", description="Why, for people.", examples=["the user's wallet is full"]
    )
    reference: Reference = Field(default="", description="The backend's own.")


class UnitOut(Out):
    asset: ShownAsset
    bonus: bool = Field(description="Whether it is a bonus, which nobody paid for.", examples=[False])
    granted: int = Field(description="What the order gave.", examples=[60])
    due: int = Field(description="What the user is to have of it now, all in all.", examples=[60])
    expires_at: datetime | None = Field(
        description="When it expires; null: it does not.", examples=["2027-01-01T08:31:00+00:00"]
    )


class FulfilmentOut(Out):
    order: Number = Field(description="The order, which is fulfilled once.")
    user: ShownUser
    environment: Environment
    product: ShownSku
    quantity: int = Field(description="How many of the product.", examples=[1])
    payment: Number = Field(description="The payment that bought the order.")
    status: FulfilmentStatus = Field(description="The backend's last word.", examples=["waiting"])
    revision: int = Field(description="How many wishes there were: the number of the last one.", examples=[1])
    asks: Literal["delivery", "take_back"] | None = Field(
        description="What the last wish asks for; null: it is answered.", examples=["delivery"]
    )
    units: list[UnitOut] = Field(description="What the user is to have.")
    told: int = Field(description="How often the last wish was told.", examples=[1])
    asked_at: At = Field(description="When the last wish was made.")
    answered_at: At | None = Field(description="When an answer came last; null: none did.")
    reason: str = Field(description="Of the last answer.", examples=[""])
    reference: str = Field(description="The backend's own, of the last answer.", examples=["grant-7"])
    actor: str = Field(description="Who gave the last answer.", examples=["backend:game"])
    ended_by: str | None = Field(description="The person who ended the asking; null: nobody did.", examples=[None])


class FulfilmentsOut(Out):
    fulfilments: list[FulfilmentOut] = Field(description="That which waits longest first.")
    next: NextCursor
    missing_databases: MissingDatabases
