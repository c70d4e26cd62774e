from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.bill_side import BillSide
from ..models.bill_status import BillStatus

T = TypeVar("T", bound="Bill")


@_attrs_define
class Bill:
    """
    Attributes:
        provider_account (str): The provider account, by its name.
        feed (str): Which kind of bill.
        name (str): The document's name.
        side (BillSide): What a bill proves.
        status (BillStatus): `refused`: the document fails its own checks. `replaced`: a later one of that name counts.
        problem (str): Why it was refused, for people.
        since (datetime.datetime): The beginning of the time that it covers.
        until (datetime.datetime): The end of that time.
        zone (str): The zone of the provider's days.
        lines (int): Rows that were read.
        sha256 (str): Of the bytes that are kept.
        read_at (datetime.datetime): When.
    """

    provider_account: str
    feed: str
    name: str
    side: BillSide
    status: BillStatus
    problem: str
    since: datetime.datetime
    until: datetime.datetime
    zone: str
    lines: int
    sha256: str
    read_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        provider_account = self.provider_account

        feed = self.feed

        name = self.name

        side = self.side.value

        status = self.status.value

        problem = self.problem

        since = self.since.isoformat()

        until = self.until.isoformat()

        zone = self.zone

        lines = self.lines

        sha256 = self.sha256

        read_at = self.read_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "provider_account": provider_account,
                "feed": feed,
                "name": name,
                "side": side,
                "status": status,
                "problem": problem,
                "since": since,
                "until": until,
                "zone": zone,
                "lines": lines,
                "sha256": sha256,
                "read_at": read_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        provider_account = d.pop("provider_account")

        feed = d.pop("feed")

        name = d.pop("name")

        side = BillSide(d.pop("side"))

        status = BillStatus(d.pop("status"))

        problem = d.pop("problem")

        since = datetime.datetime.fromisoformat(d.pop("since"))

        until = datetime.datetime.fromisoformat(d.pop("until"))

        zone = d.pop("zone")

        lines = d.pop("lines")

        sha256 = d.pop("sha256")

        read_at = datetime.datetime.fromisoformat(d.pop("read_at"))

        bill = cls(
            provider_account=provider_account,
            feed=feed,
            name=name,
            side=side,
            status=status,
            problem=problem,
            since=since,
            until=until,
            zone=zone,
            lines=lines,
            sha256=sha256,
            read_at=read_at,
        )

        bill.additional_properties = d
        return bill

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
