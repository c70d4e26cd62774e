from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="CancelAgreementRequest")


@_attrs_define
class CancelAgreementRequest:
    """
    Attributes:
        at_once (bool | Unset): True: ended at the provider now. False: with the period that is paid. In either case no
            charge is made any more, and what is paid stays active. Not given: `false`.
    """

    at_once: bool | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        at_once = self.at_once

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if at_once is not UNSET:
            field_dict["at_once"] = at_once

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        at_once = d.pop("at_once", UNSET)

        cancel_agreement_request = cls(
            at_once=at_once,
        )

        return cancel_agreement_request
