from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="EndOfFactRequest")


@_attrs_define
class EndOfFactRequest:
    """
    Attributes:
        reason (str): Why, for people.
        price_minor (int | None | Unset): The gross price of the purchase: needed where the store told none.
        currency (None | str | Unset): Of `price_minor`.
    """

    reason: str
    price_minor: int | None | Unset = UNSET
    currency: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        reason = self.reason

        price_minor: int | None | Unset
        if isinstance(self.price_minor, Unset):
            price_minor = UNSET
        else:
            price_minor = self.price_minor

        currency: None | str | Unset
        if isinstance(self.currency, Unset):
            currency = UNSET
        else:
            currency = self.currency

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "reason": reason,
            }
        )
        if price_minor is not UNSET:
            field_dict["price_minor"] = price_minor
        if currency is not UNSET:
            field_dict["currency"] = currency

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        reason = d.pop("reason")

        def _parse_price_minor(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        price_minor = _parse_price_minor(d.pop("price_minor", UNSET))

        def _parse_currency(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        currency = _parse_currency(d.pop("currency", UNSET))

        end_of_fact_request = cls(
            reason=reason,
            price_minor=price_minor,
            currency=currency,
        )

        return end_of_fact_request
