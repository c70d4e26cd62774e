from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.way import Way


T = TypeVar("T", bound="Provider")


@_attrs_define
class Provider:
    """
    Attributes:
        name (str): The provider account, by its name.
        live (bool): False: a sandbox.
        currencies (list[str]): What can be paid in.
        capabilities (list[str]): What the provider can do.
        ways (list[Way]): Its ways of paying.
        agreement_ways (list[Way]): Its ways of signing an agreement to be charged.
    """

    name: str
    live: bool
    currencies: list[str]
    capabilities: list[str]
    ways: list[Way]
    agreement_ways: list[Way]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        live = self.live

        currencies = self.currencies

        capabilities = self.capabilities

        ways = []
        for ways_item_data in self.ways:
            ways_item = ways_item_data.to_dict()
            ways.append(ways_item)

        agreement_ways = []
        for agreement_ways_item_data in self.agreement_ways:
            agreement_ways_item = agreement_ways_item_data.to_dict()
            agreement_ways.append(agreement_ways_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "name": name,
                "live": live,
                "currencies": currencies,
                "capabilities": capabilities,
                "ways": ways,
                "agreement_ways": agreement_ways,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.way import Way

        d = dict(src_dict)
        name = d.pop("name")

        live = d.pop("live")

        currencies = cast(list[str], d.pop("currencies"))

        capabilities = cast(list[str], d.pop("capabilities"))

        ways = []
        _ways = d.pop("ways")
        for ways_item_data in _ways:
            ways_item = Way.from_dict(ways_item_data)

            ways.append(ways_item)

        agreement_ways = []
        _agreement_ways = d.pop("agreement_ways")
        for agreement_ways_item_data in _agreement_ways:
            agreement_ways_item = Way.from_dict(agreement_ways_item_data)

            agreement_ways.append(agreement_ways_item)

        provider = cls(
            name=name,
            live=live,
            currencies=currencies,
            capabilities=capabilities,
            ways=ways,
            agreement_ways=agreement_ways,
        )

        provider.additional_properties = d
        return provider

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
