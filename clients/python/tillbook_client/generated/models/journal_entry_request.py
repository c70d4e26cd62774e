from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..models.environment import Environment
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.journal_line_request import JournalLineRequest


T = TypeVar("T", bound="JournalEntryRequest")


@_attrs_define
class JournalEntryRequest:
    """
    Attributes:
        document (str): The reference of the paper or file behind it.
        reason (str): Why, for people.
        currency (str): A currency, by its code in ISO 4217.
        lines (list[JournalLineRequest]): Each has a debit or a credit; debits and credits are alike. An account stands
            in one line.
        environment (Environment | Unset): `live`, or `sandbox` for what a provider's sandbox paid.
        effective_at (datetime.datetime | None | Unset): When it happened; null: when it is booked. Never in the future.
    """

    document: str
    reason: str
    currency: str
    lines: list[JournalLineRequest]
    environment: Environment | Unset = UNSET
    effective_at: datetime.datetime | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        document = self.document

        reason = self.reason

        currency = self.currency

        lines = []
        for lines_item_data in self.lines:
            lines_item = lines_item_data.to_dict()
            lines.append(lines_item)

        environment: str | Unset = UNSET
        if not isinstance(self.environment, Unset):
            environment = self.environment.value

        effective_at: None | str | Unset
        if isinstance(self.effective_at, Unset):
            effective_at = UNSET
        elif isinstance(self.effective_at, datetime.datetime):
            effective_at = self.effective_at.isoformat()
        else:
            effective_at = self.effective_at

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "document": document,
                "reason": reason,
                "currency": currency,
                "lines": lines,
            }
        )
        if environment is not UNSET:
            field_dict["environment"] = environment
        if effective_at is not UNSET:
            field_dict["effective_at"] = effective_at

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.journal_line_request import JournalLineRequest

        d = dict(src_dict)
        document = d.pop("document")

        reason = d.pop("reason")

        currency = d.pop("currency")

        lines = []
        _lines = d.pop("lines")
        for lines_item_data in _lines:
            lines_item = JournalLineRequest.from_dict(lines_item_data)

            lines.append(lines_item)

        _environment = d.pop("environment", UNSET)
        environment: Environment | Unset
        if isinstance(_environment, Unset):
            environment = UNSET
        else:
            environment = Environment(_environment)

        def _parse_effective_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                effective_at_type_0 = datetime.datetime.fromisoformat(data)

                return effective_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        effective_at = _parse_effective_at(d.pop("effective_at", UNSET))

        journal_entry_request = cls(
            document=document,
            reason=reason,
            currency=currency,
            lines=lines,
            environment=environment,
            effective_at=effective_at,
        )

        return journal_entry_request
