"""The file of a bill as it was downloaded: plain or gzipped text, read in a stream so that a large one costs little."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from plugins.wechat.documents import Unreadable

MAX_FILE_BYTES = 64 * 1024 * 1024
"""As downloaded. A gzipped bill of this size has some two million rows."""
MAX_TEXT_BYTES = 512 * 1024 * 1024
MAX_LINE = 16 * 1024
_CHUNK = 256 * 1024
_GZIP = b"\x1f\x8b"


class BillFile:
    """Everything odd about it is `Unreadable`."""

    def __init__(self, content: bytes, max_text_bytes: int = MAX_TEXT_BYTES) -> None:
        self._content = content
        self._max_text_bytes = max_text_bytes

    @property
    def name_ending(self) -> str:
        return ".csv.gz" if self._content.startswith(_GZIP) else ".csv"

    def sha1(self) -> str:
        """Of the text, as WeChat Pay tells it: not of the gzipped file."""
        digest = hashlib.sha1(usedforsecurity=False)
        for chunk in self._chunks():
            digest.update(chunk)
        return digest.hexdigest()

    def lines(self) -> Iterator[str]:
        """The lines that are not blank. The text is UTF-8, with or without a byte order mark, and ends its lines in
        either way (both seen in published bills, 2018 to 2024); other characters that break lines are content."""
        decoder, rest = codecs.getincrementaldecoder("utf-8-sig")(), ""
        for chunk in self._chunks():
            *whole, rest = (rest + _decoded(decoder, chunk)).split("\n")
            if len(rest) > MAX_LINE:
                raise Unreadable("a line that is longer than any row")
            yield from filter(str.strip, (line.removesuffix("\r") for line in whole))
        rest = (rest + _decoded(decoder, b"", final=True)).removesuffix("\r")
        if rest.strip():
            yield rest

    def _chunks(self) -> Iterator[bytes]:
        length = 0
        file = self._opened()
        try:
            while chunk := file.read(_CHUNK):
                length += len(chunk)
                if length > self._max_text_bytes:
                    raise Unreadable("larger than any bill")
                yield chunk
        except (OSError, EOFError, zlib.error):
            raise Unreadable("a gzipped file that is not whole") from None

    def _opened(self) -> BinaryIO:
        stream = io.BytesIO(self._content)
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if self._content.startswith(_GZIP) else stream


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> str:
    try:
        return decoder.decode(chunk, final)
    except UnicodeDecodeError:
        raise Unreadable("a bill that is not UTF-8") from None
