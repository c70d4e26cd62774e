"""The catalogue of events as Markdown, in two languages: when each type is told, and an example of it.

`docs/events.md` and `docs/events.zh-CN.md` hold what `written` gives, between two marks; a test compares them.
"""

from __future__ import annotations

import json
import uuid
from types import SimpleNamespace

from app.domain import event_examples
from app.domain.event_types import MEANINGS, EventType
from app.domain.ledger import microseconds
from app.domain.representations import plain
from app.services.events import feed

ENGLISH, CHINESE = "en", "zh"
BEGIN, END = "<!-- catalogue: written by `tillbook events catalogue` -->", "<!-- end of the catalogue -->"
_ID = uuid.UUID("019ad91f-2a40-7abc-8000-000000000abc")
IN_CHINESE: dict[EventType, str] = {
    EventType.ORDER_PAID: "订单的款项已到账。金币同时入账。",
    EventType.ORDER_EXPIRED: "订单已过期，无人付款。之后到账的款项仍可能支付该订单。",
    EventType.PAYMENT_HELD: (
        "到账的款项与支付请求不符（金额、商品或所有者不同），由人工决定；"
        "或者其中一部分已退回而金额未知，待金额明确后再入账。"
    ),
    EventType.PAYMENT_SURPLUS: "订单已付款，或按策略已太晚，却又有款项到账。款项等待处理或退回。",
    EventType.PAYMENT_PARKED: "支付渠道确认了一笔款项，但这里没有对应的订单。它等待订单出现，或由人工处理。",
    EventType.COINS_CREDITED: "金币进入钱包：购买、奖励、由运营发放，或由其他用户赠送。",
    EventType.COINS_SPENT: "金币离开钱包：消费、从预留中扣除、由运营扣减，或赠送他人。",
    EventType.COINS_EXPIRED: "金币到期，离开钱包。",
    EventType.COINS_CLAWED_BACK: "因退款（包括赠送者的退款）、入账被冲正或偿还欠款，金币离开钱包。",
    EventType.COINS_RETURNED: "金币回到钱包：消费被冲正、退款被撤销，或赠送被退回。",
    EventType.DEBT_OPENED: "已退款的金币早已花掉：用户欠下这些金币。该行属于欠款账户。",
    EventType.DEBT_REPAID: "欠款减少：由新入账的金币偿还，或被免除。",
    EventType.HOLD_MADE: "金币被预留。",
    EventType.HOLD_CAPTURED: "预留的金币被花掉，全部或一部分。",
    EventType.HOLD_RELEASED: "仍被预留的金币由调用方归还。",
    EventType.HOLD_EXPIRED: "预留时间已过，仍被预留的金币自动归还。",
    EventType.REFUND_REQUESTED: "退款已登记，由请求或策略发起。",
    EventType.REFUND_PENDING: "支付渠道正在处理退款，或我们的请求结果未知（见 `status`）。",
    EventType.REFUND_DONE: "款项已退回付款人。",
    EventType.REFUND_DECLINED: "退款没有发生。被预留的金币重新可用。",
    EventType.REFUND_UNDONE: "已完成的退款，其款项又回到商户。",
    EventType.WALLET_FROZEN: "钱包被冻结，从此拒绝消费和预留。",
    EventType.WALLET_UNFROZEN: "钱包解冻，重新允许消费和预留。",
    EventType.FULFILMENT_ORDERED: (
        "需要交付一个金币不在 Tillbook 的订单：用户应得每个单位的 `due` 数量。在得到答复之前会再次告知。"
    ),
    EventType.FULFILMENT_TAKE_BACK: (
        "这类订单的款项已退回：用户只保留每个单位的 `due` 数量。在得到答复之前会再次告知。"
    ),
    EventType.FULFILMENT_DELIVERED: "后端答复：已交付。",
    EventType.FULFILMENT_REFUSED: "后端拒绝交付（见 `reason`）。按设置退款，或等待人工处理。",
    EventType.FULFILMENT_TAKEN_BACK: "后端答复：已收回。",
    EventType.GIFT_SENT: "金币离开赠送者的钱包，正在途中。告知赠送者。",
    EventType.GIFT_RECEIVED: "赠送的金币进入接收者的钱包。告知接收者。",
    EventType.GIFT_RETURNED: "接收者无法收下赠送（见 `reason`）：金币已退回。告知赠送者。",
    EventType.AGREEMENT_SIGNED: "协议生效：可以按周期向付款人收费，由我们或由商店收取。"
    "商店的订阅也是协议，没有单独的事件。",
    EventType.AGREEMENT_RENEWED: "一个周期已付款，包括第一个周期。其订单另有 `order.paid`。",
    EventType.AGREEMENT_PAST_DUE: "扣款被拒绝（见 `refusal`），或商店未能收款。每次被拒绝都会告知；"
    "`next_try_at` 是下次尝试的时间。",
    EventType.AGREEMENT_ENDED: "协议已结束（见 `ended_by`），或从未签署。已付款的部分在 `paid_until` 之前仍然有效。",
    EventType.AGREEMENT_PLAN_CHANGED: "从现在到期的周期起，协议改为另一个商品。",
    EventType.AGREEMENT_PRICE_INCREASE: "商店从下一个周期起涨价：`price_increase` 说明付款人是否已同意。"
    "若未同意，订阅将随当前周期结束。",
    EventType.AGREEMENT_REFUNDED: "旧系统所售周期的款项已全部退回：该周期为 `refunded`，不再带来任何权益。"
    "若退款被撤销，该周期恢复为 `free`。",
}


def written(language: str = ENGLISH) -> str:
    """The catalogue, with its marks."""
    parts = [_part(kind, language) for kind in EventType]
    return "\n\n".join([BEGIN, *parts, END])


def _part(kind: EventType, language: str) -> str:
    when = IN_CHINESE[kind] if language == CHINESE else MEANINGS[kind].when
    document = json.dumps(example(kind), ensure_ascii=False, indent=2)
    return f"### `{kind}`\n\n{when}\n\n```json\n{document}\n```"


def example(kind: EventType) -> dict[str, object]:
    """An event of that type as the feed and endpoints get it."""
    row = SimpleNamespace(
        id=_ID,
        type=kind,
        at=event_examples.MADE_AT,
        version=microseconds(event_examples.MADE_AT),
        user_id=event_examples.USER,
        body={"data": event_examples.data_of(kind), "cause": event_examples.cause_of(kind)},
    )
    shown: dict[str, object] = plain(feed.as_sent(row))
    return shown
