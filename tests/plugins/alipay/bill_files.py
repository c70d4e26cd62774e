"""Takes bills apart and puts them together, without the plugin's help."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from decimal import Decimal


def csv_files(content: bytes) -> dict[str, str]:
    """The files of a ZIP, by name."""
    with zipfile.ZipFile(io.BytesIO(content), metadata_encoding="gbk") as archive:
        return {name: archive.read(name).decode("gb18030") for name in archive.namelist()}


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """A ZIP whose names are UTF-8; texts are written as GBK."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text.encode("gb18030") if isinstance(text, str) else text)
    return target.getvalue()


def detail_text(content: bytes) -> str:
    """The text of the detail file: in a ZIP or by itself."""
    if not content.startswith(b"PK"):
        return content.decode("gb18030")
    return next(text for name, text in csv_files(content).items() if "汇总" not in name)


def read_rows(text: str) -> list[dict[str, str]]:
    """The rows of a detail file by column name, read in another way than the plugin's: cut at commas."""
    lines = [line for line in text.splitlines() if not line.startswith("#") and line.strip(",\t ")]
    names = [re.sub(r"[（(][+-]?元[)）]", "", name) for name in lines[0].split(",")]
    return [dict(zip(names, (cell.strip() for cell in line.split(",")), strict=True)) for line in lines[1:]]


def yuan_fen(text: str) -> Decimal:
    return Decimal(text or "0") * 100
