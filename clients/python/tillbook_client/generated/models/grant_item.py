from __future__ import annotations

import datetime
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

T = TypeVar("T", bound="GrantItem")


@_attrs_define
class GrantItem:
    """
    Attributes:
        user (str): The user, by the name that the app has for them.
        asset (str): What is counted: `coin`, or another virtual currency of the app.
        amount (int): How much of the asset.
        reason (str): Why, for people.
        type_ (Literal['grant']): Give bonus coins.
        key (str): The idempotency key of this item.
        environment (Environment | Unset): `live`, or `sandbox` for what a provider's sandbox paid.
        reference (str | Unset): What the caller wants to find the posting by.
        expires_at (datetime.datetime | None | Unset): When what is left expires; not given: never.
        product (None | str | Unset): The product that the coins are as if bought with.
        new_user (bool | None | Unset): Whether the user may be one that nobody has seen. If not given: only where no
            Tillbook-Actor is named, since people mistype. No part of what the Idempotency-Key stands for.
    """

    user: str
    asset: str
    amount: int
    reason: str
    type_: Literal["grant"]
    key: str
    environment: Environment | Unset = UNSET
    reference: str | Unset = UNSET
    expires_at: datetime.datetime | None | Unset = UNSET
    product: None | str | Unset = UNSET
    new_user: bool | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        user = self.user

        asset = self.asset

        amount = self.amount

        reason = self.reason

        type_ = self.type_

        key = self.key

        environment: str | Unset = UNSET
        if not isinstance(self.environment, Unset):
            environment = self.environment.value

        reference = self.reference

        expires_at: None | str | Unset
        if isinstance(self.expires_at, Unset):
            expires_at = UNSET
        elif isinstance(self.expires_at, datetime.datetime):
            expires_at = self.expires_at.isoformat()
        else:
            expires_at = self.expires_at

        product: None | str | Unset
        if isinstance(self.product, Unset):
            product = UNSET
        else:
            product = self.product

        new_user: bool | None | Unset
        if isinstance(self.new_user, Unset):
            new_user = UNSET
        else:
            new_user = self.new_user

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "user": user,
                "asset": asset,
                "amount": amount,
                "reason": reason,
                "type": type_,
                "key": key,
            }
        )
        if environment is not UNSET:
            field_dict["environment"] = environment
        if reference is not UNSET:
            field_dict["reference"] = reference
        if expires_at is not UNSET:
            field_dict["expires_at"] = expires_at
        if product is not UNSET:
            field_dict["product"] = product
        if new_user is not UNSET:
            field_dict["new_user"] = new_user

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        user = d.pop("user")

        asset = d.pop("asset")

        amount = d.pop("amount")

        reason = d.pop("reason")

        type_ = cast(Literal["grant"], d.pop("type"))
        if type_ != "grant":
            raise ValueError(f"type must match const 'grant', got '{type_}'")

        key = d.pop("key")

        _environment = d.pop("environment", UNSET)
        environment: Environment | Unset
        if isinstance(_environment, Unset):
            environment = UNSET
        else:
            environment = Environment(_environment)

        reference = d.pop("reference", UNSET)

        def _parse_expires_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                expires_at_type_0 = datetime.datetime.fromisoformat(data)

                return expires_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        expires_at = _parse_expires_at(d.pop("expires_at", UNSET))

        def _parse_product(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        product = _parse_product(d.pop("product", UNSET))

        def _parse_new_user(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        new_user = _parse_new_user(d.pop("new_user", UNSET))

        grant_item = cls(
            user=user,
            asset=asset,
            amount=amount,
            reason=reason,
            type_=type_,
            key=key,
            environment=environment,
            reference=reference,
            expires_at=expires_at,
            product=product,
            new_user=new_user,
        )

        return grant_item
