from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..models.environment import Environment
from ..types import UNSET, Unset

T = TypeVar("T", bound="FreezeRequest")


@_attrs_define
class FreezeRequest:
    """
    Attributes:
        user (str): The user, by the name that the app has for them.
        reason (str): Why, for people.
        asset (None | str | Unset): Every wallet of the environment if not given.
        environment (Environment | Unset): `live`, or `sandbox` for what a provider's sandbox paid.
    """

    user: str
    reason: str
    asset: None | str | Unset = UNSET
    environment: Environment | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        user = self.user

        reason = self.reason

        asset: None | str | Unset
        if isinstance(self.asset, Unset):
            asset = UNSET
        else:
            asset = self.asset

        environment: str | Unset = UNSET
        if not isinstance(self.environment, Unset):
            environment = self.environment.value

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "user": user,
                "reason": reason,
            }
        )
        if asset is not UNSET:
            field_dict["asset"] = asset
        if environment is not UNSET:
            field_dict["environment"] = environment

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        user = d.pop("user")

        reason = d.pop("reason")

        def _parse_asset(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        asset = _parse_asset(d.pop("asset", UNSET))

        _environment = d.pop("environment", UNSET)
        environment: Environment | Unset
        if isinstance(_environment, Unset):
            environment = UNSET
        else:
            environment = Environment(_environment)

        freeze_request = cls(
            user=user,
            reason=reason,
            asset=asset,
            environment=environment,
        )

        return freeze_request
