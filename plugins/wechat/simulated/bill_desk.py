"""Where the simulated WeChat Pay hands out bills: by v3 in two steps, by v2 at once."""

from __future__ import annotations

import gzip
import hashlib
import secrets
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

from plugins.wechat.bills.feeds import FUND_ACCOUNTS, TRADE_BILL
from plugins.wechat.documents import BEIJING
from plugins.wechat.simulated.bill_sheet import BillFaults
from plugins.wechat.simulated.bills import MADE_AT, make_bill
from plugins.wechat.simulated.books import Books, Now, Refused
from plugins.wechat.simulated.exchange import Answer
from plugins.wechat.simulated.fund_bill import make_fund_bill
from plugins.wechat.simulated.funds import Funds
from plugins.wechat.simulated.keys import SimulatorConfig
from plugins.wechat.simulated.signer import Situation

FILE_PATH = "/v3/billdownload/file"
KEPT = timedelta(days=92)
TOKEN_LIVES = timedelta(minutes=5)
V2_MESSAGES = {
    "NO_STATEMENT_EXIST": ("No Bill Exist", "20002"),
    "STATEMENT_CREATING": ("Bill Creating", "20001"),
    "INVALID_REQUEST": ("invalid bill_date", "20001"),
}
_FEEDS = {account: feed for feed, account in FUND_ACCOUNTS.items()}


class BillDesk:
    def __init__(
        self,
        config: SimulatorConfig,
        books: Books,
        funds: Funds,
        faults: BillFaults,
        situation: Situation,
        now: Now,
        public_url: str,
    ) -> None:
        self._config = config
        self._books = books
        self._funds = funds
        self._faults = faults
        self._situation = situation
        self._now = now
        self._public_url = public_url
        self._tokens: dict[str, tuple[bytes, datetime]] = {}

    def name(self, asked: Mapping[str, str]) -> dict[str, str]:
        """v3, the first step: where the trade bill is, and the hash of its text."""
        return self._named(asked, self._text(TRADE_BILL, asked.get("bill_date", ""), "%Y-%m-%d"))

    def name_funds(self, asked: Mapping[str, str]) -> dict[str, str]:
        """v3, the first step, for a fund flow bill."""
        return self._named(asked, self._text(_feed(asked), asked.get("bill_date", ""), "%Y-%m-%d"))

    def _named(self, asked: Mapping[str, str], text: tuple[bytes, bytes]) -> dict[str, str]:
        right, content = text
        gzipped = asked.get("tar_type") == "GZIP"
        token = secrets.token_urlsafe(48)
        self._tokens[token] = (gzip.compress(content, mtime=0) if gzipped else content, self._now())
        digest = hashlib.sha1(right, usedforsecurity=False).hexdigest()
        url = f"{self._public_url}{FILE_PATH}?token={token}{'&tartype=gzip' if gzipped else ''}"
        return {"hash_type": "SHA1", "hash_value": digest, "download_url": url}

    def hand_out(self, asked: Mapping[str, str]) -> Answer:
        """v3, the second step: the file, without a signature. An address is good for some minutes."""
        content, since = self._tokens.get(asked.get("token", ""), (b"", self._now() - TOKEN_LIVES * 2))
        if self._now() - since > TOKEN_LIVES:
            raise Refused(400, "INVALID_REQUEST", "下载地址已失效")
        return Answer(200, content, {"Content-Type": "application/octet-stream"})

    def download(self, asked: Mapping[str, str]) -> Answer:
        """v2: the trade bill, without a signature."""
        return _plain(self._text(TRADE_BILL, asked.get("bill_date", ""), "%Y%m%d"))

    def download_funds(self, asked: Mapping[str, str]) -> Answer:
        """v2: a fund flow bill, without a signature."""
        return _plain(self._text(_feed(asked), asked.get("bill_date", ""), "%Y%m%d"))

    def _text(self, feed: str, day: str, form: str) -> tuple[bytes, bytes]:
        """The bill, and what is handed out for it. `corrupt` is other money than what was signed for, with totals to
        match."""
        try:
            wanted = datetime.strptime(day, form).replace(tzinfo=BEIJING)
        except ValueError:
            raise Refused(400, "PARAM_ERROR", "bill_date") from None
        today = datetime.combine(self._now().astimezone(BEIJING).date(), time(), BEIJING)
        if not today - KEPT <= wanted < today:
            raise Refused(400, "INVALID_REQUEST", "账单日期不正确")
        made = datetime.combine(wanted.date() + timedelta(days=1), MADE_AT)
        situation = self._situation.bill if feed == TRADE_BILL else self._situation.fund_bill
        if situation == "refused":
            raise Refused(403, "NO_AUTH", "商户无此权限")
        if self._now() < made or situation == "creating":
            raise Refused(400, "STATEMENT_CREATING", "请求的账单正在生成中,请稍后再试")
        text = self._made(feed, wanted.date())
        if not text or situation == "missing":
            raise Refused(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")
        right = (_with_a_row_missing(text) if situation == "omit" else text).encode()
        return right, right.replace(b"`6.00", b"`9.00") if situation == "corrupt" else right

    def _made(self, feed: str, day: date) -> str:
        if feed == TRADE_BILL:
            return make_bill(self._books.orders.values(), self._config, day, self._faults)
        return make_fund_bill(self._funds, feed, day, self._faults)


def _feed(asked: Mapping[str, str]) -> str:
    try:
        return _FEEDS[asked.get("account_type", "BASIC").upper()]
    except KeyError:
        raise Refused(400, "PARAM_ERROR", "account_type") from None


def _plain(text: tuple[bytes, bytes]) -> Answer:
    return Answer(200, text[1], {"Content-Type": "text/plain"})


def _with_a_row_missing(text: str) -> str:
    """The totals, and the hash, are as if they did not know."""
    header, _, *others = text.split("\r\n")
    return "\r\n".join([header, *others])


def refused_in_v2(refused: Refused) -> dict[str, str]:
    """How v2 says that there is no trade bill: without a signature, and with a number of its own in place of a code."""
    message, number = V2_MESSAGES.get(refused.code, ("data format error", "20001"))
    return {"return_code": "FAIL", "return_msg": message, "error_code": number}
