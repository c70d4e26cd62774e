"""A report's table: text separated by tabs, mostly compressed, its columns found by name.

It is read row by row as often as needed, so that a large report takes no more memory than its compressed bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from app.domain.money import MAX_MINOR, exponent
from app.providers import UnreadableBill
from app.providers.limits import TERRITORY

MAX_REPORT_BYTES = 64 * 1024 * 1024
"""Of a report as it comes."""
MAX_TEXT_BYTES = 1024 * 1024 * 1024
"""Of its text: more is no report, but made to fill memory or time."""
LONGEST_LINE = 64 * 1024
IN_APP = frozenset({"IA1", "IA1-M", "FI1", "IA9", "IA9-M", "IAY", "IAY-M"})
"""Product Type Identifier of what is sold inside an app. `IA3` is a restored purchase, for which nothing is paid."""
_GZIP = b"\x1f\x8b"
_DATE = re.compile(r"[0-9]{2}/[0-9]{2}/[0-9]{4}", re.ASCII)
_DECIMAL = re.compile(r"-?([0-9]{1,15}(\.[0-9]{0,6})?|\.[0-9]{1,6})", re.ASCII)
_WHOLE = re.compile(r"-?[0-9]{1,12}(\.0+)?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_IN_DATES = "%m/%d/%Y"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its place in the file, and its cells by column name in lower case."""

    place: int
    cells: Mapping[str, str]

    def text(self, *names: str) -> str:
        """The cell under the first of these names that the report has: reports spell some columns in two ways."""
        for name in names:
            if name in self.cells:
                return self.cells[name]
        raise UnreadableBill(f"a report without the column {names[0]!r}")

    def day(self, name: str) -> date:
        return day_of(self.text(name), f"row {self.place}: {name}")

    def units(self, name: str) -> int:
        text = self.text(name)
        if not _WHOLE.fullmatch(text):
            raise UnreadableBill(f"row {self.place}: {name} is no whole number")
        return int(Decimal(text))

    def decimal(self, name: str) -> Decimal:
        """An empty cell is nothing: free items have them."""
        return decimal_of(self.text(name) or "0", f"row {self.place}: {name}")

    def currency(self, name: str) -> str:
        return self._code(name, _CURRENCY, "currency")

    def territory(self, name: str) -> str:
        return self._code(name, TERRITORY, "country")

    def _code(self, name: str, form: re.Pattern[str], what: str) -> str:
        code = self.text(name)
        if not form.fullmatch(code):
            raise UnreadableBill(f"row {self.place}: {name} is no {what}")
        return code


class LineKeys:
    """Names rows by what they are about, so that a report that is made again has the same names. Rows that are about
    the same are told apart by their order."""

    def __init__(self) -> None:
        self._seen = Counter[str]()

    def of(self, parts: Sequence[str]) -> str:
        digest = hashlib.sha256("\t".join(parts).encode()).hexdigest()
        self._seen[digest] += 1
        return f"{digest}:{self._seen[digest]}"


def text_lines(content: bytes) -> Iterator[str]:
    """The lines without their ends; empty ones are left out. Raises UnreadableBill."""
    if len(content) > MAX_REPORT_BYTES:
        raise UnreadableBill("a report larger than any")
    plain = io.BytesIO(content)
    read, source = 0, gzip.GzipFile(fileobj=plain) if content.startswith(_GZIP) else plain
    try:
        while line := source.readline(LONGEST_LINE + 1):
            read += len(line)
            if len(line) > LONGEST_LINE or read > MAX_TEXT_BYTES:
                raise UnreadableBill("a report larger than any")
            text = line.decode("utf-8-sig" if read == len(line) else "utf-8").rstrip("\r\n")
            if text.strip():
                yield text
    except (OSError, EOFError, zlib.error):
        raise UnreadableBill("the compressed file is not whole") from None
    except UnicodeDecodeError:
        raise UnreadableBill("not a text in UTF-8") from None


def column_names(line: str, wanted: Sequence[str]) -> list[str]:
    """The header's names in lower case. Raises UnreadableBill if one that is wanted is missing, or there twice."""
    names = [name.strip().lower() for name in line.split("\t")]
    missing = [name for name in wanted if names.count(name) != 1]
    if missing:
        raise UnreadableBill(f"not the report that was expected: its header has no column {missing[0]!r}")
    return names


def row_of(place: int, line: str, names: Sequence[str]) -> Row:
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) != len(names):
        raise UnreadableBill(f"row {place}: {len(cells)} cells under {len(names)} columns")
    return Row(place, dict(zip(names, cells, strict=True)))


def decimal_of(text: str, what: str) -> Decimal:
    """`6.00`, `-6`, `.42`. Raises UnreadableBill."""
    if not _DECIMAL.fullmatch(text):
        raise UnreadableBill(f"{what} is no amount")
    return Decimal(text)


def day_of(text: str, what: str) -> date:
    try:
        if _DATE.fullmatch(text):
            return datetime.strptime(text, _IN_DATES).date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        pass
    raise UnreadableBill(f"{what} is no day (MM/DD/YYYY)")


def minor_of(amount: Decimal, currency: str) -> int:
    """In minor units, rounded half up: reports give two places also where the currency has none."""
    minor = int(amount.scaleb(exponent(currency)).to_integral_value(ROUND_HALF_UP))
    if abs(minor) > MAX_MINOR:
        raise UnreadableBill("an amount larger than any")
    return minor
