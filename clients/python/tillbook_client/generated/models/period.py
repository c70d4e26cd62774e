from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.period_status import PeriodStatus

T = TypeVar("T", bound="Period")


@_attrs_define
class Period:
    """
    Attributes:
        number (int): 0, 1, 2 …
        starts_at (datetime.datetime): When.
        ends_at (datetime.datetime): When.
        status (PeriodStatus): `unpaid`: all attempts are over. `refunded`: an earlier system sold it, and all of its
            money went back.
        order (None | str): The order of its charge; null: not charged yet, or free.
        refusal (str): Why the last charge was refused.
        next_try_at (datetime.datetime | None): When the charge is tried again after a refusal.
    """

    number: int
    starts_at: datetime.datetime
    ends_at: datetime.datetime
    status: PeriodStatus
    order: None | str
    refusal: str
    next_try_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        starts_at = self.starts_at.isoformat()

        ends_at = self.ends_at.isoformat()

        status = self.status.value

        order: None | str
        order = self.order

        refusal = self.refusal

        next_try_at: None | str
        if isinstance(self.next_try_at, datetime.datetime):
            next_try_at = self.next_try_at.isoformat()
        else:
            next_try_at = self.next_try_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "number": number,
                "starts_at": starts_at,
                "ends_at": ends_at,
                "status": status,
                "order": order,
                "refusal": refusal,
                "next_try_at": next_try_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        number = d.pop("number")

        starts_at = datetime.datetime.fromisoformat(d.pop("starts_at"))

        ends_at = datetime.datetime.fromisoformat(d.pop("ends_at"))

        status = PeriodStatus(d.pop("status"))

        def _parse_order(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        order = _parse_order(d.pop("order"))

        refusal = d.pop("refusal")

        def _parse_next_try_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_try_at_type_0 = datetime.datetime.fromisoformat(data)

                return next_try_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        next_try_at = _parse_next_try_at(d.pop("next_try_at"))

        period = cls(
            number=number,
            starts_at=starts_at,
            ends_at=ends_at,
            status=status,
            order=order,
            refusal=refusal,
            next_try_at=next_try_at,
        )

        period.additional_properties = d
        return period

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
