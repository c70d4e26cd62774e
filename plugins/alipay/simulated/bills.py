"""Daily bills of the simulated Alipay: a ZIP with GBK text under GBK names, whose flag for UTF-8 names is off."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from plugins.alipay.formats import beijing_day, beijing_text
from plugins.alipay.simulated.trades import Trade, yuan_text

_HEADER = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,"
    "商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
_SUMMARY_HEADER = (
    "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,"
    "卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）"
)


@dataclass(frozen=True, slots=True)
class _Row:
    trade: Trade
    kind: str
    at: datetime
    fen: int
    request_no: str = ""
    fee_fen: int = 0
    """Negative: taken. Positive: given back."""

    def text(self) -> str:
        amount = yuan_text(-self.fen if self.kind == "退款" else self.fen)
        if self.trade.odd_in_bills:
            amount = "待定"
        fee = yuan_text(self.fee_fen)
        subject = self.trade.order.subject.replace(",", " ")
        created, done = beijing_text(self.trade.created_at), beijing_text(self.at)
        ids = f"{self.trade.trade_no}\t,{self.trade.order.out_trade_no}\t"
        blanks = "0.00,0.00,0.00,0.00,0.00,,0.00,0.00"
        buyer = "买家(138****0000)"
        return (
            f"{ids},{self.kind},{subject},{created},{done},,,,,{buyer},{amount},{amount},{blanks},"
            f"{self.request_no},{fee},0.00,"
        )


def make_bill(trades: Iterable[Trade], seller_id: str, day: str, *, gives_fees_back: bool = False) -> bytes:
    """The bill of one Beijing day (`2026-01-03`). Whether a refund gives its part of the fee back is the contract's."""
    wanted = date.fromisoformat(day)
    every = (row for trade in trades for row in _rows(trade, gives_fees_back=gives_fees_back))
    rows = [row for row in every if beijing_day(row.at) == wanted]
    stem = f"{seller_id}0156_{wanted:%Y%m%d}_业务明细"
    return _zip({f"{stem}.csv": _detail(rows, seller_id), f"{stem}(汇总).csv": _summary(rows, seller_id)})


def _rows(trade: Trade, *, gives_fees_back: bool) -> Iterable[_Row]:
    if trade.paid_at:
        yield _Row(trade, "交易", trade.paid_at, trade.fen, fee_fen=-_fee(trade.fen))
    for refund in trade.done_refunds:
        back = _fee(trade.fen) * refund.fen // trade.fen if gives_fees_back else 0
        yield _Row(trade, "退款", refund.at, refund.fen, refund.request_no, back)


def _fee(fen: int) -> int:
    """0.6 %, at least one fen."""
    return max(1, fen * 6 // 1000)


def _detail(rows: list[_Row], seller_id: str) -> str:
    paid = [row.fen for row in rows if row.kind == "交易"]
    back = [row.fen for row in rows if row.kind == "退款"]
    lines = [
        "#支付宝业务明细查询",
        f"#账号：[{seller_id}0156]",
        "#-----------------------------------------业务明细列表----------------------------------------",
        _HEADER,
        *(row.text() for row in rows),
        "#-----------------------------------------业务明细列表结束------------------------------------",
        f"#交易合计：{len(paid)}笔，商家实收共{yuan_text(sum(paid))}元，商家优惠共0.00元",
        f"#退款合计：{len(back)}笔，商家实收退款共{yuan_text(-sum(back))}元，商家优惠退款共0.00元",
    ]
    return "\r\n".join(lines) + "\r\n"


def _summary(rows: list[_Row], seller_id: str) -> str:
    paid = [row.fen for row in rows if row.kind == "交易"]
    back = [row.fen for row in rows if row.kind == "退款"]
    net = yuan_text(sum(paid) - sum(back))
    total = f"合计,,{len(paid)},{len(back)},{net},{net},0.00,0.00,0.00,0.00,0.00,{net}"
    return "\r\n".join(["#支付宝业务汇总查询", f"#账号：[{seller_id}0156]", _SUMMARY_HEADER, total]) + "\r\n"


def _zip(files: dict[str, str]) -> bytes:
    """`zipfile` writes other than ASCII names as UTF-8 only, so each entry is written under an ASCII name of the same
    length in bytes, and the names are exchanged in the finished archive."""
    target = io.BytesIO()
    stand_ins = {name: f"@{place}".ljust(len(name.encode("gbk")), "@") for place, name in enumerate(files)}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(stand_ins[name], text.encode("gbk", "replace"))
    content = target.getvalue()
    for name, stand_in in stand_ins.items():
        content = content.replace(stand_in.encode(), name.encode("gbk"))
    return content
