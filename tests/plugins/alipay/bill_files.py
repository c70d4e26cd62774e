"""Takes bills apart and puts them together, without the plugin's help."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping


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
