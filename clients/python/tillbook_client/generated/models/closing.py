from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.closing_status import ClosingStatus

T = TypeVar("T", bound="Closing")


@_attrs_define
class Closing:
    """
    Attributes:
        month (str): A month of the zone of the rules.
        status (ClosingStatus): `proposed`: it waits for a second person.
        until (datetime.datetime): When the month after it begins.
        booked_until (datetime.datetime): What is booked from then on counts when it is booked.
        sha256 (str): Of the trial balance that is kept with it.
        despite (str): Why it was closed though something was open.
        proposed_by (str): Who proposed it.
        proposed_at (datetime.datetime): When.
        confirmed_by (None | str): Who confirmed it.
        confirmed_at (datetime.datetime | None): When it was closed.
    """

    month: str
    status: ClosingStatus
    until: datetime.datetime
    booked_until: datetime.datetime
    sha256: str
    despite: str
    proposed_by: str
    proposed_at: datetime.datetime
    confirmed_by: None | str
    confirmed_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        month = self.month

        status = self.status.value

        until = self.until.isoformat()

        booked_until = self.booked_until.isoformat()

        sha256 = self.sha256

        despite = self.despite

        proposed_by = self.proposed_by

        proposed_at = self.proposed_at.isoformat()

        confirmed_by: None | str
        confirmed_by = self.confirmed_by

        confirmed_at: None | str
        if isinstance(self.confirmed_at, datetime.datetime):
            confirmed_at = self.confirmed_at.isoformat()
        else:
            confirmed_at = self.confirmed_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "month": month,
                "status": status,
                "until": until,
                "booked_until": booked_until,
                "sha256": sha256,
                "despite": despite,
                "proposed_by": proposed_by,
                "proposed_at": proposed_at,
                "confirmed_by": confirmed_by,
                "confirmed_at": confirmed_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        month = d.pop("month")

        status = ClosingStatus(d.pop("status"))

        until = datetime.datetime.fromisoformat(d.pop("until"))

        booked_until = datetime.datetime.fromisoformat(d.pop("booked_until"))

        sha256 = d.pop("sha256")

        despite = d.pop("despite")

        proposed_by = d.pop("proposed_by")

        proposed_at = datetime.datetime.fromisoformat(d.pop("proposed_at"))

        def _parse_confirmed_by(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        confirmed_by = _parse_confirmed_by(d.pop("confirmed_by"))

        def _parse_confirmed_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                confirmed_at_type_0 = datetime.datetime.fromisoformat(data)

                return confirmed_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        confirmed_at = _parse_confirmed_at(d.pop("confirmed_at"))

        closing = cls(
            month=month,
            status=status,
            until=until,
            booked_until=booked_until,
            sha256=sha256,
            despite=despite,
            proposed_by=proposed_by,
            proposed_at=proposed_at,
            confirmed_by=confirmed_by,
            confirmed_at=confirmed_at,
        )

        closing.additional_properties = d
        return closing

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
