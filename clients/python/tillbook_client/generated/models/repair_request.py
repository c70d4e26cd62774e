from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..models.repair import Repair
from ..types import UNSET, Unset

T = TypeVar("T", bound="RepairRequest")


@_attrs_define
class RepairRequest:
    """
    Attributes:
        reason (str): Why, for people.
        by (None | Repair | Unset): By what; the usual way, if not given.
    """

    reason: str
    by: None | Repair | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        reason = self.reason

        by: None | str | Unset
        if isinstance(self.by, Unset):
            by = UNSET
        elif isinstance(self.by, Repair):
            by = self.by.value
        else:
            by = self.by

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "reason": reason,
            }
        )
        if by is not UNSET:
            field_dict["by"] = by

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        reason = d.pop("reason")

        def _parse_by(data: object) -> None | Repair | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                by_type_0 = Repair(data)

                return by_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Repair | Unset, data)

        by = _parse_by(d.pop("by", UNSET))

        repair_request = cls(
            reason=reason,
            by=by,
        )

        return repair_request
