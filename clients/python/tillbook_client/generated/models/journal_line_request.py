from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="JournalLineRequest")


@_attrs_define
class JournalLineRequest:
    """
    Attributes:
        account (str): An account of the chart that may be used by hand.
        debit_minor (int | Unset): In minor units. Not given: `0`.
        credit_minor (int | Unset): In minor units. Not given: `0`.
    """

    account: str
    debit_minor: int | Unset = UNSET
    credit_minor: int | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        account = self.account

        debit_minor = self.debit_minor

        credit_minor = self.credit_minor

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "account": account,
            }
        )
        if debit_minor is not UNSET:
            field_dict["debit_minor"] = debit_minor
        if credit_minor is not UNSET:
            field_dict["credit_minor"] = credit_minor

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        account = d.pop("account")

        debit_minor = d.pop("debit_minor", UNSET)

        credit_minor = d.pop("credit_minor", UNSET)

        journal_line_request = cls(
            account=account,
            debit_minor=debit_minor,
            credit_minor=credit_minor,
        )

        return journal_line_request
