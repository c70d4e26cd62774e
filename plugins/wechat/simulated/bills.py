"""Trade bills of the simulated WeChat Pay: the text is written alike in both generations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta

from plugins.wechat.bills.feeds import TRADE_BILL
from plugins.wechat.bills.rows import ASKED_BACK, COUNT, FEE, ORDERED, RETURNED, SETTLED
from plugins.wechat.documents import BEIJING
from plugins.wechat.simulated.bill_sheet import TRADE_COLUMNS, BillFaults, SheetRow, in_yuan, written
from plugins.wechat.simulated.books import Order, Refund
from plugins.wechat.simulated.keys import SimulatorConfig

MADE_AT = time(10, tzinfo=BEIJING)
COLUMNS = ",".join(TRADE_COLUMNS)
_SUMMED = {
    SETTLED: "应结订单总金额",
    RETURNED: "退款总金额",
    "充值券退款金额": "充值券退款总金额",
    FEE: "手续费总金额",
    ORDERED: "订单总金额",
    ASKED_BACK: "申请退款总金额",
}
TOTALS = ",".join([COUNT, *_SUMMED.values()])
BILL_REFUND_WORDS = {"CLOSED": "FAIL", "ABNORMAL": "CHANGE"}
_FEE_PLACES = "000"


def make_bill(orders: Iterable[Order], config: SimulatorConfig, day: date, faults: BillFaults | None = None) -> str:
    """The ALL bill of a Beijing day, as it was made the next morning and stays; empty if there was nothing."""
    made = datetime.combine(day + timedelta(days=1), MADE_AT)
    everything = (row for order in orders for row in _rows(order, config, made))
    rows = (faults or BillFaults()).listed(TRADE_BILL, day, everything)
    if not rows:
        return ""
    sums = {name: sum(row.fen[name] for row in rows) for name in _SUMMED}
    totals = {total: in_yuan(sums[name], _FEE_PLACES if name == FEE else "") for name, total in _SUMMED.items()}
    return written(TRADE_COLUMNS, rows, {COUNT: str(len(rows))} | totals)


def _rows(order: Order, config: SimulatorConfig, made: datetime) -> Iterator[SheetRow]:
    if order.paid_at:
        fen = {ORDERED: order.total, SETTLED: order.settled, FEE: order.fee, "代金券金额": order.coupon}
        yield _row(order, config, order.paid_at, fen)
    for refund in order.refunds:
        fen = {ASKED_BACK: refund.amount, RETURNED: refund.settled, FEE: -refund.fee}
        yield _row(order, config, refund.created_at, fen, refund, refund.status_at(made))


def _row(
    order: Order,
    config: SimulatorConfig,
    at: datetime,
    fen: dict[str, int],
    refund: Refund | None = None,
    status: str = "",
) -> SheetRow:
    """One payment or refund. `status` is that of the refund when the bill was made: what became of it later is in no
    bill."""
    fen = dict.fromkeys([*_SUMMED, "代金券金额"], 0) | fen
    cells = dict.fromkeys(TRADE_COLUMNS, "") | {
        "交易时间": f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}",
        "公众账号ID": order.appid or config.appid,
        "商户号": config.mchid,
        "特约商户号": "0",
        "微信订单号": order.transaction_id,
        "商户订单号": order.number,
        "用户标识": order.openid,
        "交易类型": order.trade_type,
        "交易状态": "SUCCESS" if refund is None else "REFUND",
        "付款银行": "OTHERS",
        "货币种类": "CNY",
        "微信退款单号": "0" if refund is None else refund.refund_id,
        "商户退款单号": "0" if refund is None else refund.number,
        "退款类型": "" if refund is None else "ORIGINAL",
        "退款状态": BILL_REFUND_WORDS.get(status, status),
        "商品名称": str(order.request.get("description") or order.request.get("body") or ""),
        "商户数据包": order.attach,
        "费率": "0.60%",
        **{name: in_yuan(amount, _FEE_PLACES if name == FEE else "") for name, amount in fen.items()},
    }
    if order.odd_in_bills:
        cells[ORDERED] = "待定"
    return SheetRow(order.number if refund is None else refund.number, at, cells, fen)
