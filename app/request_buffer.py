"""One HTTP/1.1 request as it comes in, piece by piece: is it there as a whole, and is it one that is taken at all?

Only what decides where a request ends is looked at (RFC 9112, section 6); the server reads the whole request
later. What two readers could end at different places is refused.
"""

from __future__ import annotations

from http import HTTPStatus

LARGEST_HEAD = 64 * 1024
"""Bytes of request line and header fields."""
LARGEST_BODY = 1024 * 1024
"""Bytes of a body."""
LARGEST_FRAMED = 2 * LARGEST_BODY
"""Bytes of a chunked body with what frames its chunks."""
LONGEST_CHUNK_LINE = 256
"""Bytes of the line before a chunk: its size, and extensions that nobody uses."""
LARGEST_TRAILERS = 8 * 1024
"""Bytes of the fields after a chunked body."""
_END_OF_LINE, _END_OF_HEAD = b"\r\n", b"\r\n\r\n"
_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")


class NotTaken(Exception):
    """The request is refused before anything is done for it."""

    def __init__(self, status: HTTPStatus, code: str, title: str) -> None:
        super().__init__(title)
        self.status, self.code, self.title = status, code, title


def bad_request(title: str) -> NotTaken:
    return NotTaken(HTTPStatus.BAD_REQUEST, "bad_request", title)


def too_large(title: str) -> NotTaken:
    return NotTaken(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", title)


class RequestBuffer:
    """The bytes of one request, and of the next one where a client sends them together."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.expects_continue = False
        """The client waits for a word before it sends the body."""
        self._looked = 0
        self._ends: int | None = None
        """Where the body ends, if its length was told."""
        self._chunk: int | None = None
        """Where the line before the next chunk begins."""
        self._told = 0
        """Bytes of the chunks so far."""

    @property
    def has_head(self) -> bool:
        return self._ends is not None or self._chunk is not None

    def add(self, piece: bytes) -> bool:
        """Whether the whole request is there now. Raises NotTaken."""
        self.data += piece
        if not self.has_head and not self._read_head():
            return False
        if self._chunk is not None:
            return self._read_chunks(self._chunk)
        return self._ends is not None and len(self.data) >= self._ends

    def _read_head(self) -> bool:
        while self.data.startswith(_END_OF_LINE):  # RFC 9112, section 2.2: empty lines before a request are ignored
            del self.data[:2]
        found = self.data.find(_END_OF_HEAD, max(0, self._looked - 3))
        if found < 0:
            self._looked = len(self.data)
            if self._looked > LARGEST_HEAD:
                raise NotTaken(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too_large", "The header fields are too large."
                )
            return False
        head = found + len(_END_OF_HEAD)
        lengths, codings = self._framing(bytes(self.data[:found]))
        if codings and (lengths or codings != [b"chunked"]):
            raise bad_request("The request does not say in one way where it ends.")
        if codings:
            self._chunk = head
        else:
            self._ends = head + _length(lengths)
        return True

    def _framing(self, head: bytes) -> tuple[list[bytes], list[bytes]]:
        """The values of Content-Length and Transfer-Encoding. The server refuses other spellings of these names."""
        lengths: list[bytes] = []
        codings: list[bytes] = []
        for line in head.split(_END_OF_LINE)[1:]:
            name, _, value = line.partition(b":")
            match name.lower():
                case b"content-length":
                    lengths.append(value.strip(b" \t"))
                case b"transfer-encoding":
                    codings.append(value.strip(b" \t").lower())
                case b"expect":
                    self.expects_continue = value.strip(b" \t").lower() == b"100-continue"
        return lengths, codings

    def _read_chunks(self, at: int) -> bool:
        """Walk over the chunks that are there as a whole."""
        while True:
            if len(self.data) > LARGEST_FRAMED + LARGEST_HEAD:
                raise too_large("The body is too large.")
            line = self.data.find(_END_OF_LINE, at, at + LONGEST_CHUNK_LINE + 2)
            if line < 0:
                if len(self.data) - at > LONGEST_CHUNK_LINE:
                    raise bad_request("A chunk of the body has no size.")
                return False
            size = _chunk_size(bytes(self.data[at:line]))
            if size == 0:
                return self._trailers_are_whole(line)
            ends = line + 2 + size
            if self._told + size > LARGEST_BODY:
                raise too_large("The body is too large.")
            if len(self.data) < ends + 2:
                return False
            if self.data[ends : ends + 2] != _END_OF_LINE:
                raise bad_request("A chunk of the body is longer than its size.")
            self._told += size
            self._chunk = at = ends + 2

    def _trailers_are_whole(self, line: int) -> bool:
        if self.data.find(_END_OF_HEAD, line, line + LARGEST_TRAILERS) >= 0:
            return True
        if len(self.data) - line > LARGEST_TRAILERS:
            raise bad_request("The fields after the body are too large.")
        return False


def _length(told: list[bytes]) -> int:
    if not told:
        return 0
    if len(told) > 1 or not told[0].isdigit():
        raise bad_request("The request does not say in one way where it ends.")
    if len(told[0]) > len(str(LARGEST_BODY)) or int(told[0]) > LARGEST_BODY:
        raise too_large("The body is too large.")
    return int(told[0])


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].rstrip(b" \t")
    if not digits or not _HEXADECIMAL.issuperset(digits):
        raise bad_request("A chunk of the body has no size.")
    if len(digits) > 8:
        raise too_large("The body is too large.")
    return int(digits, 16)
