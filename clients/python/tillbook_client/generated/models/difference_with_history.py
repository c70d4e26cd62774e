from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.bill_side import BillSide
from ..models.difference_type import DifferenceType
from ..models.difference_with_history_repairs_item import (
    DifferenceWithHistoryRepairsItem,
)
from ..models.difference_with_history_state import DifferenceWithHistoryState

if TYPE_CHECKING:
    from ..models.difference_change import DifferenceChange


T = TypeVar("T", bound="DifferenceWithHistory")


@_attrs_define
class DifferenceWithHistory:
    """
    Attributes:
        number (str): A number of ours, in decimal.
        provider_account (str): The provider account, by its name.
        side (BillSide): What a bill proves.
        type_ (DifferenceType): Who has what, by the bill: «ours» is what the books have, «theirs» is what the bill has.
        state (DifferenceWithHistoryState): `gone`: not found any more.
        at (datetime.datetime): When it happened: by the bill, or by our fact where the bill has nothing.
        zone (str): The zone of the provider's days.
        ours_minor (int | None): Minor units, negative where money went back; null: nothing.
        ours_currency (None | str): The currency of `ours_minor`.
        theirs_minor (int | None): Minor units, negative where money went back; null: nothing.
        theirs_currency (None | str): The currency of `theirs_minor`.
        ours (None | str): Our number of the payment.
        theirs (None | str): The provider's number.
        refund (None | str): The number of the refund.
        about (str): What it is about, for people: of units of a store, the product, territory and day.
        owner (str): Who works on it.
        note (str): For people.
        written_off_by (str): Who wants it written off.
        matched_with (None | str): Its other side, where a person said that the two are one.
        opened_at (datetime.datetime): When it was found first.
        changed_at (datetime.datetime): When.
        closed_at (datetime.datetime | None): When it was settled; null: it is not.
        history (list[DifferenceChange]): What happened to it, oldest first.
        repairs (list[DifferenceWithHistoryRepairsItem]): What `repair` can do about it, the usual way first.
        perhaps_the_other_side (list[str]): Open differences of the other side, of the same sum and near in time:
            `match` would take them.
    """

    number: str
    provider_account: str
    side: BillSide
    type_: DifferenceType
    state: DifferenceWithHistoryState
    at: datetime.datetime
    zone: str
    ours_minor: int | None
    ours_currency: None | str
    theirs_minor: int | None
    theirs_currency: None | str
    ours: None | str
    theirs: None | str
    refund: None | str
    about: str
    owner: str
    note: str
    written_off_by: str
    matched_with: None | str
    opened_at: datetime.datetime
    changed_at: datetime.datetime
    closed_at: datetime.datetime | None
    history: list[DifferenceChange]
    repairs: list[DifferenceWithHistoryRepairsItem]
    perhaps_the_other_side: list[str]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        provider_account = self.provider_account

        side = self.side.value

        type_ = self.type_.value

        state = self.state.value

        at = self.at.isoformat()

        zone = self.zone

        ours_minor: int | None
        ours_minor = self.ours_minor

        ours_currency: None | str
        ours_currency = self.ours_currency

        theirs_minor: int | None
        theirs_minor = self.theirs_minor

        theirs_currency: None | str
        theirs_currency = self.theirs_currency

        ours: None | str
        ours = self.ours

        theirs: None | str
        theirs = self.theirs

        refund: None | str
        refund = self.refund

        about = self.about

        owner = self.owner

        note = self.note

        written_off_by = self.written_off_by

        matched_with: None | str
        matched_with = self.matched_with

        opened_at = self.opened_at.isoformat()

        changed_at = self.changed_at.isoformat()

        closed_at: None | str
        if isinstance(self.closed_at, datetime.datetime):
            closed_at = self.closed_at.isoformat()
        else:
            closed_at = self.closed_at

        history = []
        for history_item_data in self.history:
            history_item = history_item_data.to_dict()
            history.append(history_item)

        repairs = []
        for repairs_item_data in self.repairs:
            repairs_item = repairs_item_data.value
            repairs.append(repairs_item)

        perhaps_the_other_side = self.perhaps_the_other_side

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "number": number,
                "provider_account": provider_account,
                "side": side,
                "type": type_,
                "state": state,
                "at": at,
                "zone": zone,
                "ours_minor": ours_minor,
                "ours_currency": ours_currency,
                "theirs_minor": theirs_minor,
                "theirs_currency": theirs_currency,
                "ours": ours,
                "theirs": theirs,
                "refund": refund,
                "about": about,
                "owner": owner,
                "note": note,
                "written_off_by": written_off_by,
                "matched_with": matched_with,
                "opened_at": opened_at,
                "changed_at": changed_at,
                "closed_at": closed_at,
                "history": history,
                "repairs": repairs,
                "perhaps_the_other_side": perhaps_the_other_side,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.difference_change import DifferenceChange

        d = dict(src_dict)
        number = d.pop("number")

        provider_account = d.pop("provider_account")

        side = BillSide(d.pop("side"))

        type_ = DifferenceType(d.pop("type"))

        state = DifferenceWithHistoryState(d.pop("state"))

        at = datetime.datetime.fromisoformat(d.pop("at"))

        zone = d.pop("zone")

        def _parse_ours_minor(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        ours_minor = _parse_ours_minor(d.pop("ours_minor"))

        def _parse_ours_currency(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        ours_currency = _parse_ours_currency(d.pop("ours_currency"))

        def _parse_theirs_minor(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        theirs_minor = _parse_theirs_minor(d.pop("theirs_minor"))

        def _parse_theirs_currency(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        theirs_currency = _parse_theirs_currency(d.pop("theirs_currency"))

        def _parse_ours(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        ours = _parse_ours(d.pop("ours"))

        def _parse_theirs(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        theirs = _parse_theirs(d.pop("theirs"))

        def _parse_refund(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        refund = _parse_refund(d.pop("refund"))

        about = d.pop("about")

        owner = d.pop("owner")

        note = d.pop("note")

        written_off_by = d.pop("written_off_by")

        def _parse_matched_with(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        matched_with = _parse_matched_with(d.pop("matched_with"))

        opened_at = datetime.datetime.fromisoformat(d.pop("opened_at"))

        changed_at = datetime.datetime.fromisoformat(d.pop("changed_at"))

        def _parse_closed_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                closed_at_type_0 = datetime.datetime.fromisoformat(data)

                return closed_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        closed_at = _parse_closed_at(d.pop("closed_at"))

        history = []
        _history = d.pop("history")
        for history_item_data in _history:
            history_item = DifferenceChange.from_dict(history_item_data)

            history.append(history_item)

        repairs = []
        _repairs = d.pop("repairs")
        for repairs_item_data in _repairs:
            repairs_item = DifferenceWithHistoryRepairsItem(repairs_item_data)

            repairs.append(repairs_item)

        perhaps_the_other_side = cast(list[str], d.pop("perhaps_the_other_side"))

        difference_with_history = cls(
            number=number,
            provider_account=provider_account,
            side=side,
            type_=type_,
            state=state,
            at=at,
            zone=zone,
            ours_minor=ours_minor,
            ours_currency=ours_currency,
            theirs_minor=theirs_minor,
            theirs_currency=theirs_currency,
            ours=ours,
            theirs=theirs,
            refund=refund,
            about=about,
            owner=owner,
            note=note,
            written_off_by=written_off_by,
            matched_with=matched_with,
            opened_at=opened_at,
            changed_at=changed_at,
            closed_at=closed_at,
            history=history,
            repairs=repairs,
            perhaps_the_other_side=perhaps_the_other_side,
        )

        difference_with_history.additional_properties = d
        return difference_with_history

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
