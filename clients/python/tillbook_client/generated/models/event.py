from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.event_type import EventType

if TYPE_CHECKING:
    from ..models.cause import Cause
    from ..models.event_data import EventData


T = TypeVar("T", bound="Event")


@_attrs_define
class Event:
    """
    Attributes:
        id (UUID): The same in the feed and in every delivery: apply an event once.
        type_ (EventType):
        timestamp (datetime.datetime): When it happened.
        version (int): Greater in every later event of the user: an older state never replaces a newer.
        user (None | str): Null for money that belongs to nobody known.
        data (EventData): The thing as the API shows it, as it was after the change.
        cause (Cause):
    """

    id: UUID
    type_: EventType
    timestamp: datetime.datetime
    version: int
    user: None | str
    data: EventData
    cause: Cause
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        type_ = self.type_.value

        timestamp = self.timestamp.isoformat()

        version = self.version

        user: None | str
        user = self.user

        data = self.data.to_dict()

        cause = self.cause.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "type": type_,
                "timestamp": timestamp,
                "version": version,
                "user": user,
                "data": data,
                "cause": cause,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.cause import Cause
        from ..models.event_data import EventData

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        type_ = EventType(d.pop("type"))

        timestamp = datetime.datetime.fromisoformat(d.pop("timestamp"))

        version = d.pop("version")

        def _parse_user(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        user = _parse_user(d.pop("user"))

        data = EventData.from_dict(d.pop("data"))

        cause = Cause.from_dict(d.pop("cause"))

        event = cls(
            id=id,
            type_=type_,
            timestamp=timestamp,
            version=version,
            user=user,
            data=data,
            cause=cause,
        )

        event.additional_properties = d
        return event

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
