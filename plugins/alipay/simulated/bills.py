"""How the simulated Alipay writes its bills: a ZIP with GBK text under GBK names, whose flag for UTF-8 names is off.

Which rows there are is for `bill_office` to say.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from plugins.alipay.formats import beijing_text
from plugins.alipay.simulated.trades import yuan_text

TRADE, ACCOUNT = "trade", "signcustomer"
"""`bill_type`."""
UNREADABLE = "待定"
_TRADE_HEADING = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,"
    "商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
_TRADE_SUMMARY_HEADING = (
    "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,"
    "卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）"
)
_ACCOUNT_HEADING = (
    "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,"
    "交易渠道,业务类型,备注,业务描述,业务账单来源,业务基础订单号,业务订单号"
)
_ACCOUNT_SUMMARY_HEADING = "类型,收入笔数,收入金额（+元）,支出笔数,支出金额（-元）,总金额（元）"
_DASHES = "-" * 41


@dataclass(frozen=True, slots=True)
class TradeRow:
    """A payment (交易) or refund (退款) in a trade bill."""

    trade_no: str
    out_trade_no: str
    word: str
    at: datetime
    fen: int
    """What was ordered; negative of a refund."""
    subject: str
    created_at: datetime
    request_no: str = ""
    fee_fen: int = 0
    """Negative: taken. Positive: given back."""
    coupon_fen: int = 0
    """The part of it that the merchant's own coupon stands for, of the sign of `fen`."""
    readable: bool = True

    @property
    def numbers(self) -> tuple[str, ...]:
        return (self.trade_no, self.out_trade_no, self.request_no)

    @property
    def received_fen(self) -> int:
        return self.fen - self.coupon_fen

    def text(self) -> str:
        ordered, received = yuan_text(self.fen), yuan_text(self.received_fen)
        if not self.readable:
            ordered = received = UNREADABLE
        subject = self.subject.replace(",", " ")
        created, done = beijing_text(self.created_at), beijing_text(self.at)
        coupon = yuan_text(self.coupon_fen)
        return (
            f"{self.trade_no}\t,{self.out_trade_no}\t,{self.word},{subject},{created},{done},,,,,买家(138****0000),"
            f"{ordered},{received},0.00,0.00,0.00,{coupon},0.00,,0.00,0.00,{self.request_no},"
            f"{yuan_text(self.fee_fen)},0.00,"
        )


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One change of the merchant's balance."""

    entry_no: str
    number: str
    """业务流水号: the trade's number, or that of a payout or transfer."""
    word: str
    at: datetime
    fen: int
    """Positive: it came in."""
    balance_fen: int = 0
    """After it."""
    out_trade_no: str = ""
    request_no: str = ""
    subject: str = ""
    remark: str = ""
    description: str = ""
    orders: str = ""
    """业务订单号."""
    readable: bool = True

    @property
    def numbers(self) -> tuple[str, ...]:
        return (self.number, self.out_trade_no, self.request_no)

    def text(self) -> str:
        incoming = yuan_text(self.fen) if self.fen > 0 else ""
        outgoing = yuan_text(self.fen) if self.fen <= 0 else ""
        if not self.readable:
            incoming, outgoing = (UNREADABLE, "") if incoming else ("", UNREADABLE)
        subject = self.subject.replace(",", " ")
        return (
            f"{self.entry_no}\t,{self.number}\t,{self.out_trade_no}\t,{subject},{beijing_text(self.at)},"
            f"买家(138****0000),{incoming},{outgoing},{yuan_text(self.balance_fen)},支付宝,{self.word},{self.remark},"
            f"{self.description},商家中心,{self.number}\t,{self.orders}\t"
        )


