"""Trade bills of the simulated WeChat Pay: the text is the same in both generations, how it is handed out is not."""

from __future__ import annotations

import gzip
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from plugins.wechat.bills.rows import COUNT
from plugins.wechat.documents import BEIJING
from plugins.wechat.simulated.books import Books, Now, Order, Refund, Refused
from plugins.wechat.simulated.exchange import Answer
from plugins.wechat.simulated.keys import SimulatorConfig
from plugins.wechat.simulated.signer import Situation

FILE_PATH = "/v3/billdownload/file"
MADE_AT = time(10, tzinfo=BEIJING)
KEPT = timedelta(days=92)
TOKEN_LIVES = timedelta(minutes=5)
FEE_PER_MILLE = 6
COLUMNS = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
TOTALS = f"{COUNT},应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
BILL_REFUND_WORDS = {"CLOSED": "FAIL", "ABNORMAL": "CHANGE"}
V2_MESSAGES = {
    "NO_STATEMENT_EXIST": ("No Bill Exist", "20002"),
    "STATEMENT_CREATING": ("Bill Creating", "20001"),
    "INVALID_REQUEST": ("invalid bill_date", "20001"),
}


@dataclass(frozen=True, slots=True)
class _Row:
    """One payment or refund, amounts in fen."""

    at: datetime
    order: Order
    paid: int = 0
    coupon: int = 0
    returned: int = 0
    refund: Refund | None = None
    status: str = ""
    """Of the refund, when the bill was made: what became of it later is in no bill."""

    @property
    def fee(self) -> int:
        """What WeChat Pay took, or gave back of it (negative)."""
        return round((self.paid - self.returned) * FEE_PER_MILLE / 1000)

    def cells(self, config: SimulatorConfig) -> list[str]:
        order, refund = self.order, self.refund
        paid = "待定" if order.odd_in_bills else _yuan(self.paid)
        back = ["0", "0"] if refund is None else [refund.refund_id, refund.number]
        how = ["", ""] if refund is None else ["ORIGINAL", BILL_REFUND_WORDS.get(self.status, self.status)]
        state = "SUCCESS" if refund is None else "REFUND"
        subject = str(order.request.get("description") or order.request.get("body") or "")
        return [
            *(f"{self.at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}", config.appid, config.mchid, "0", ""),
            *(order.transaction_id, order.number, order.openid, order.trade_type, state, "OTHERS", "CNY"),
            *(_yuan(self.paid - self.coupon), _yuan(self.coupon), *back, _yuan(self.returned), "0.00", *how),
            *(subject, order.attach, _fee(self.fee), "0.60%", paid, _yuan(self.returned), ""),
        ]


def make_bill(orders: Iterable[Order], config: SimulatorConfig, day: date) -> str:
    """The ALL bill of a Beijing day, as it was made the next morning and stays; empty if there was nothing."""
    made = datetime.combine(day + timedelta(days=1), MADE_AT)
    rows = [row for order in orders for row in _rows(order, made) if row.at.astimezone(BEIJING).date() == day]
    if not rows:
        return ""
    paid, net = sum(row.paid for row in rows), sum(row.paid - row.coupon for row in rows)
    returned, fees = sum(row.returned for row in rows), sum(row.fee for row in rows)
    totals = [str(len(rows)), _yuan(net), _yuan(returned), "0.00", _fee(fees), _yuan(paid), _yuan(returned)]
    lines = [COLUMNS, *(_line(row.cells(config)) for row in rows), TOTALS, _line(totals)]
    return "\ufeff" + "\r\n".join(lines) + "\r\n"


def _rows(order: Order, made: datetime) -> Iterable[_Row]:
    if order.paid_at:
        yield _Row(order.paid_at, order, paid=order.total, coupon=order.coupon)
    for refund in order.refunds:
        yield _Row(refund.created_at, order, returned=refund.amount, refund=refund, status=refund.status_at(made))


def _line(cells: list[str]) -> str:
    return ",".join(f"`{cell}" for cell in cells)


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def _fee(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{_yuan(abs(fen))}000"


class BillDesk:
    """Hands out bills: by v3 in two steps, by v2 at once."""

    def __init__(self, config: SimulatorConfig, books: Books, situation: Situation, now: Now, public_url: str) -> None:
        self._config = config
        self._books = books
        self._situation = situation
        self._now = now
        self._public_url = public_url
        self._tokens: dict[str, tuple[bytes, datetime]] = {}

    def name(self, asked: Mapping[str, str]) -> dict[str, str]:
        """v3, the first step: where the bill is, and the hash of its text."""
        text = self._text(asked.get("bill_date", ""), "%Y-%m-%d")
        digest = hashlib.sha1(text, usedforsecurity=False).hexdigest()
        gzipped = asked.get("tar_type") == "GZIP"
        content = self._spoilt(text)
        token = secrets.token_urlsafe(48)
        self._tokens[token] = (gzip.compress(content) if gzipped else content, self._now())
        url = f"{self._public_url}{FILE_PATH}?token={token}{'&tartype=gzip' if gzipped else ''}"
        return {"hash_type": "SHA1", "hash_value": digest, "download_url": url}

    def hand_out(self, asked: Mapping[str, str]) -> Answer:
        """v3, the second step: the file, without a signature. An address is good for some minutes."""
        content, since = self._tokens.get(asked.get("token", ""), (b"", self._now() - TOKEN_LIVES * 2))
        if self._now() - since > TOKEN_LIVES:
            raise Refused(400, "INVALID_REQUEST", "下载地址已失效")
        return Answer(200, content, {"Content-Type": "application/octet-stream"})

    def download(self, asked: Mapping[str, str]) -> Answer:
        """v2: the file, without a signature."""
        text = self._text(asked.get("bill_date", ""), "%Y%m%d")
        return Answer(200, self._spoilt(text), {"Content-Type": "text/plain"})

    def _text(self, day: str, form: str) -> bytes:
        try:
            wanted = datetime.strptime(day, form).replace(tzinfo=BEIJING)
        except ValueError:
            raise Refused(400, "PARAM_ERROR", "bill_date") from None
        today = datetime.combine(self._now().astimezone(BEIJING).date(), time(), BEIJING)
        if not today - KEPT <= wanted < today:
            raise Refused(400, "INVALID_REQUEST", "账单日期不正确")
        made = datetime.combine(wanted.date() + timedelta(days=1), MADE_AT)
        if self._now() < made or self._situation.bill == "creating":
            raise Refused(400, "STATEMENT_CREATING", "请求的账单正在生成中,请稍后再试")
        text = make_bill(self._books.orders.values(), self._config, wanted.date())
        if not text or self._situation.bill == "missing":
            raise Refused(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")
        return self._omitted(text).encode()

    def _omitted(self, text: str) -> str:
        """`omit`: a row is missing, and the totals (and the hash) are as if they did not know."""
        if self._situation.bill != "omit":
            return text
        header, _, *others = text.split("\r\n")
        return "\r\n".join([header, *others])

    def _spoilt(self, text: bytes) -> bytes:
        """`corrupt`: other money than what was signed for, with totals to match."""
        return text.replace(b"`6.00", b"`9.00") if self._situation.bill == "corrupt" else text


def refused_in_v2(refused: Refused) -> dict[str, str]:
    """How v2 says that there is no bill: without a signature, and with a number of its own in place of a code."""
    message, number = V2_MESSAGES.get(refused.code, ("data format error", "20001"))
    return {"return_code": "FAIL", "return_msg": message, "error_code": number}
