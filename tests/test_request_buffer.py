"""Where a request ends is read in one way only, however its bytes come, and what could be read in two is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.request_buffer import (
    LARGEST_BODY,
    LARGEST_HEAD,
    LARGEST_TRAILERS,
    LONGEST_CHUNK_LINE,
    NotTaken,
    RequestBuffer,
)

HEAD = b"POST /webhooks/x HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def whole(data: bytes) -> bool:
    return RequestBuffer().add(data)


def status(data: bytes) -> int:
    with pytest.raises(NotTaken) as refused:
        whole(data)
    return refused.value.status


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + b"Content-Length: 5\r\n\r\nhello",
        HEAD + b"content-length:\t5 \r\n\r\nhello",
        CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
        HEAD + b"Transfer-Encoding:  CHUNKED\r\n\r\n0\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_request_is_whole_with_its_last_byte_and_not_before(request_: bytes) -> None:
    buffer = RequestBuffer()
    seen = [buffer.add(request_[i : i + 1]) for i in range(len(request_))]
    assert seen == [False] * (len(request_) - 1) + [True]
    assert whole(request_), "in one piece too"
    assert bytes(buffer.data) == request_.lstrip(b"\r\n")


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.data())
def test_chunks_are_followed_wherever_the_pieces_are_cut(chunks: list[bytes], data: st.DataObject) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    request_ = CHUNKED + body + b"0\r\n\r\n"
    cut = data.draw(st.integers(0, len(request_) - 1))
    buffer = RequestBuffer()
    assert buffer.add(request_[:cut]) is False
    assert buffer.add(request_[cut:] + b"GET /next") is True
    assert bytes(buffer.data) == request_ + b"GET /next"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 0\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 0, 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: \r\n",
        b"Content-Length: \xd9\xa5\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: identity, chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ],
)
def test_a_request_that_could_end_at_two_places_is_refused(fields: bytes) -> None:
    assert status(HEAD + fields + b"\r\n") == 400


@pytest.mark.parametrize(
    "body",
    [
        b"+5\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"0_5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"\r\nhello\r\n",
        b"zz\r\n",
        b"5\r\nhello!\r\n",
        b"5;" + b"a" * LONGEST_CHUNK_LINE + b"\r\n",
        b"0\r\n" + b"a" * (LARGEST_TRAILERS + 1),
    ],
)
def test_a_malformed_chunk_is_refused(body: bytes) -> None:
    assert status(CHUNKED + body) == 400


def test_what_is_too_large_is_refused_before_it_has_come() -> None:
    assert status(HEAD + b"Content-Length: %d\r\n\r\n" % (LARGEST_BODY + 1)) == 413
    assert status(HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n") == 413
    assert not whole(HEAD + b"Content-Length: %d\r\n\r\n" % LARGEST_BODY)
    assert status(CHUNKED + b"%x\r\n" % (LARGEST_BODY + 1)) == 413
    assert status(CHUNKED + b"FFFFFFFFFFFFFFFFF\r\n") == 413
    assert status(CHUNKED + b"1\r\na\r\n" * (LARGEST_BODY // 2)) == 413, "mostly frames"
    assert status(b"GET / HTTP/1.1\r\nA: " + b"a" * LARGEST_HEAD) == 431
