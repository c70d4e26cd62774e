"""Files as Alipay makes its bills: a ZIP of CSV files, or one of these by itself as a person saved it.

A bill is read line by line from the bytes, as often as needed: nothing but its head and foot is kept in memory.
"""

from __future__ import annotations

import csv
import io
import re
import struct
import unicodedata
import zipfile
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import IO

from app.providers import UnreadableBill
from plugins.alipay.fields import optional_number
from plugins.alipay.formats import BEIJING, parse_time

MAX_ZIP_BYTES = 64 * 1024 * 1024
MAX_CSV_BYTES = 512 * 1024 * 1024
MAX_ENTRIES = 16
MAX_REMARKS = 1_000
"""A bill has about ten lines that begin with `#`; a file with more than this is none."""
MAX_PROBLEMS = 100
"""So many rows of a bill are named as unreadable; of the others only the number is told."""
ZONE = "Asia/Shanghai"

_SPOILT = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    csv.Error,
    ValueError,
    ArithmeticError,
    RuntimeError,
    EOFError,
    OSError,
)
"""What the libraries raise for a file in which bits were flipped."""
_COMPRESSED_BY = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ZIP = b"PK\x03\x04"
_SNIFFED = 4_096
_ACCOUNT = re.compile(r"#账号.\[([0-9]+)\]")
_MERCHANT_DIGITS = 16
"""Of the number in a bill's head; `0156` stands behind them."""
_MOMENT = r"\[([0-9]{4})年([0-9]{2})月([0-9]{2})日 ([0-9]{2}):([0-9]{2}):([0-9]{2})\]"
_PERIOD = re.compile(rf"#起始日期.{_MOMENT}\s*终止日期.{_MOMENT}")
_DAY_IN_A_NAME = re.compile(r"^2088[0-9]{12,16}_([0-9]{4})([0-9]{2})([0-9]{2})(?![0-9])", re.ASCII)
"""Alipay's names and ours begin so. The date in any other name may be that of a download."""
_UNIT = re.compile(r"\([+-]?元\)$")
_AMOUNT = re.compile(r"([+-]?)([0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,16})(?:\.([0-9]{1,2})0*)?", re.ASCII)
_REMEMBERED = 4_096
"""Texts of amounts and times that are not read again: prices repeat, and a busy shop has many rows in a second."""
_LONGEST_KEY = 112
"""Of what the columns give; a running number may follow, and a line's key has 128 characters."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the detail file: its place in the list, and its cells by column name."""

    place: int
    cells: Mapping[str, str]

    def __str__(self) -> str:
        """The row for people: its place, and Alipay's number if that can be read."""
        for name in ("支付宝交易号", "账务流水号"):
            if theirs := optional_number(self.cells, name):
                return f"row {self.place} ({'trade' if name == '支付宝交易号' else 'entry'} {theirs})"
        return f"row {self.place}"


