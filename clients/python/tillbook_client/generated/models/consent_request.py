from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="ConsentRequest")


@_attrs_define
class ConsentRequest:
    """
    Attributes:
        consented (bool): The user agrees that a store is told how much was used.
        user (None | str | Unset): Backend keys only: whose.
    """

    consented: bool
    user: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        consented = self.consented

        user: None | str | Unset
        if isinstance(self.user, Unset):
            user = UNSET
        else:
            user = self.user

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "consented": consented,
            }
        )
        if user is not UNSET:
            field_dict["user"] = user

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        consented = d.pop("consented")

        def _parse_user(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        user = _parse_user(d.pop("user", UNSET))

        consent_request = cls(
            consented=consented,
            user=user,
        )

        return consent_request
