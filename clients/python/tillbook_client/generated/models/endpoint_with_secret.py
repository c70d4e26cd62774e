from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.endpoint_with_secret_origin import EndpointWithSecretOrigin
from ..models.endpoint_with_secret_status import EndpointWithSecretStatus
from ..models.event_type import EventType

if TYPE_CHECKING:
    from ..models.secret import Secret


T = TypeVar("T", bound="EndpointWithSecret")


@_attrs_define
class EndpointWithSecret:
    """
    Attributes:
        name (str): Your name for it.
        url (str): Where events are sent.
        types (list[EventType]): Types that are sent there. Empty: all.
        origin (EndpointWithSecretOrigin): Who made it. Settings alone change theirs.
        status (EndpointWithSecretStatus): How it is.
        paused_at (datetime.datetime | None): Nothing is sent since then.
        paused_by (str): Who paused it; `rule`: it failed for too long.
        reason (str): Why it is paused.
        failing_since (datetime.datetime | None): It has taken nothing since then.
        failures (int): Attempts that failed since the last one that was taken.
        next_probe_at (datetime.datetime | None): It is taken to be down: the next delivery tries then.
        behind (int): Events of the feed that are still to be looked at for it.
        open_deliveries (int): Deliveries that wait or have failed; counted up to 1000.
        secrets (list[Secret]): What signs at present, the newest first.
        made_by (str): The caller or person.
        made_at (datetime.datetime): When it was made.
        missing_databases (list[str]): Where several databases share the users: those of which not everything is in this
            answer, because they do not answer, or because users are being moved from them to another one. Empty: it is
            whole.
        secret (str): The newest secret, `whsec_…`: give it to the receiver.
    """

    name: str
    url: str
    types: list[EventType]
    origin: EndpointWithSecretOrigin
    status: EndpointWithSecretStatus
    paused_at: datetime.datetime | None
    paused_by: str
    reason: str
    failing_since: datetime.datetime | None
    failures: int
    next_probe_at: datetime.datetime | None
    behind: int
    open_deliveries: int
    secrets: list[Secret]
    made_by: str
    made_at: datetime.datetime
    missing_databases: list[str]
    secret: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        url = self.url

        types = []
        for types_item_data in self.types:
            types_item = types_item_data.value
            types.append(types_item)

        origin = self.origin.value

        status = self.status.value

        paused_at: None | str
        if isinstance(self.paused_at, datetime.datetime):
            paused_at = self.paused_at.isoformat()
        else:
            paused_at = self.paused_at

        paused_by = self.paused_by

        reason = self.reason

        failing_since: None | str
        if isinstance(self.failing_since, datetime.datetime):
            failing_since = self.failing_since.isoformat()
        else:
            failing_since = self.failing_since

        failures = self.failures

        next_probe_at: None | str
        if isinstance(self.next_probe_at, datetime.datetime):
            next_probe_at = self.next_probe_at.isoformat()
        else:
            next_probe_at = self.next_probe_at

        behind = self.behind

        open_deliveries = self.open_deliveries

        secrets = []
        for secrets_item_data in self.secrets:
            secrets_item = secrets_item_data.to_dict()
            secrets.append(secrets_item)

        made_by = self.made_by

        made_at = self.made_at.isoformat()

        missing_databases = self.missing_databases

        secret = self.secret

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "name": name,
                "url": url,
                "types": types,
                "origin": origin,
                "status": status,
                "paused_at": paused_at,
                "paused_by": paused_by,
                "reason": reason,
                "failing_since": failing_since,
                "failures": failures,
                "next_probe_at": next_probe_at,
                "behind": behind,
                "open_deliveries": open_deliveries,
                "secrets": secrets,
                "made_by": made_by,
                "made_at": made_at,
                "missing_databases": missing_databases,
                "secret": secret,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.secret import Secret

        d = dict(src_dict)
        name = d.pop("name")

        url = d.pop("url")

        types = []
        _types = d.pop("types")
        for types_item_data in _types:
            types_item = EventType(types_item_data)

            types.append(types_item)

        origin = EndpointWithSecretOrigin(d.pop("origin"))

        status = EndpointWithSecretStatus(d.pop("status"))

        def _parse_paused_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                paused_at_type_0 = datetime.datetime.fromisoformat(data)

                return paused_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        paused_at = _parse_paused_at(d.pop("paused_at"))

        paused_by = d.pop("paused_by")

        reason = d.pop("reason")

        def _parse_failing_since(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                failing_since_type_0 = datetime.datetime.fromisoformat(data)

                return failing_since_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        failing_since = _parse_failing_since(d.pop("failing_since"))

        failures = d.pop("failures")

        def _parse_next_probe_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_probe_at_type_0 = datetime.datetime.fromisoformat(data)

                return next_probe_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        next_probe_at = _parse_next_probe_at(d.pop("next_probe_at"))

        behind = d.pop("behind")

        open_deliveries = d.pop("open_deliveries")

        secrets = []
        _secrets = d.pop("secrets")
        for secrets_item_data in _secrets:
            secrets_item = Secret.from_dict(secrets_item_data)

            secrets.append(secrets_item)

        made_by = d.pop("made_by")

        made_at = datetime.datetime.fromisoformat(d.pop("made_at"))

        missing_databases = cast(list[str], d.pop("missing_databases"))

        secret = d.pop("secret")

        endpoint_with_secret = cls(
            name=name,
            url=url,
            types=types,
            origin=origin,
            status=status,
            paused_at=paused_at,
            paused_by=paused_by,
            reason=reason,
            failing_since=failing_since,
            failures=failures,
            next_probe_at=next_probe_at,
            behind=behind,
            open_deliveries=open_deliveries,
            secrets=secrets,
            made_by=made_by,
            made_at=made_at,
            missing_databases=missing_databases,
            secret=secret,
        )

        endpoint_with_secret.additional_properties = d
        return endpoint_with_secret

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