@dataclass(frozen=True, slots=True)
class Table:
    """The detail file of a bill."""

    source: Callable[[], IO[bytes]]
    encoding: str
    remarks: tuple[str, ...]
    """Head and foot: the lines that begin with `#`, brackets and colons in their half width."""
    columns: tuple[str, ...]
    """Names as in the heading, without the unit; empty where a quiet day has no heading."""
    file_name: str

    def rows(self) -> Iterator[Row]:
        """The rows, read from the bytes anew. Names come with full- or half-width brackets and a unit, identifiers with
        a tab behind them. Each line is read alone: a quotation mark in a product's name swallows no row behind it."""
        lines = (line for line in _lines(self.source, self.encoding) if not _is_remark(line))
        next(lines, None)
        for place, line in enumerate(lines, start=1):
            yield Row(place, dict(zip(self.columns, map(str.strip, _cells(line)), strict=False)))

    def require_columns(self, names: tuple[str, ...]) -> None:
        missing = [name for name in names if name not in self.columns]
        if self.columns and missing:
            raise UnreadableBill(f"columns are missing: {', '.join(missing)}")

    @property
    def account(self) -> str:
        """The number in the head: the merchant's with `0156` behind it. Raises UnreadableBill where there is none."""
        found = next(filter(None, map(_ACCOUNT.search, self.remarks)), None)
        if found is None:
            raise UnreadableBill("it does not say whose it is")
        return found[1][:_MERCHANT_DIGITS]

    def period(self, name: str) -> tuple[datetime, datetime]:
        """The time that the bill covers, half open: by its head, or else by the day in the document's name."""
        told = next(filter(None, map(_PERIOD.search, self.remarks)), None)
        named = _DAY_IN_A_NAME.search(self.file_name) or _DAY_IN_A_NAME.search(name)
        with unreadable():
            if told is not None:
                since, until = _moment(told.groups()[:6]), _moment(told.groups()[6:])
            elif named is not None:
                since = _moment(named.groups())
                until = since + timedelta(days=1)
            else:
                raise UnreadableBill("it does not say which days it covers")
        until += timedelta(seconds=until.second == 59)  # written as the last second of a day
        if since >= until:
            raise UnreadableBill("it ends before it begins")
        self._require_named_day(name, since, until)
        return since, until

    def _require_named_day(self, name: str, since: datetime, until: datetime) -> None:
        """A document that Alipay or we named has its day in its name."""
        named = _DAY_IN_A_NAME.search(name)
        with unreadable():
            if named is not None and not since <= _moment(named.groups()) < until:
                raise UnreadableBill("it covers other days than its name says")


def detail_of(content: bytes, title: str, entry_name: re.Pattern[str]) -> Table:
    """The detail file of a bill: the one whose first line has this title, as the summary may stand before it; or whose
    name is like this. Raises UnreadableBill."""
    with unreadable():
        if len(content) > MAX_CSV_BYTES:
            raise UnreadableBill("larger than any bill")
        if not content.startswith(_ZIP):
            return _table(lambda: io.BytesIO(content), "")
        found = [(name, source) for name, source in _entries(content) if _is_detail(name, source, title, entry_name)]
        if len(found) != 1:
            raise UnreadableBill("not exactly one detail file in it")
        name, source = found[0]
        return _table(source, name)


@contextmanager
def unreadable() -> Iterator[None]:
    """Whatever a spoilt file may lead to is told as UnreadableBill."""
    try:
        yield
    except UnreadableBill:
        raise
    except _SPOILT as error:
        raise UnreadableBill(f"{type(error).__name__} {error}") from None


def _entries(content: bytes) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    """Names are GBK without the flag that would say so."""
    with zipfile.ZipFile(io.BytesIO(content), metadata_encoding="gbk") as archive:
        entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise UnreadableBill("more files in it than in any bill")
    if sum(entry.file_size for entry in entries) > MAX_CSV_BYTES:
        raise UnreadableBill("larger than any bill")
    if any(entry.compress_type not in _COMPRESSED_BY for entry in entries):
        raise UnreadableBill("compressed like no bill")
    for entry in entries:
        yield entry.filename, _opener(content, entry)


