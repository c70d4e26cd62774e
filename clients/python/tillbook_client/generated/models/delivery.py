from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.delivery_status import DeliveryStatus
from ..models.event_type import EventType

T = TypeVar("T", bound="Delivery")


@_attrs_define
class Delivery:
    """
    Attributes:
        event (UUID): The event, which is also the `webhook-id` of every attempt.
        type_ (EventType):
        user (None | str): Whose event; null for money of nobody known.
        status (DeliveryStatus): `waiting`: not tried yet; `failed`: tried, and to be tried again; `done`: taken;
            `given_up`.
        attempts (int): Begun since it was last asked for.
        next_at (datetime.datetime | None): When it may be sent, after all earlier ones of its user.
        code (int | None): HTTP status of the last answer; null: there was none.
        latency_ms (int | None): Milliseconds until the last answer.
        problem (str): What went wrong the last time; empty: nothing.
        answer (str): The first 1 KiB of the last answer's body.
        tried_at (datetime.datetime | None): When the last attempt ended.
    """

    event: UUID
    type_: EventType
    user: None | str
    status: DeliveryStatus
    attempts: int
    next_at: datetime.datetime | None
    code: int | None
    latency_ms: int | None
    problem: str
    answer: str
    tried_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        event = str(self.event)

        type_ = self.type_.value

        user: None | str
        user = self.user

        status = self.status.value

        attempts = self.attempts

        next_at: None | str
        if isinstance(self.next_at, datetime.datetime):
            next_at = self.next_at.isoformat()
        else:
            next_at = self.next_at

        code: int | None
        code = self.code

        latency_ms: int | None
        latency_ms = self.latency_ms

        problem = self.problem

        answer = self.answer

        tried_at: None | str
        if isinstance(self.tried_at, datetime.datetime):
            tried_at = self.tried_at.isoformat()
        else:
            tried_at = self.tried_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "event": event,
                "type": type_,
                "user": user,
                "status": status,
                "attempts": attempts,
                "next_at": next_at,
                "code": code,
                "latency_ms": latency_ms,
                "problem": problem,
                "answer": answer,
                "tried_at": tried_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        event = UUID(d.pop("event"))

        type_ = EventType(d.pop("type"))

        def _parse_user(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        user = _parse_user(d.pop("user"))

        status = DeliveryStatus(d.pop("status"))

        attempts = d.pop("attempts")

        def _parse_next_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_at_type_0 = datetime.datetime.fromisoformat(data)

                return next_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        next_at = _parse_next_at(d.pop("next_at"))

        def _parse_code(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        code = _parse_code(d.pop("code"))

        def _parse_latency_ms(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        latency_ms = _parse_latency_ms(d.pop("latency_ms"))

        problem = d.pop("problem")

        answer = d.pop("answer")

        def _parse_tried_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                tried_at_type_0 = datetime.datetime.fromisoformat(data)

                return tried_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        tried_at = _parse_tried_at(d.pop("tried_at"))

        delivery = cls(
            event=event,
            type_=type_,
            user=user,
            status=status,
            attempts=attempts,
            next_at=next_at,
            code=code,
            latency_ms=latency_ms,
            problem=problem,
            answer=answer,
            tried_at=tried_at,
        )

        delivery.additional_properties = d
        return delivery

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
