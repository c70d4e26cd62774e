"""The trade bill: one ZIP of GBK CSV files a day, per merchant account, with the orders of all its apps."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from app.domain.money import Money
from app.providers import Declined, Fact, Kind, Page, Ref, Retryable, Unknown
from plugins.alipay import codes
from plugins.alipay.client import GatewayClient
from plugins.alipay.formats import beijing_day, day_start, parse_time, yuan
from plugins.alipay.mapping import Merchant, number, optional_number
from plugins.alipay.responses import Answer

TRADE_BILL = "trade_bill"
MAX_ZIP_BYTES = 64 * 1024 * 1024
MAX_CSV_BYTES = 512 * 1024 * 1024
MAX_ENTRIES = 16
USUALLY_READY_AFTER = timedelta(hours=33)
ASK_AGAIN = timedelta(minutes=30)
READY_AFTER = timedelta(days=2)
"""A bill is there at 9:00 the next morning (33 hours after its day began), or 10:00 by older pages. When none is there
after two days, there were no trades: `NO_BILL_DATA` and `BILL_NOT_EXIST` mean either."""

PAYMENT, REFUND = "交易", "退款"
_DETAIL_NAME = re.compile(r"业务明细\.csv$")
_ACCOUNT = re.compile(r"#账号.\[([0-9]+)\]")
_FOOT = re.compile(r"#(交易|退款)合计.([0-9]+)笔,商家实收(?:退款)?共(-?[0-9.]+)元")
_COLUMNS = ("支付宝交易号", "商户订单号", "业务类型", "完成时间", "订单金额", "商家实收", "退款批次号/请求号", "服务费")


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked for, and when it is asked."""

    since: datetime
    until: datetime
    now: datetime


def scan(client: GatewayClient, merchant: Merchant, window: Window, cursor: str | None) -> Page:
    """The bill of one Beijing day, its facts cut to the window. Raises Declined for a cursor that is not ours."""
    day = _day(cursor, window)
    following = day + timedelta(days=1)
    more = following.isoformat() if day_start(following) < window.until else None
    content = _fetch(client, day, window.now)
    if content is None:
        return Page((), more)
    facts = read_bill(content, merchant)
    inside = tuple(fact for fact in facts if window.since <= fact.at < window.until)
    return Page(inside, more, ((f"{merchant.seller_id}_{day:%Y%m%d}.zip", content),))


def _day(cursor: str | None, window: Window) -> date:
    try:
        return date.fromisoformat(cursor) if cursor else beijing_day(window.since)
    except ValueError:
        raise Declined("the cursor is not a day") from None


def _fetch(client: GatewayClient, day: date, now: datetime) -> bytes | None:
    """The day's ZIP; None when that day had no trades. The address is good for 30 seconds, so it is fetched at once."""
    answer = client.call(
        "alipay.data.dataservice.bill.downloadurl.query", {"bill_type": "trade", "bill_date": day.isoformat()}
    )
    if answer.ok:
        return client.download(_address(answer), MAX_ZIP_BYTES)
    if codes.reason(answer.sub_code) not in codes.NO_BILL:
        raise codes.failure(answer)
    if now < day_start(day) + READY_AFTER:
        ready = max(day_start(day) + USUALLY_READY_AFTER, now + ASK_AGAIN)
        raise Retryable("the bill is not made yet", code=codes.reason(answer.sub_code), not_before=ready)
    return None


def _address(answer: Answer) -> str:
    url = answer.text("bill_download_url")
    if urlsplit(url).scheme not in ("http", "https"):
        raise Unknown("the bill's address is not one")
    return url


