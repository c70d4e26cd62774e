from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.transfer import Transfer


T = TypeVar("T", bound="Transfers")


@_attrs_define
class Transfers:
    """
    Attributes:
        transfers (list[Transfer]): In the order that was asked for.
        next_ (None | str): The `cursor` of the next page; null at the end.
        missing_databases (list[str]): Where several databases share the users: those of which not everything is in this
            answer, because they do not answer, or because users are being moved from them to another one. Empty: it is
            whole.
    """

    transfers: list[Transfer]
    next_: None | str
    missing_databases: list[str]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        transfers = []
        for transfers_item_data in self.transfers:
            transfers_item = transfers_item_data.to_dict()
            transfers.append(transfers_item)

        next_: None | str
        next_ = self.next_

        missing_databases = self.missing_databases

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "transfers": transfers,
                "next": next_,
                "missing_databases": missing_databases,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.transfer import Transfer

        d = dict(src_dict)
        transfers = []
        _transfers = d.pop("transfers")
        for transfers_item_data in _transfers:
            transfers_item = Transfer.from_dict(transfers_item_data)

            transfers.append(transfers_item)

        def _parse_next_(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        next_ = _parse_next_(d.pop("next"))

        missing_databases = cast(list[str], d.pop("missing_databases"))

        transfers = cls(
            transfers=transfers,
            next_=next_,
            missing_databases=missing_databases,
        )

        transfers.additional_properties = d
        return transfers

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
