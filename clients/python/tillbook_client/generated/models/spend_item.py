from __future__ import annotations

from collections.abc import Mapping
from typing import (
    Any,
    Literal,
    Self,
    TypeVar,
    cast,
)

from attrs import define as _attrs_define

from ..models.environment import Environment
from ..types import UNSET, Unset

T = TypeVar("T", bound="SpendItem")


@_attrs_define
class SpendItem:
    """
    Attributes:
        user (str): The user, by the name that the app has for them.
        asset (str): What is counted: `coin`, or another virtual currency of the app.
        amount (int): How much of the asset.
        type_ (Literal['spend']): Take coins.
        key (str): The idempotency key of this item.
        environment (Environment | Unset): `live`, or `sandbox` for what a provider's sandbox paid.
        reference (str | Unset): What the caller wants to find the posting by.
        note (str | Unset): For people.
    """

    user: str
    asset: str
    amount: int
    type_: Literal["spend"]
    key: str
    environment: Environment | Unset = UNSET
    reference: str | Unset = UNSET
    note: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        user = self.user

        asset = self.asset

        amount = self.amount

        type_ = self.type_

        key = self.key

        environment: str | Unset = UNSET
        if not isinstance(self.environment, Unset):
            environment = self.environment.value

        reference = self.reference

        note = self.note

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "user": user,
                "asset": asset,
                "amount": amount,
                "type": type_,
                "key": key,
            }
        )
        if environment is not UNSET:
            field_dict["environment"] = environment
        if reference is not UNSET:
            field_dict["reference"] = reference
        if note is not UNSET:
            field_dict["note"] = note

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        user = d.pop("user")

        asset = d.pop("asset")

        amount = d.pop("amount")

        type_ = cast(Literal["spend"], d.pop("type"))
        if type_ != "spend":
            raise ValueError(f"type must match const 'spend', got '{type_}'")

        key = d.pop("key")

        _environment = d.pop("environment", UNSET)
        environment: Environment | Unset
        if isinstance(_environment, Unset):
            environment = UNSET
        else:
            environment = Environment(_environment)

        reference = d.pop("reference", UNSET)

        note = d.pop("note", UNSET)

        spend_item = cls(
            user=user,
            asset=asset,
            amount=amount,
            type_=type_,
            key=key,
            environment=environment,
            reference=reference,
            note=note,
        )

        return spend_item
