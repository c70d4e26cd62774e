from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.named_kind import NamedKind

T = TypeVar("T", bound="Named")


@_attrs_define
class Named:
    """
    Attributes:
        kind (NamedKind): What it is; a `purchase` is a store's.
        number (str): Its number; of a user the id.
        user (None | str): Whose it is.
        status (None | str): As the thing itself shows it; of a transfer its kind.
        order (None | str): The order that it belongs to.
        provider_account (None | str): The provider account.
        environment (None | str): `live` or `sandbox`.
        theirs (None | str): The provider's own number of it.
        at (datetime.datetime | None): When it was made, or first told of.
        link (None | str): Where the thing is read; null for what only the command line shows.
        timeline (None | str): Where everything that happened to it or to its order is read.
    """

    kind: NamedKind
    number: str
    user: None | str
    status: None | str
    order: None | str
    provider_account: None | str
    environment: None | str
    theirs: None | str
    at: datetime.datetime | None
    link: None | str
    timeline: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        kind = self.kind.value

        number = self.number

        user: None | str
        user = self.user

        status: None | str
        status = self.status

        order: None | str
        order = self.order

        provider_account: None | str
        provider_account = self.provider_account

        environment: None | str
        environment = self.environment

        theirs: None | str
        theirs = self.theirs

        at: None | str
        if isinstance(self.at, datetime.datetime):
            at = self.at.isoformat()
        else:
            at = self.at

        link: None | str
        link = self.link

        timeline: None | str
        timeline = self.timeline

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "kind": kind,
                "number": number,
                "user": user,
                "status": status,
                "order": order,
                "provider_account": provider_account,
                "environment": environment,
                "theirs": theirs,
                "at": at,
                "link": link,
                "timeline": timeline,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        kind = NamedKind(d.pop("kind"))

        number = d.pop("number")

        def _parse_user(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        user = _parse_user(d.pop("user"))

        def _parse_status(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        status = _parse_status(d.pop("status"))

        def _parse_order(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        order = _parse_order(d.pop("order"))

        def _parse_provider_account(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        provider_account = _parse_provider_account(d.pop("provider_account"))

        def _parse_environment(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        environment = _parse_environment(d.pop("environment"))

        def _parse_theirs(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        theirs = _parse_theirs(d.pop("theirs"))

        def _parse_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                at_type_0 = datetime.datetime.fromisoformat(data)

                return at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        at = _parse_at(d.pop("at"))

        def _parse_link(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        link = _parse_link(d.pop("link"))

        def _parse_timeline(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        timeline = _parse_timeline(d.pop("timeline"))

        named = cls(
            kind=kind,
            number=number,
            user=user,
            status=status,
            order=order,
            provider_account=provider_account,
            environment=environment,
            theirs=theirs,
            at=at,
            link=link,
            timeline=timeline,
        )

        named.additional_properties = d
        return named

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
