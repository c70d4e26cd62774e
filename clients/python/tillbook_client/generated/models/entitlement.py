from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.entitlement_status import EntitlementStatus
from ..models.environment import Environment

T = TypeVar("T", bound="Entitlement")


@_attrs_define
class Entitlement:
    """
    Attributes:
        name (str): What is active.
        environment (Environment): `live`, or `sandbox` for what a provider's sandbox paid.
        until (datetime.datetime): Until when, as far as it is known now.
        agreement (str): A number of ours, in decimal.
        product (str): The product, by its `sku`.
        provider_account (str): The provider account, by its name.
        status (EntitlementStatus): How the agreement stands that makes it active.
    """

    name: str
    environment: Environment
    until: datetime.datetime
    agreement: str
    product: str
    provider_account: str
    status: EntitlementStatus
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        environment = self.environment.value

        until = self.until.isoformat()

        agreement = self.agreement

        product = self.product

        provider_account = self.provider_account

        status = self.status.value

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "name": name,
                "environment": environment,
                "until": until,
                "agreement": agreement,
                "product": product,
                "provider_account": provider_account,
                "status": status,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        name = d.pop("name")

        environment = Environment(d.pop("environment"))

        until = datetime.datetime.fromisoformat(d.pop("until"))

        agreement = d.pop("agreement")

        product = d.pop("product")

        provider_account = d.pop("provider_account")

        status = EntitlementStatus(d.pop("status"))

        entitlement = cls(
            name=name,
            environment=environment,
            until=until,
            agreement=agreement,
            product=product,
            provider_account=provider_account,
            status=status,
        )

        entitlement.additional_properties = d
        return entitlement

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