def trade_bill(rows: Sequence[TradeRow], seller_id: str, day: date) -> bytes:
    paid = [row for row in rows if row.word == "交易"]
    back = [row for row in rows if row.word == "退款"]

    def foot(title: str, suffix: str, of: list[TradeRow]) -> str:
        received, coupons = sum(row.received_fen for row in of), sum(row.coupon_fen for row in of)
        return (
            f"#{title}合计：{len(of)}笔，商家实收{suffix}共{yuan_text(received)}元，"
            f"商家优惠{suffix}共{yuan_text(coupons)}元"
        )

    fees, received = sum(row.fee_fen for row in rows), sum(row.received_fen for row in rows)
    total = (
        f"合计,,{len(paid)},{len(back)},{yuan_text(sum(row.fen for row in rows))},{yuan_text(received)},0.00,"
        f"{yuan_text(sum(row.coupon_fen for row in rows))},0.00,{yuan_text(fees)},0.00,{yuan_text(received + fees)}"
    )
    stem, head = f"{seller_id}0156_{day:%Y%m%d}_业务明细", _head(seller_id, day)
    detail = [
        "#支付宝业务明细查询",
        *head,
        f"#{_DASHES}业务明细列表{_DASHES}",
        _TRADE_HEADING,
        *(row.text() for row in rows),
        f"#{_DASHES}业务明细列表结束{_DASHES}",
        foot("交易", "", paid),
        foot("退款", "退款", back),
    ]
    summary = ["#支付宝业务汇总查询", *head, _TRADE_SUMMARY_HEADING, total]
    return _zip({f"{stem}.csv": detail, f"{stem}(汇总).csv": summary})


def account_bill(rows: Sequence[AccountRow], seller_id: str, day: date) -> bytes:
    """The summary stands first in the archive, as in some genuine ones."""
    incoming, outgoing = [row.fen for row in rows if row.fen > 0], [row.fen for row in rows if row.fen <= 0]
    stem, head = f"{seller_id}0156_{day:%Y%m%d}_账务明细", _head(seller_id, day)
    summary = ["#支付宝账务汇总查询", *head, _ACCOUNT_SUMMARY_HEADING]
    for word in dict.fromkeys(row.word for row in rows):
        summary.append(_summed(word, [row.fen for row in rows if row.word == word]))
    detail = [
        "#支付宝账务明细查询",
        *head,
        f"#{_DASHES}账务明细列表{_DASHES}",
        _ACCOUNT_HEADING,
        *(row.text() for row in rows),
        f"#{_DASHES}账务明细列表结束{_DASHES},,,,,,,,,,,,,,,",
        f"#支出合计：{len(outgoing)}笔，共{yuan_text(sum(outgoing))}元",
        f"#收入合计：{len(incoming)}笔，共{yuan_text(sum(incoming))}元",
    ]
    return _zip({f"{stem}(汇总).csv": [*summary, _summed("合计", [row.fen for row in rows])], f"{stem}.csv": detail})


def _summed(word: str, fens: list[int]) -> str:
    incoming, outgoing = [fen for fen in fens if fen > 0], [fen for fen in fens if fen <= 0]
    sums = (sum(incoming), sum(outgoing), sum(fens))
    texts = [yuan_text(fen) for fen in sums]
    return f"{word},{len(incoming)},{texts[0]},{len(outgoing)},{texts[1]},{texts[2]}"


def _head(seller_id: str, day: date) -> list[str]:
    first, last = (f"[{moment:%Y年%m月%d日} 00:00:00]" for moment in (day, day + timedelta(days=1)))
    return [f"#账号：[{seller_id}0156]", f"#起始日期：{first}   终止日期：{last}"]


def _zip(files: dict[str, Iterable[str]]) -> bytes:
    """`zipfile` writes other than ASCII names as UTF-8 only, so each entry is written under an ASCII name of the same
    length in bytes, and the names are exchanged in the finished archive."""
    target = io.BytesIO()
    stand_ins = {name: f"@{place}".ljust(len(name.encode("gbk")), "@") for place, name in enumerate(files)}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, lines in files.items():
            text = "\r\n".join(lines) + "\r\n"
            archive.writestr(zipfile.ZipInfo(stand_ins[name]), text.encode("gbk", "replace"), zipfile.ZIP_DEFLATED)
    content = target.getvalue()
    for name, stand_in in stand_ins.items():
        content = content.replace(stand_in.encode(), name.encode("gbk"))
    return content
