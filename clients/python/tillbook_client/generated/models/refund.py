from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.policy import Policy
from ..models.refund_origin import RefundOrigin
from ..models.refund_status import RefundStatus

if TYPE_CHECKING:
    from ..models.coins import Coins


T = TypeVar("T", bound="Refund")


@_attrs_define
class Refund:
    """
    Attributes:
        number (str): A number of ours, in decimal.
        order (str): A number of ours, in decimal.
        payment (str): A number of ours, in decimal.
        user (str): Whose order it is about.
        provider_account (str): The provider account, by its name.
        origin (RefundOrigin): Who decided: a caller of ours, a policy of ours, or the provider.
        amount_minor (int | None): Minor units; null: the provider did not say.
        currency (None | str): The currency; null: the provider did not say.
        undone_minor (int): What of the amount the provider gave back to the merchant later.
        dispute_fee_minor (int | None): What the provider charges for the dispute that brought the refund; null if it
            told none.
        dispute_fee_currency (None | str): The currency of that fee.
        reason (str): Why, for people.
        actor (None | str): Who asked for it; empty if nobody of yours did, null for a user's token.
        policy (Policy): What becomes of refunded coins that are spent already.
        status (RefundStatus):
        problem (str): Why it was declined or is unknown: the provider's words, or a person's.
        coins (list[Coins]): What became of the coins, by asset.
        created_at (datetime.datetime): When.
        done_at (datetime.datetime | None): When the provider had done it; null: it has not.
    """

    number: str
    order: str
    payment: str
    user: str
    provider_account: str
    origin: RefundOrigin
    amount_minor: int | None
    currency: None | str
    undone_minor: int
    dispute_fee_minor: int | None
    dispute_fee_currency: None | str
    reason: str
    actor: None | str
    policy: Policy
    status: RefundStatus
    problem: str
    coins: list[Coins]
    created_at: datetime.datetime
    done_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        order = self.order

        payment = self.payment

        user = self.user

        provider_account = self.provider_account

        origin = self.origin.value

        amount_minor: int | None
        amount_minor = self.amount_minor

        currency: None | str
        currency = self.currency

        undone_minor = self.undone_minor

        dispute_fee_minor: int | None
        dispute_fee_minor = self.dispute_fee_minor

        dispute_fee_currency: None | str
        dispute_fee_currency = self.dispute_fee_currency

        reason = self.reason

        actor: None | str
        actor = self.actor

        policy = self.policy.value

        status = self.status.value

        problem = self.problem

        coins = []
        for coins_item_data in self.coins:
            coins_item = coins_item_data.to_dict()
            coins.append(coins_item)

        created_at = self.created_at.isoformat()

        done_at: None | str
        if isinstance(self.done_at, datetime.datetime):
            done_at = self.done_at.isoformat()
        else:
            done_at = self.done_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "number": number,
                "order": order,
                "payment": payment,
                "user": user,
                "provider_account": provider_account,
                "origin": origin,
                "amount_minor": amount_minor,
                "currency": currency,
                "undone_minor": undone_minor,
                "dispute_fee_minor": dispute_fee_minor,
                "dispute_fee_currency": dispute_fee_currency,
                "reason": reason,
                "actor": actor,
                "policy": policy,
                "status": status,
                "problem": problem,
                "coins": coins,
                "created_at": created_at,
                "done_at": done_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.coins import Coins

        d = dict(src_dict)
        number = d.pop("number")

        order = d.pop("order")

        payment = d.pop("payment")

        user = d.pop("user")

        provider_account = d.pop("provider_account")

        origin = RefundOrigin(d.pop("origin"))

        def _parse_amount_minor(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        amount_minor = _parse_amount_minor(d.pop("amount_minor"))

        def _parse_currency(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        currency = _parse_currency(d.pop("currency"))

        undone_minor = d.pop("undone_minor")

        def _parse_dispute_fee_minor(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        dispute_fee_minor = _parse_dispute_fee_minor(d.pop("dispute_fee_minor"))

        def _parse_dispute_fee_currency(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        dispute_fee_currency = _parse_dispute_fee_currency(
            d.pop("dispute_fee_currency")
        )

        reason = d.pop("reason")

        def _parse_actor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        actor = _parse_actor(d.pop("actor"))

        policy = Policy(d.pop("policy"))

        status = RefundStatus(d.pop("status"))

        problem = d.pop("problem")

        coins = []
        _coins = d.pop("coins")
        for coins_item_data in _coins:
            coins_item = Coins.from_dict(coins_item_data)

            coins.append(coins_item)

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        def _parse_done_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                done_at_type_0 = datetime.datetime.fromisoformat(data)

                return done_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        done_at = _parse_done_at(d.pop("done_at"))

        refund = cls(
            number=number,
            order=order,
            payment=payment,
            user=user,
            provider_account=provider_account,
            origin=origin,
            amount_minor=amount_minor,
            currency=currency,
            undone_minor=undone_minor,
            dispute_fee_minor=dispute_fee_minor,
            dispute_fee_currency=dispute_fee_currency,
            reason=reason,
            actor=actor,
            policy=policy,
            status=status,
            problem=problem,
            coins=coins,
            created_at=created_at,
            done_at=done_at,
        )

        refund.additional_properties = d
        return refund

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
