from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="JournalLine")


@_attrs_define
class JournalLine:
    """
    Attributes:
        account (str): Code of the account.
        debit_minor (int): In minor units.
        credit_minor (int): In minor units.
    """

    account: str
    debit_minor: int
    credit_minor: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        account = self.account

        debit_minor = self.debit_minor

        credit_minor = self.credit_minor

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "account": account,
                "debit_minor": debit_minor,
                "credit_minor": credit_minor,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        account = d.pop("account")

        debit_minor = d.pop("debit_minor")

        credit_minor = d.pop("credit_minor")

        journal_line = cls(
            account=account,
            debit_minor=debit_minor,
            credit_minor=credit_minor,
        )

        journal_line.additional_properties = d
        return journal_line

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