def read_bill(content: bytes, merchant: Merchant) -> tuple[Fact, ...]:
    """All payments and refunds of a bill. Raises Unknown when it is not ours, not whole or not readable."""
    try:
        text = _detail_text(content)
        _require_account(text, merchant)
        rows = list(_rows(text))
        _require_whole(text, rows)
        return tuple(_fact(row, merchant) for row in rows if row["业务类型"] in (PAYMENT, REFUND))
    except (zipfile.BadZipFile, zlib.error, csv.Error, ValueError, KeyError, InvalidOperation, RuntimeError) as error:
        raise Unknown(f"the bill cannot be read: {type(error).__name__} {error}") from None


def _detail_text(content: bytes) -> str:
    """The detail file. Its name is GBK without the flag that would say so; gb18030 reads all of GBK."""
    with zipfile.ZipFile(io.BytesIO(content), metadata_encoding="gbk") as archive:
        entries = [entry for entry in archive.infolist() if _DETAIL_NAME.search(entry.filename)]
        if len(entries) != 1 or len(archive.infolist()) > MAX_ENTRIES:
            raise ValueError("not exactly one detail file in it")
        with archive.open(entries[0]) as file:
            data = file.read(MAX_CSV_BYTES + 1)
    if len(data) > MAX_CSV_BYTES:
        raise ValueError("larger than any bill")
    return data.decode("gb18030")


def _require_account(text: str, merchant: Merchant) -> None:
    """The account number in the head is the merchant's with `0156` behind it."""
    found = _ACCOUNT.search(text)
    if found is None or not found[1].startswith(merchant.seller_id):
        raise ValueError("it is another account's")


def _rows(text: str) -> Iterator[dict[str, str]]:
    """The rows by column name. Names come with full- or half-width brackets and a unit, ids with a tab behind them."""
    lines = (line for line in io.StringIO(text) if line.strip() and not line.startswith("#"))
    reader = csv.reader(lines)
    header = [_plain(name) for name in next(reader, [])]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise ValueError(f"columns are missing: {', '.join(missing)}")
    for cells in reader:
        yield dict(zip(header, (cell.strip() for cell in cells), strict=False))


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().removesuffix("(元)")


def _require_whole(text: str, rows: list[dict[str, str]]) -> None:
    """Compare count and received money with the totals at the foot, for payments and refunds. A kind without rows may
    lack its total; a file that was cut short lacks both, or that of its rows."""
    feet = {kind: (int(count), abs(Decimal(total))) for kind, count, total in _FOOT.findall(_normal(text))}
    if not feet:
        raise ValueError("the totals are missing")
    for kind in (PAYMENT, REFUND):
        received = [abs(Decimal(row["商家实收"])) for row in rows if row["业务类型"] == kind]
        if feet.get(kind, (0, Decimal(0))) != (len(received), sum(received, Decimal(0))):
            raise ValueError("rows and totals do not agree")


def _normal(text: str) -> str:
    return "\n".join(unicodedata.normalize("NFKC", line) for line in text.splitlines() if line.startswith("#"))


def _fact(row: Mapping[str, str], merchant: Merchant) -> Fact:
    """Refund rows repeat the payment's numbers; their amounts are negative in real files, positive in one public
    sample, so the type decides. `account` is ours: the bill was asked for and checked as this merchant's. Orders of
    the merchant's other apps are in it too, under numbers that are not ours."""
    refund = row["业务类型"] == REFUND
    money = yuan(row["订单金额"].removeprefix("-"))
    ours = optional_number(row, "商户订单号")  # another app may use any letters
    return Fact(
        kind=Kind.REFUNDED if refund else Kind.PAID,
        ref=Ref(
            ours=ours, theirs=number(row, "支付宝交易号"), refund=(row["退款批次号/请求号"] or ours) if refund else None
        ),
        at=parse_time(row["完成时间"]),
        money=money,
        account=merchant.account,
        live=merchant.live,
        fee=None if refund else _fee(row),
        raw={name: value for name, value in row.items() if name != "对方账户"},
    )


def _fee(row: Mapping[str, str]) -> Money | None:
    """The service fee, negative in the file: it was taken off."""
    text = row["服务费"].removeprefix("-")
    return yuan(text) if text else None
