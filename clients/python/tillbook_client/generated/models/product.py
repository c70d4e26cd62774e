from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.product_fulfilment import ProductFulfilment

if TYPE_CHECKING:
    from ..models.grant import Grant
    from ..models.plan import Plan
    from ..models.product_prices import ProductPrices
    from ..models.product_store_ids import ProductStoreIds


T = TypeVar("T", bound="Product")


@_attrs_define
class Product:
    """
    Attributes:
        sku (str): The product, by its `sku`.
        title (str): For people.
        prices (ProductPrices): Minor units by currency.
        grants (list[Grant]): What one piece gives.
        fulfilment (ProductFulfilment): `wallet`: the coins are in Tillbook. `external`: the app's backend delivers
            them.
        store_ids (ProductStoreIds): The stores' ids of the product, by provider account.
        plan (None | Plan): That it is paid for period after period; null: it is not.
        entitlements (list[str]): What is active while a period is paid.
    """

    sku: str
    title: str
    prices: ProductPrices
    grants: list[Grant]
    fulfilment: ProductFulfilment
    store_ids: ProductStoreIds
    plan: None | Plan
    entitlements: list[str]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.plan import Plan

        sku = self.sku

        title = self.title

        prices = self.prices.to_dict()

        grants = []
        for grants_item_data in self.grants:
            grants_item = grants_item_data.to_dict()
            grants.append(grants_item)

        fulfilment = self.fulfilment.value

        store_ids = self.store_ids.to_dict()

        plan: dict[str, Any] | None
        if isinstance(self.plan, Plan):
            plan = self.plan.to_dict()
        else:
            plan = self.plan

        entitlements = self.entitlements

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "sku": sku,
                "title": title,
                "prices": prices,
                "grants": grants,
                "fulfilment": fulfilment,
                "store_ids": store_ids,
                "plan": plan,
                "entitlements": entitlements,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.grant import Grant
        from ..models.plan import Plan
        from ..models.product_prices import ProductPrices
        from ..models.product_store_ids import ProductStoreIds

        d = dict(src_dict)
        sku = d.pop("sku")

        title = d.pop("title")

        prices = ProductPrices.from_dict(d.pop("prices"))

        grants = []
        _grants = d.pop("grants")
        for grants_item_data in _grants:
            grants_item = Grant.from_dict(grants_item_data)

            grants.append(grants_item)

        fulfilment = ProductFulfilment(d.pop("fulfilment"))

        store_ids = ProductStoreIds.from_dict(d.pop("store_ids"))

        def _parse_plan(data: object) -> None | Plan:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                plan_type_0 = Plan.from_dict(data)

                return plan_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Plan, data)

        plan = _parse_plan(d.pop("plan"))

        entitlements = cast(list[str], d.pop("entitlements"))

        product = cls(
            sku=sku,
            title=title,
            prices=prices,
            grants=grants,
            fulfilment=fulfilment,
            store_ids=store_ids,
            plan=plan,
            entitlements=entitlements,
        )

        product.additional_properties = d
        return product

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
