from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

from ..models.fulfilment_request_status import FulfilmentRequestStatus
from ..types import UNSET, Unset

T = TypeVar("T", bound="FulfilmentRequest")


@_attrs_define
class FulfilmentRequest:
    """
    Attributes:
        revision (int): The wish that this answers.
        status (FulfilmentRequestStatus): `delivered` or `refused` answers a delivery, `taken_back` a taking back.
        reason (str | Unset): Why, for people.
        reference (str | Unset): The backend's own.
    """

    revision: int
    status: FulfilmentRequestStatus
    reason: str | Unset = UNSET
    reference: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        revision = self.revision

        status = self.status.value

        reason = self.reason

        reference = self.reference

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "revision": revision,
                "status": status,
            }
        )
        if reason is not UNSET:
            field_dict["reason"] = reason
        if reference is not UNSET:
            field_dict["reference"] = reference

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        revision = d.pop("revision")

        status = FulfilmentRequestStatus(d.pop("status"))

        reason = d.pop("reason", UNSET)

        reference = d.pop("reference", UNSET)

        fulfilment_request = cls(
            revision=revision,
            status=status,
            reason=reason,
            reference=reference,
        )

        return fulfilment_request
