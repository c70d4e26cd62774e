from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.entry_kind import EntryKind

T = TypeVar("T", bound="Entry")


@_attrs_define
class Entry:
    """
    Attributes:
        at (datetime.datetime): When it was written down here; of a call, when it began.
        kind (EntryKind): What kind of thing happened.
        number (str): Of the thing itself.
        payment (None | str): The payment that it is about.
        refund (None | str): The refund's number: ours, or the provider's where the provider decided it.
        provider_account (None | str): The provider account.
        what (str): Product, way, verb, kind of fact or transfer, type of event, why a message is kept, or an act.
        road (None | str): How a fact or a message reached us.
        outcome (None | str): What became of it.
        detail (str): More, in the words of the log.
        happened_at (datetime.datetime | None): Of a fact: when it happened, by the provider's clock.
        ms (int | None): How long a call took, in milliseconds.
        amount (int | None): Minor units of a currency, or coins.
        asset (None | str): The currency or asset of the amount.
        actor (None | str): Who did it.
        reason (None | str): Why that person did it.
        text (str): The entry in plain words. For people: it may change.
    """

    at: datetime.datetime
    kind: EntryKind
    number: str
    payment: None | str
    refund: None | str
    provider_account: None | str
    what: str
    road: None | str
    outcome: None | str
    detail: str
    happened_at: datetime.datetime | None
    ms: int | None
    amount: int | None
    asset: None | str
    actor: None | str
    reason: None | str
    text: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        at = self.at.isoformat()

        kind = self.kind.value

        number = self.number

        payment: None | str
        payment = self.payment

        refund: None | str
        refund = self.refund

        provider_account: None | str
        provider_account = self.provider_account

        what = self.what

        road: None | str
        road = self.road

        outcome: None | str
        outcome = self.outcome

        detail = self.detail

        happened_at: None | str
        if isinstance(self.happened_at, datetime.datetime):
            happened_at = self.happened_at.isoformat()
        else:
            happened_at = self.happened_at

        ms: int | None
        ms = self.ms

        amount: int | None
        amount = self.amount

        asset: None | str
        asset = self.asset

        actor: None | str
        actor = self.actor

        reason: None | str
        reason = self.reason

        text = self.text

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "at": at,
                "kind": kind,
                "number": number,
                "payment": payment,
                "refund": refund,
                "provider_account": provider_account,
                "what": what,
                "road": road,
                "outcome": outcome,
                "detail": detail,
                "happened_at": happened_at,
                "ms": ms,
                "amount": amount,
                "asset": asset,
                "actor": actor,
                "reason": reason,
                "text": text,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        at = datetime.datetime.fromisoformat(d.pop("at"))

        kind = EntryKind(d.pop("kind"))

        number = d.pop("number")

        def _parse_payment(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        payment = _parse_payment(d.pop("payment"))

        def _parse_refund(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        refund = _parse_refund(d.pop("refund"))

        def _parse_provider_account(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        provider_account = _parse_provider_account(d.pop("provider_account"))

        what = d.pop("what")

        def _parse_road(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        road = _parse_road(d.pop("road"))

        def _parse_outcome(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        outcome = _parse_outcome(d.pop("outcome"))

        detail = d.pop("detail")

        def _parse_happened_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                happened_at_type_0 = datetime.datetime.fromisoformat(data)

                return happened_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        happened_at = _parse_happened_at(d.pop("happened_at"))

        def _parse_ms(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        ms = _parse_ms(d.pop("ms"))

        def _parse_amount(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        amount = _parse_amount(d.pop("amount"))

        def _parse_asset(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        asset = _parse_asset(d.pop("asset"))

        def _parse_actor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        actor = _parse_actor(d.pop("actor"))

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))

        text = d.pop("text")

        entry = cls(
            at=at,
            kind=kind,
            number=number,
            payment=payment,
            refund=refund,
            provider_account=provider_account,
            what=what,
            road=road,
            outcome=outcome,
            detail=detail,
            happened_at=happened_at,
            ms=ms,
            amount=amount,
            asset=asset,
            actor=actor,
            reason=reason,
            text=text,
        )

        entry.additional_properties = d
        return entry

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
