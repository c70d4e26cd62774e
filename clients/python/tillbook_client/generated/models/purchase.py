from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.purchase_status import PurchaseStatus

T = TypeVar("T", bound="Purchase")


@_attrs_define
class Purchase:
    """
    Attributes:
        transaction (str): The store's id of the purchase.
        status (PurchaseStatus): What it became.
        finish (bool): The client may tell the store that it was delivered.
        product (None | str): What was bought; null: not known here.
        order (None | str): The order that was made of it; null: none.
    """

    transaction: str
    status: PurchaseStatus
    finish: bool
    product: None | str
    order: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        transaction = self.transaction

        status = self.status.value

        finish = self.finish

        product: None | str
        product = self.product

        order: None | str
        order = self.order

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "transaction": transaction,
                "status": status,
                "finish": finish,
                "product": product,
                "order": order,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        transaction = d.pop("transaction")

        status = PurchaseStatus(d.pop("status"))

        finish = d.pop("finish")

        def _parse_product(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        product = _parse_product(d.pop("product"))

        def _parse_order(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        order = _parse_order(d.pop("order"))

        purchase = cls(
            transaction=transaction,
            status=status,
            finish=finish,
            product=product,
            order=order,
        )

        purchase.additional_properties = d
        return purchase

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