def _opener(content: bytes, entry: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    def opened() -> IO[bytes]:
        # The file tells its size before; a stream that is longer ends as a bad ZIP.
        return zipfile.ZipFile(io.BytesIO(content), metadata_encoding="gbk").open(entry)

    return opened


def _is_detail(name: str, source: Callable[[], IO[bytes]], title: str, entry_name: re.Pattern[str]) -> bool:
    with source() as file:
        first = _decoded(file.read(_SNIFFED)).replace("\r", "\n").partition("\n")[0]
    return title in first if first.startswith("#") else bool(entry_name.search(name))


def _table(source: Callable[[], IO[bytes]], name: str) -> Table:
    """Reads all of the file once: cut short or spoilt in the ZIP's own check sums, it fails here."""
    with source() as file:
        encoding = _encoding(file.read(_SNIFFED))
    remarks: list[str] = []
    heading = ""
    for line in _lines(source, encoding):
        if _is_remark(line):
            remarks.append(unicodedata.normalize("NFKC", line).strip(", \t"))
            if len(remarks) > MAX_REMARKS:
                raise UnreadableBill("more remarks in it than in any bill")
        elif not heading:
            heading = line
    columns = tuple(_plain(cell) for cell in _cells(heading)) if heading else ()
    return Table(source, encoding, tuple(remarks), columns, name)


def _lines(source: Callable[[], IO[bytes]], encoding: str) -> Iterator[str]:
    """The lines that say something. Some are filled up with commas."""
    # A spoilt letter in a product's name must not cost the day: numbers, times and amounts are checked one by one.
    with source() as file, io.TextIOWrapper(file, encoding, "replace") as text:
        for line in text:
            stripped = line.strip(", \t\r\n")
            if stripped:
                yield stripped if stripped.startswith("#") else line.rstrip("\r\n")


def _is_remark(line: str) -> bool:
    return line.startswith("#")


def _encoding(start: bytes) -> str:
    """GBK as Alipay writes it (gb18030 reads all of it), or UTF-8 as other programs save it: the first line tells,
    since its title is in Chinese."""
    if start.startswith(BOM_UTF8):
        return "utf-8-sig"
    try:
        start.replace(b"\r", b"\n").partition(b"\n")[0].decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"


def _decoded(start: bytes) -> str:
    return start.decode(_encoding(start), "replace")


def _cells(line: str) -> list[str]:
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def _plain(name: str) -> str:
    return _UNIT.sub("", unicodedata.normalize("NFKC", name).strip())


def _moment(parts: tuple[str, ...]) -> datetime:
    """Year, month, day, and perhaps a time, of Beijing. Raises ValueError for what is none."""
    year, month, day, hour, minute, second = (*map(int, parts), 0, 0, 0)[:6]
    return datetime(year, month, day, hour, minute, second, tzinfo=BEIJING).astimezone(UTC)


@lru_cache(maxsize=_REMEMBERED)
def fen(text: str) -> int:
    """An amount with its sign, with or without decimals and thousands separators. Raises ValueError for anything else:
    the text is not quoted, it is a person's data perhaps."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError("an amount is none")
    sign, whole, part = found.groups()
    minor = int(whole.replace(",", "")) * 100 + int((part or "").ljust(2, "0"))
    return -minor if sign == "-" else minor


@lru_cache(maxsize=_REMEMBERED)
def moment(text: str) -> datetime:
    """The time of a row. Raises ValueError for what is none."""
    return parse_time(text)


def text_key(*parts: str) -> str:
    """The key of a line from what names it."""
    key = ":".join(parts)
    return key if len(key) <= _LONGEST_KEY else sha256(key.encode()).hexdigest()


class RunningNumbers:
    """Makes keys of rows unique in their bill: a row that stands there twice gets `#2` behind its key."""

    def __init__(self) -> None:
        self._seen: set[int] = set()  # digests: of a million keys the texts would take twice the room
        self._repeated: dict[str, int] = {}

    def unique(self, key: str) -> str:
        digest = int.from_bytes(blake2b(key.encode(), digest_size=8).digest())
        if digest not in self._seen:
            self._seen.add(digest)
            return key
        self._repeated[key] = self._repeated.get(key, 1) + 1
        return f"{key}#{self._repeated[key]}"


class Problems:
    """What is odd about rows, for people: some are named and the rest counted."""

    def __init__(self) -> None:
        self._named: list[str] = []
        self._count = 0

    def add(self, text: str) -> None:
        self._count += 1
        if self._count <= MAX_PROBLEMS:
            self._named.append(text)

    def told(self) -> tuple[str, ...]:
        more = self._count - len(self._named)
        return (*self._named, *([f"and {more} more"] if more else []))
