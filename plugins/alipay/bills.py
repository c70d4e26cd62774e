"""The trade bill: one ZIP of GBK CSV files a day, per merchant account, with the orders of all its apps."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from app.domain.money import Money
from app.providers import Declined, Fact, Kind, Page, Ref, Retryable, Unknown
from plugins.alipay import codes
from plugins.alipay.client import GatewayClient
from plugins.alipay.fields import number, optional_number
from plugins.alipay.formats import beijing_day, day_start, parse_time, yuan
from plugins.alipay.mapping import Merchant
from plugins.alipay.responses import Answer

TRADE_BILL = "trade_bill"
MAX_ZIP_BYTES = 64 * 1024 * 1024
MAX_CSV_BYTES = 512 * 1024 * 1024
MAX_ENTRIES = 16
USUALLY_READY_AFTER = timedelta(hours=33)
ASK_AGAIN = timedelta(minutes=30)
READY_AFTER = timedelta(days=2)
"""A bill is there at 9:00 the next morning (33 hours after its day began), or 10:00 by older pages. When none is there
after two days, there were no trades: `NO_BILL_DATA` and `BILL_NOT_EXIST` mean either. A file that cannot be read may be
cut short on its way, so it is fetched again until then; after that it is handed on unread, with its problem."""
MAX_PROBLEMS = 100
"""So many rows of a bill are named as unreadable; of the others only the number is told."""

PAYMENT, REFUND = "交易", "退款"
_DETAIL_NAME = re.compile(r"业务明细\.csv$")
_ACCOUNT = re.compile(r"#账号.\[([0-9]+)\]")
_FOOT = re.compile(r"#(交易|退款)合计.([0-9]+)笔,商家实收(?:退款)?共(-?[0-9.]+)元")
MAX_REQUEST_NUMBER = 64
_MONEY = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_COLUMNS = ("支付宝交易号", "商户订单号", "业务类型", "完成时间", "订单金额", "商家实收", "退款批次号/请求号", "服务费")


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked for, and when it is asked."""

    since: datetime
    until: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class Bill:
    """What a bill says, and which of its rows say nothing that can be read."""

    facts: tuple[Fact, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the detail file: its place in the list, and its cells by column name."""

    place: int
    cells: Mapping[str, str]

    @property
    def kind(self) -> str:
        return self.cells.get("业务类型", "")

    def __str__(self) -> str:
        """The row for people: its place, and Alipay's number if that can be read."""
        theirs = optional_number(self.cells, "支付宝交易号")
        return f"row {self.place}" + (f" (trade {theirs})" if theirs else "")


def scan(client: GatewayClient, merchant: Merchant, window: Window, cursor: str | None) -> Page:
    """The bill of one Beijing day, its facts cut to the window. Raises Declined for a cursor that is not ours."""
    day = _day(cursor, window)
    following = day + timedelta(days=1)
    more = following.isoformat() if day_start(following) < window.until else None
    content = _fetch(client, day, window.now)
    if content is None:
        return Page((), more)
    files = ((f"{merchant.seller_id}_{day:%Y%m%d}.zip", content),)
    try:
        bill = read_bill(content, merchant)
    except Unknown as error:
        if window.now < day_start(day) + READY_AFTER:
            raise
        return Page((), more, files, (str(error),))
    inside = tuple(fact for fact in bill.facts if window.since <= fact.at < window.until)
    return Page(inside, more, files, bill.problems)


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


def read_bill(content: bytes, merchant: Merchant) -> Bill:
    """All payments and refunds of a bill. Raises Unknown when the file is not ours, not whole or not readable.

    An odd row stops no other row: it becomes a problem.
    """
    try:
        text = _detail_text(content)
        _require_account(text, merchant)
        rows = list(_rows(text))
        _require_whole(text, rows)
    except (zipfile.BadZipFile, zlib.error, csv.Error, ValueError, InvalidOperation, RuntimeError) as error:
        raise Unknown(f"the bill cannot be read: {type(error).__name__} {error}") from None
    return _bill(rows, merchant)


def _bill(rows: Iterable[Row], merchant: Merchant) -> Bill:
    facts: list[Fact] = []
    problems: list[str] = []
    for row in rows:
        try:
            facts.append(_fact(row.cells, merchant))
            problems += [f"{row}: {odd}" for odd in _oddities(row.cells)]
        except KeyError as error:
            problems.append(f"{row}: the column {error} is missing")
        except ValueError as error:
            problems.append(f"{row}: {error}")
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"and {len(problems) - MAX_PROBLEMS} more"]
    return Bill(tuple(facts), tuple(problems))


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
    # A spoilt letter in a product's name must not cost the day: numbers, times and amounts are checked one by one.
    if data.startswith(BOM_UTF8):
        return data.removeprefix(BOM_UTF8).decode("utf-8", "replace")
    return data.decode("gb18030", "replace")


