from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.fulfilment import Fulfilment


T = TypeVar("T", bound="Fulfilments")


@_attrs_define
class Fulfilments:
    """
    Attributes:
        fulfilments (list[Fulfilment]): That which waits longest first.
        next_ (None | str): The `cursor` of the next page; null at the end.
        missing_databases (list[str]): Where several databases share the users: those of which not everything is in this
            answer, because they do not answer, or because users are being moved from them to another one. Empty: it is
            whole.
    """

    fulfilments: list[Fulfilment]
    next_: None | str
    missing_databases: list[str]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        fulfilments = []
        for fulfilments_item_data in self.fulfilments:
            fulfilments_item = fulfilments_item_data.to_dict()
            fulfilments.append(fulfilments_item)

        next_: None | str
        next_ = self.next_

        missing_databases = self.missing_databases

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "fulfilments": fulfilments,
                "next": next_,
                "missing_databases": missing_databases,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.fulfilment import Fulfilment

        d = dict(src_dict)
        fulfilments = []
        _fulfilments = d.pop("fulfilments")
        for fulfilments_item_data in _fulfilments:
            fulfilments_item = Fulfilment.from_dict(fulfilments_item_data)

            fulfilments.append(fulfilments_item)

        def _parse_next_(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        next_ = _parse_next_(d.pop("next"))

        missing_databases = cast(list[str], d.pop("missing_databases"))

        fulfilments = cls(
            fulfilments=fulfilments,
            next_=next_,
            missing_databases=missing_databases,
        )

        fulfilments.additional_properties = d
        return fulfilments

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
