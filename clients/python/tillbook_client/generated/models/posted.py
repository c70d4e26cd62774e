from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="Posted")


@_attrs_define
class Posted:
    """
    Attributes:
        id (UUID): The transfer.
        amount (int): How much moved.
        balance (int): What the wallet has after it.
        version (int): The wallet's version after it.
        at (datetime.datetime): When.
        repeated (bool): This key had been used for it before.
    """

    id: UUID
    amount: int
    balance: int
    version: int
    at: datetime.datetime
    repeated: bool
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        amount = self.amount

        balance = self.balance

        version = self.version

        at = self.at.isoformat()

        repeated = self.repeated

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "amount": amount,
                "balance": balance,
                "version": version,
                "at": at,
                "repeated": repeated,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        amount = d.pop("amount")

        balance = d.pop("balance")

        version = d.pop("version")

        at = datetime.datetime.fromisoformat(d.pop("at"))

        repeated = d.pop("repeated")

        posted = cls(
            id=id,
            amount=amount,
            balance=balance,
            version=version,
            at=at,
            repeated=repeated,
        )

        posted.additional_properties = d
        return posted

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
