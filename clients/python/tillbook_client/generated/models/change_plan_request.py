from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="ChangePlanRequest")


@_attrs_define
class ChangePlanRequest:
    """
    Attributes:
        product (str): The product, by its `sku`.
    """

    product: str

    def to_dict(self) -> dict[str, Any]:
        product = self.product

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "product": product,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        product = d.pop("product")

        change_plan_request = cls(
            product=product,
        )

        return change_plan_request