def _require_account(text: str, merchant: Merchant) -> None:
    """The account number in the head is the merchant's with `0156` behind it."""
    found = _ACCOUNT.search(text)
    if found is None or not found[1].startswith(merchant.seller_id):
        raise ValueError("it is another account's")


def _rows(text: str) -> Iterator[Row]:
    """The rows by column name. Names come with full- or half-width brackets and a unit, ids with a tab behind them.

    Each line is read alone: a quotation mark in a product's name cannot swallow the rows behind it. A file without any
    line but head and foot is that of a quiet day.
    """
    lines = [line for line in text.splitlines() if line.strip(", \t") and not line.startswith("#")]
    if not lines:
        return
    header = [_plain(name) for name in next(csv.reader(lines[:1]))]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise ValueError(f"columns are missing: {', '.join(missing)}")
    for place, line in enumerate(lines[1:], start=1):
        yield Row(place, dict(zip(header, (cell.strip() for cell in _cells(line)), strict=False)))


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]))
    except csv.Error:
        return []


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().removesuffix("(元)")


def _require_whole(text: str, rows: list[Row]) -> None:
    """Compare count and received money with the totals at the foot, for payments and refunds. A kind without rows may
    lack its total; a file that was cut short lacks both, or that of its rows.

    Rows whose kind cannot be read count for either kind; a sum is compared if all the amounts behind it can be read.
    """
    feet = {kind: (int(count), abs(Decimal(total))) for kind, count, total in _FOOT.findall(_normal(text))}
    if not feet:
        raise ValueError("the totals are missing")
    told = {kind: feet.get(kind, (0, Decimal(0))) for kind in (PAYMENT, REFUND)}
    lacking = {kind: told[kind][0] - sum(row.kind == kind for row in rows) for kind in told}
    unread = sum(row.kind not in told for row in rows)
    if min(lacking.values()) < 0 or sum(lacking.values()) > unread:
        raise ValueError("rows and totals do not agree: their number")
    for kind, (_, total) in told.items():
        received = [row.cells.get("商家实收", "") for row in rows if row.kind == kind]
        readable = not lacking[kind] and all(map(_MONEY.fullmatch, received))
        if readable and sum((abs(Decimal(text)) for text in received), Decimal(0)) != total:
            raise ValueError("rows and totals do not agree: the money received")


def _normal(text: str) -> str:
    return "\n".join(unicodedata.normalize("NFKC", line) for line in text.splitlines() if line.startswith("#"))


def _fact(row: Mapping[str, str], merchant: Merchant) -> Fact:
    """Refund rows repeat the payment's numbers; their amounts are negative in real files, positive in one public
    sample, so the type decides. `account` is ours: the bill was asked for and checked as this merchant's. Orders of
    the merchant's other apps are in it too, under numbers that are not ours. Raises ValueError, KeyError."""
    if row["业务类型"] not in (PAYMENT, REFUND):
        raise ValueError("it is neither a payment nor a refund")
    if not _MONEY.fullmatch(row["商家实收"]):
        raise ValueError("the money received is no amount")  # so the totals cannot speak for this row
    refund = row["业务类型"] == REFUND
    money = yuan(row["订单金额"].removeprefix("-"))
    ours, theirs = optional_number(row, "商户订单号"), number(row, "支付宝交易号")  # another app's may be any letters
    request = row["退款批次号/请求号"]
    if not request.isprintable() or len(request) > MAX_REQUEST_NUMBER:
        raise ValueError("the refund's number cannot be kept")
    return Fact(
        kind=Kind.REFUNDED if refund else Kind.PAID,
        ref=Ref(ours=ours, theirs=theirs, refund=(request or ours or theirs) if refund else None),
        at=parse_time(row["完成时间"]),
        money=money,
        account=merchant.account,
        live=merchant.live,
        fee=_fee_given_back(row["服务费"]) if refund else _fee_kept(row["服务费"]),
        raw={name: value for name, value in row.items() if name != "对方账户"},
    )


def _fee_kept(text: str) -> Money | None:
    """The service fee of a payment, negative in the file: it was taken off."""
    return yuan(text.removeprefix("-")) if text else None


def _fee_given_back(text: str) -> Money | None:
    """The fee that came back with a refund, positive in the file; whether any does depends on the contract. A fee that
    was taken for a refund has no place in a fact: `_oddities` shows it."""
    return yuan(text) if text and not text.startswith("-") else None


def _oddities(row: Mapping[str, str]) -> Iterator[str]:
    """What a readable row says beyond its fact, and a person has to see."""
    if row["业务类型"] == REFUND and row["服务费"].startswith("-") and row["服务费"].strip("-0."):
        yield f"a fee of {row['服务费']} was taken for the refund"
