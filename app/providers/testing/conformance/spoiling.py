"""Ways to spoil a message: bits, texts, labels and whole documents. Deterministic, so that a failure stays found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SAMPLED_BYTES = 128
SAMPLED_CHARACTERS = 64

GARBAGE: tuple[bytes, ...] = (
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe\x00",
    b"null",
    b"true",
    b"0",
    b"-1e999",
    b"NaN",
    b'""',
    b"[]",
    b"{}",
    b"{" * 5_000,
    b"[" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b"9" * 10_000,
    b'{"a":1,"a":2}',
    b"a=1&a=2&sign=",
    b"sign=%zz&charset=%00",
    b"charset=utf-16&sign=AAAA",
    b"=&=&=",
    b"<xml></xml>",
    b"<xml>",
    b'<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;&a;&a;&a;&a;&a;&a;">]><xml><sign>&c;</sign></xml>',
    b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><sign>&a;</sign></xml>',
    b"a.b.c",
    b"..",
    b"eyJhbGciOiJub25lIn0.e30.",
    b'{"signedPayload":"a.b.c"}',
    b'{"signedPayload":["a"]}',
    "\u202e\ud7ff金币".encode(),
    b"\x1f\x8b\x08\x00garbage",
    b"A" * 1_000_000,
)

MISLABELS: tuple[str, ...] = (
    "",
    "text/html",
    "application/octet-stream",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-16",
    "\x00",
)

ODD_VALUES: tuple[Any, ...] = (
    None,
    "",
    " ",
    True,
    0,
    -1,
    10**30,
    1.2345678,
    "x" * 10_000,
    "-1.00",
    "1e3",
    "NaN",
    "0",
    "\x00",
    "\ud800",
    "２",  # a digit to str.isdigit and int(), not to ASCII
    [],
    {},
    [[{"a": [None]}]],
)


def flipped(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each bit of an even sample of the bytes (first and last included) flipped: (position of the bit, result)."""
    for at in _sample(len(data), SAMPLED_BYTES):
        for bit in range(8):
            yield at * 8 + bit, data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


def spoilt_texts(text: str) -> Iterator[tuple[str, str]]:
    """The text with single bits flipped, cut, and doubled: (what was done, result)."""
    for at in _sample(len(text), SAMPLED_CHARACTERS):
        for bit in range(7):
            changed = text[:at] + chr(ord(text[at]) ^ (1 << bit)) + text[at + 1 :]
            yield f"with bit {bit} of character {at} flipped", changed
    yield "cut in half", text[: len(text) // 2]
    yield "without its last character", text[:-1]
    yield "doubled", text + text
    yield "in other letter case", text.swapcase()
    yield "not even ASCII", "é" * len(text)


def _sample(length: int, wanted: int) -> Sequence[int]:
    if length <= wanted:
        return range(length)
    return sorted({round(at * (length - 1) / (wanted - 1)) for at in range(wanted)})


def odd_documents(content: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The document with each member, at any depth, removed or replaced by each odd value: (what was done, result)."""
    yield "an empty document", {}
    for name, value in content.items():
        rest = {key: other for key, other in content.items() if key != name}
        yield f"{name} removed", rest
        for odd in ODD_VALUES:
            yield f"{name} = {_short(odd)}", {**content, name: odd}
        for inner_name, inner in _odd_inside(value):
            yield f"{name}.{inner_name}", {**content, name: inner}


def _odd_inside(value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from odd_documents(value)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            others = [*value[:at], *value[at + 1 :]]
            yield f"{at} removed", others
            for name, inner in _odd_inside(item):
                yield f"{at}.{name}", [*value[:at], inner, *value[at + 1 :]]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 30 else f"{text[:30]}…"
