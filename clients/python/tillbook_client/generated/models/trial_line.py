from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.trial_line_owner import TrialLineOwner

T = TypeVar("T", bound="TrialLine")


@_attrs_define
class TrialLine:
    """
    Attributes:
        account (str): Code of the account.
        owner (TrialLineOwner): `users`: the accounts of that code of all users together.
        debits (str): A whole number of any size, as decimal text.
        credits_ (str): A whole number of any size, as decimal text.
        balance (str): A whole number of any size, as decimal text.
    """

    account: str
    owner: TrialLineOwner
    debits: str
    credits_: str
    balance: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        account = self.account

        owner = self.owner.value

        debits = self.debits

        credits_ = self.credits_

        balance = self.balance

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "account": account,
                "owner": owner,
                "debits": debits,
                "credits": credits_,
                "balance": balance,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        account = d.pop("account")

        owner = TrialLineOwner(d.pop("owner"))

        debits = d.pop("debits")

        credits_ = d.pop("credits")

        balance = d.pop("balance")

        trial_line = cls(
            account=account,
            owner=owner,
            debits=debits,
            credits_=credits_,
            balance=balance,
        )

        trial_line.additional_properties = d
        return trial_line

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
