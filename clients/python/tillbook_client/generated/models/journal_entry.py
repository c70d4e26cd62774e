from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.environment import Environment
from ..models.journal_entry_status import JournalEntryStatus

if TYPE_CHECKING:
    from ..models.journal_line import JournalLine


T = TypeVar("T", bound="JournalEntry")


@_attrs_define
class JournalEntry:
    """
    Attributes:
        number (str): A number of ours, in decimal.
        status (JournalEntryStatus): `proposed`: it waits for a second person, and nothing is booked.
        document (str): The paper or file behind it.
        reason (str): Why, for people.
        environment (Environment): `live`, or `sandbox` for what a provider's sandbox paid.
        currency (str): A currency, by its code in ISO 4217.
        total_minor (int): In minor units.
        lines (list[JournalLine]): Debits and credits.
        effective_at (datetime.datetime | None): When it happened; null: when it was booked.
        reverses (None | str): The entry that it takes back; null: none.
        proposed_by (str): Who proposed it.
        proposed_at (datetime.datetime): When.
        ended_by (None | str): Who posted or withdrew it.
        ended_at (datetime.datetime | None): When it was posted or withdrawn.
    """

    number: str
    status: JournalEntryStatus
    document: str
    reason: str
    environment: Environment
    currency: str
    total_minor: int
    lines: list[JournalLine]
    effective_at: datetime.datetime | None
    reverses: None | str
    proposed_by: str
    proposed_at: datetime.datetime
    ended_by: None | str
    ended_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        status = self.status.value

        document = self.document

        reason = self.reason

        environment = self.environment.value

        currency = self.currency

        total_minor = self.total_minor

        lines = []
        for lines_item_data in self.lines:
            lines_item = lines_item_data.to_dict()
            lines.append(lines_item)

        effective_at: None | str
        if isinstance(self.effective_at, datetime.datetime):
            effective_at = self.effective_at.isoformat()
        else:
            effective_at = self.effective_at

        reverses: None | str
        reverses = self.reverses

        proposed_by = self.proposed_by

        proposed_at = self.proposed_at.isoformat()

        ended_by: None | str
        ended_by = self.ended_by

        ended_at: None | str
        if isinstance(self.ended_at, datetime.datetime):
            ended_at = self.ended_at.isoformat()
        else:
            ended_at = self.ended_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "number": number,
                "status": status,
                "document": document,
                "reason": reason,
                "environment": environment,
                "currency": currency,
                "total_minor": total_minor,
                "lines": lines,
                "effective_at": effective_at,
                "reverses": reverses,
                "proposed_by": proposed_by,
                "proposed_at": proposed_at,
                "ended_by": ended_by,
                "ended_at": ended_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.journal_line import JournalLine

        d = dict(src_dict)
        number = d.pop("number")

        status = JournalEntryStatus(d.pop("status"))

        document = d.pop("document")

        reason = d.pop("reason")

        environment = Environment(d.pop("environment"))

        currency = d.pop("currency")

        total_minor = d.pop("total_minor")

        lines = []
        _lines = d.pop("lines")
        for lines_item_data in _lines:
            lines_item = JournalLine.from_dict(lines_item_data)

            lines.append(lines_item)

        def _parse_effective_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                effective_at_type_0 = datetime.datetime.fromisoformat(data)

                return effective_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        effective_at = _parse_effective_at(d.pop("effective_at"))

        def _parse_reverses(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reverses = _parse_reverses(d.pop("reverses"))

        proposed_by = d.pop("proposed_by")

        proposed_at = datetime.datetime.fromisoformat(d.pop("proposed_at"))

        def _parse_ended_by(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        ended_by = _parse_ended_by(d.pop("ended_by"))

        def _parse_ended_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                ended_at_type_0 = datetime.datetime.fromisoformat(data)

                return ended_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        ended_at = _parse_ended_at(d.pop("ended_at"))

        journal_entry = cls(
            number=number,
            status=status,
            document=document,
            reason=reason,
            environment=environment,
            currency=currency,
            total_minor=total_minor,
            lines=lines,
            effective_at=effective_at,
            reverses=reverses,
            proposed_by=proposed_by,
            proposed_at=proposed_at,
            ended_by=ended_by,
            ended_at=ended_at,
        )

        journal_entry.additional_properties = d
        return journal_entry

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
