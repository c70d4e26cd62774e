from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.plan_unit import PlanUnit

if TYPE_CHECKING:
    from ..models.plan_first_prices import PlanFirstPrices


T = TypeVar("T", bound="Plan")


@_attrs_define
class Plan:
    """
    Attributes:
        unit (PlanUnit): What a period is counted in.
        count (int): How many of them it lasts.
        first_prices (PlanFirstPrices): What the first costs, where less.
        grace_days (int): Days that it stays active while it is charged.
    """

    unit: PlanUnit
    count: int
    first_prices: PlanFirstPrices
    grace_days: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        unit = self.unit.value

        count = self.count

        first_prices = self.first_prices.to_dict()

        grace_days = self.grace_days

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "unit": unit,
                "count": count,
                "first_prices": first_prices,
                "grace_days": grace_days,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.plan_first_prices import PlanFirstPrices

        d = dict(src_dict)
        unit = PlanUnit(d.pop("unit"))

        count = d.pop("count")

        first_prices = PlanFirstPrices.from_dict(d.pop("first_prices"))

        grace_days = d.pop("grace_days")

        plan = cls(
            unit=unit,
            count=count,
            first_prices=first_prices,
            grace_days=grace_days,
        )

        plan.additional_properties = d
        return plan

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
