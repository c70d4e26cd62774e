from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.cause_by import CauseBy

T = TypeVar("T", bound="Cause")


@_attrs_define
class Cause:
    """
    Attributes:
        by (CauseBy): A provider's word, a caller or person, or a rule of the installation.
        name (None | str): The caller or person.
        fact (None | str): Number of the fact.
        road (None | str): How the fact came: notification, receipt, query, …
        provider_account (None | str): Whose fact it is.
    """

    by: CauseBy
    name: None | str
    fact: None | str
    road: None | str
    provider_account: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        by = self.by.value

        name: None | str
        name = self.name

        fact: None | str
        fact = self.fact

        road: None | str
        road = self.road

        provider_account: None | str
        provider_account = self.provider_account

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "by": by,
                "name": name,
                "fact": fact,
                "road": road,
                "provider_account": provider_account,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        by = CauseBy(d.pop("by"))

        def _parse_name(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        name = _parse_name(d.pop("name"))

        def _parse_fact(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        fact = _parse_fact(d.pop("fact"))

        def _parse_road(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        road = _parse_road(d.pop("road"))

        def _parse_provider_account(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        provider_account = _parse_provider_account(d.pop("provider_account"))

        cause = cls(
            by=by,
            name=name,
            fact=fact,
            road=road,
            provider_account=provider_account,
        )

        cause.additional_properties = d
        return cause

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
