"""An example of each type of event: for the documents, and for trying out a receiver.

The things are made by the functions that make the real ones, from rows that are made up here.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from app.domain import representations
from app.domain.debts import OWED_BY_USERS, REPAID
from app.domain.event_types import MEANINGS, EventType
from app.domain.ledger import EXPIRED, EXPIRY, ISSUANCE, REVENUE, AccountName, Posted, Transfer, debt_of, system, wallet
from app.domain.refunding import CLAWBACK, DEBT, RETURNED

USER = "example-user"
MADE_AT = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
_ORDER, _PAYMENT, _REFUND = 253064183808000001, 253064183808000002, 253064183808000003
_FREEZE, _FACT, _GIFT = 253064183808000004, 253064183808000009, 253064183808000005
_AGREEMENT = 253064183808000006
_ID = uuid.UUID("019ad91f-2a40-8000-8000-000000000abc")
_HOLD_ID = uuid.UUID("019ad91f-2a40-8000-8000-000000000def")
_BY_FACT = {
    "by": "fact",
    "fact": str(_FACT),
    "road": "notification",
    "provider_account": "shop",
}
_BY_BACKEND, _BY_RULE = {"by": "caller", "name": "backend:game"}, {"by": "rule"}


def data_of(kind: EventType) -> dict[str, Any]:
    """What an example of this type shows."""
    shown: dict[str, Any] = {name: _MADE[name](kind) for name in MEANINGS[kind].shows}
    if "payment" in shown:  # money that did not buy its order: the order is named, not shown
        shown |= {"order": str(_ORDER), "user": USER}
    data: dict[str, Any] = representations.plain(shown)
    return data


def cause_of(kind: EventType) -> dict[str, Any]:
    """What caused the change of the example."""
    if kind in _RULED:
        return dict(_BY_RULE)
    return dict(_BY_BACKEND if kind in _CALLED else _BY_FACT)


_RULED = frozenset(
    {
        *(EventType.ORDER_EXPIRED, EventType.COINS_EXPIRED, EventType.HOLD_EXPIRED, EventType.GIFT_RETURNED),
        EventType.AGREEMENT_PLAN_CHANGED,
    }
)
_CALLED = frozenset(
    {
        EventType.COINS_SPENT,
        EventType.HOLD_MADE,
        EventType.HOLD_CAPTURED,
        EventType.HOLD_RELEASED,
        EventType.REFUND_REQUESTED,
        EventType.WALLET_FROZEN,
        EventType.WALLET_UNFROZEN,
        EventType.FULFILMENT_DELIVERED,
        EventType.FULFILMENT_REFUSED,
        EventType.FULFILMENT_TAKEN_BACK,
        EventType.GIFT_SENT,
        EventType.GIFT_RECEIVED,
    }
)


def _payment(kind: EventType) -> dict[str, Any]:
    status = {
        EventType.ORDER_PAID: "paid",
        EventType.ORDER_EXPIRED: "closed",
        EventType.PAYMENT_HELD: "held",
        EventType.PAYMENT_SURPLUS: "paid",
    }[kind]
    return representations.payment_data(
        SimpleNamespace(
            id=_PAYMENT,
            provider_account="shop",
            way="page",
            status=status,
            action=None,
            created_at=MADE_AT,
            paid_at=MADE_AT + timedelta(minutes=1) if status == "paid" else None,
        )
    )


def _order(kind: EventType) -> dict[str, Any]:
    is_paid = kind is EventType.ORDER_PAID
    order = representations.order_data(
        SimpleNamespace(
            id=_ORDER,
            user_id=USER,
            environment="live",
            sku="coins-60",
            title="60 coins",
            quantity=1,
            amount_minor=600,
            currency="CNY",
            grants=[{"asset": "coin", "amount": 60, "bonus": False, "valid_days": None}],
            fulfilment="wallet",
            fulfilment_status=None,
            status="paid" if is_paid else "expired",
            created_at=MADE_AT,
            expires_at=MADE_AT + timedelta(minutes=30),
            paid_at=MADE_AT + timedelta(minutes=1) if is_paid else None,
            agreement_id=None,
            period_number=None,
        ),
        [],
    )
    return {**order, "payments": [_payment(kind)]}


def _fact(_: EventType) -> dict[str, Any]:
    return {
        "number": str(_FACT),
        "provider_account": "shop",
        "environment": "live",
        "provider_number": "2026120122001400000001",
        "payment": "77",
        "amount_minor": 600,
        "currency": "CNY",
        "product": None,
        "at": MADE_AT,
    }


_WALLET = wallet(USER, "coin")
_ISSUANCE, _REVENUE = system(ISSUANCE, "coin"), system(REVENUE, "coin")
_OWED, _OWED_BY_USERS = debt_of(_WALLET), system(OWED_BY_USERS, "coin")
_MOVES: dict[EventType, tuple[str, AccountName, AccountName]] = {
    # (kind of the transfer, from, to)
    EventType.COINS_CREDITED: ("purchase", _ISSUANCE, _WALLET),
    EventType.COINS_SPENT: ("spend", _WALLET, _REVENUE),
    EventType.COINS_EXPIRED: (EXPIRY, _WALLET, system(EXPIRED, "coin")),
    EventType.COINS_CLAWED_BACK: (CLAWBACK, _WALLET, _ISSUANCE),
    EventType.COINS_RETURNED: (RETURNED, _ISSUANCE, _WALLET),
    EventType.DEBT_OPENED: (DEBT, _OWED_BY_USERS, _OWED),
    EventType.DEBT_REPAID: (REPAID, _OWED, _OWED_BY_USERS),
}


def transfer_of(kind: EventType) -> Transfer:
    """A transfer that is told as this type of event."""
    name, debit, credit = _MOVES[kind]
    return Transfer("example", "1", debit, credit, 60, name, reference=str(_PAYMENT))


def _line(kind: EventType) -> dict[str, Any]:
    transfer = transfer_of(kind)
    balance = 60 if transfer.credit == transfer.book else 0
    return representations.line_data(transfer, Posted(_ID, 60, balance, 2, MADE_AT))


def _wallet(_: EventType) -> dict[str, Any]:
    return representations.wallet_data(_WALLET)


def _hold(kind: EventType) -> dict[str, Any]:
    captured = 20 if kind is EventType.HOLD_CAPTURED else 0
    state = {EventType.HOLD_MADE: "open", EventType.HOLD_CAPTURED: "captured"}.get(kind, kind.partition(".")[2])
    released = 0 if state in {"open", "captured"} else 20
    return representations.hold_data(
        SimpleNamespace(
            id=_HOLD_ID,
            **representations.wallet_data(_WALLET),
            amount=20,
            captured=captured,
            released=released,
            rest=20 - captured - released,
            state=state,
            expires_at=MADE_AT + timedelta(hours=1),
        )
    )


def _refund(kind: EventType) -> dict[str, Any]:
    status = {"requested": "created"}.get(kind.partition(".")[2], kind.partition(".")[2])
    is_done = status in {"done", "undone"}
    return representations.refund_data(
        SimpleNamespace(
            id=_REFUND,
            order_id=_ORDER,
            payment_id=_PAYMENT,
            provider_account="shop",
            origin="asked",
            amount_minor=600,
            currency="CNY",
            undone_minor=600 if status == "undone" else 0,
            dispute_fee_minor=None,
            dispute_fee_currency=None,
            caller="backend:game",
            reason="the buyer asked for it",
            policy="debt",
            status=status,
            problem="the balance of the account is too low" if status == "declined" else "",
            coins=[{"asset": "coin", "taken": 60, "debt": 0, "forgiven": 0}] if status == "done" else [],
            created_at=MADE_AT,
            done_at=MADE_AT + timedelta(minutes=2) if is_done else None,
        ),
        USER,
    )


def _freeze(kind: EventType) -> dict[str, Any]:
    return representations.freeze_data(
        SimpleNamespace(
            id=_FREEZE,
            user_id=USER,
            refund_id=None,
            asset="coin",
            environment="live",
            frozen=kind is EventType.WALLET_FROZEN,
            reason="a person looks at it",
            actor="backend:game",
            at=MADE_AT,
        )
    )


def _fulfilment(kind: EventType) -> dict[str, Any]:
    step = kind.partition(".")[2]
    is_answer, takes_back = step in {"delivered", "refused", "taken_back"}, step.startswith("take")
    wishes = [{"asks": "delivery", "answer": "delivered" if takes_back else step if is_answer else ""}]
    if takes_back:
        wishes.append({"asks": "take_back", "answer": step if is_answer else ""})
    row = SimpleNamespace(
        id=_ORDER,
        user_id=USER,
        payment_id=_PAYMENT,
        units=[{"asset": "coin", "bonus": False, "granted": 60, "due": 0 if takes_back else 60, "expires_at": None}],
        wishes=wishes,
        tellings=1,
        asked_at=MADE_AT + timedelta(minutes=1),
        answered_at=MADE_AT + timedelta(minutes=2) if is_answer or takes_back else None,
        reason="the user's wallet is full" if step == "refused" else "",
        reference="grant-7" if step == "delivered" else "",
        actor="backend:game" if is_answer or takes_back else "",
        ended_by=None,
    )
    status = {"ordered": "waiting", "take_back": "delivered"}.get(step, step)
    order = {"environment": "live", "sku": "coins-60", "quantity": 1, "fulfilment_status": status}
    return representations.fulfilment_data(row, order)


def _gift(kind: EventType) -> dict[str, Any]:
    status = kind.partition(".")[2]
    receiver, giver = (USER, "another-user") if kind is EventType.GIFT_RECEIVED else ("another-user", USER)
    return representations.gift_data(
        {
            "id": _GIFT,
            "giver": giver,
            "receiver": receiver,
            "asset": "coin",
            "environment": "live",
            "amount": 10,
            "message": "happy birthday",
            "reference": "",
            "status": status,
            "reason": "receiver_frozen" if status == "returned" else "",
            "created_at": MADE_AT,
            "ended_at": None if status == "sent" else MADE_AT + timedelta(seconds=1),
        }
    )


def _agreement(kind: EventType) -> dict[str, Any]:
    ended, renewed = kind is EventType.AGREEMENT_ENDED, kind is EventType.AGREEMENT_RENEWED
    raised = kind in (EventType.AGREEMENT_PRICE_INCREASE, EventType.AGREEMENT_REFUNDED)
    status = "ended" if ended else "past_due" if kind is EventType.AGREEMENT_PAST_DUE else "active"
    return representations.agreement_data(
        SimpleNamespace(
            id=_AGREEMENT,
            user_id=USER,
            environment="live",
            provider_account="shop",
            by_store=raised,
            theirs="20265001000000000001",
            way="store" if raised else "page",
            status=status,
            sku="vip-monthly",
            title="VIP, a month",
            amount_minor=None if raised else 1500,
            currency=None if raised else "CNY",
            unit="month",
            length=1,
            zone="Asia/Shanghai",
            entitlements=["vip"],
            action=None,
            next_plan=None,
            replaces_id=None,
            paid_until=MADE_AT + timedelta(days=31) if renewed or ended else None,
            grace_until=None,
            next_charge_at=None if ended or raised else MADE_AT + timedelta(days=31 if renewed else 1),
            renews=True if raised else None,
            price_increase="pending" if kind is EventType.AGREEMENT_PRICE_INCREASE else None,
            cancel_at=None,
            signed_at=MADE_AT,
            ended_at=MADE_AT + timedelta(days=3) if ended else None,
            ended_by="payer" if ended else "",
            created_at=MADE_AT - timedelta(minutes=5),
            expires_at=MADE_AT + timedelta(minutes=55),
        )
    )


def _period(kind: EventType) -> dict[str, Any]:
    paid, refunded = kind is EventType.AGREEMENT_RENEWED, kind is EventType.AGREEMENT_REFUNDED
    has_ended = paid or refunded
    return representations.period_data(
        SimpleNamespace(
            number=0,
            starts_at=MADE_AT,
            ends_at=MADE_AT + timedelta(days=31),
            status="paid" if paid else "refunded" if refunded else "due",
            order_id=None if refunded else _ORDER,
            refusal="" if has_ended else "no_money",
            next_try_at=None if has_ended else MADE_AT + timedelta(days=1),
        )
    )


_MADE: dict[str, Callable[[EventType], Any]] = {
    "order": _order,
    "payment": _payment,
    "fact": _fact,
    "wallet": _wallet,
    "line": _line,
    "hold": _hold,
    "refund": _refund,
    "freeze": _freeze,
    "gift": _gift,
    "fulfilment": _fulfilment,
    "agreement": _agreement,
    "period": _period,
}
"""How each thing that events show is made up, by the name of its member."""
