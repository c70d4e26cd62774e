"""Only one form of JWS is read at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.testing.doubles import FixedClock
from plugins.apple.jws import MalformedJws, decode, is_signed_by, read_json
from plugins.apple.simulated.certificates import make_signer
from tests.plugins.apple.world import base64url

SIGNER = make_signer(FixedClock().now())
GENUINE = SIGNER.sign({"a": 1})


def test_a_genuine_one_is_taken_apart_and_verified() -> None:
    jws = decode(GENUINE)
    assert jws.payload == {"a": 1}
    assert jws.x5c == SIGNER.x5c
    assert is_signed_by(jws, SIGNER.key.public_key())


def header(**changes: Any) -> str:
    content = {"alg": "ES256", "x5c": list(SIGNER.x5c)} | changes
    return base64url(json.dumps({k: v for k, v in content.items() if v is not None}).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "es256"},
        {"alg": ["ES256"]},
        {"alg": None},
        {"x5c": None},
        {"x5c": []},
        {"x5c": list(SIGNER.x5c[:2])},
        {"x5c": [*SIGNER.x5c, "AAAA"]},
        {"x5c": SIGNER.x5c[0]},
        {"x5c": [1, 2, 3]},
        {"crit": ["b64"], "b64": False},
    ],
)
def test_another_header_is_refused(changes: dict[str, Any]) -> None:
    _, payload, signature = GENUINE.split(".")
    decode(f"{header()}.{payload}.{signature}")
    with pytest.raises(MalformedJws):
        decode(f"{header(**changes)}.{payload}.{signature}")


def test_another_spelling_of_the_same_bytes_is_refused() -> None:
    head, payload, signature = GENUINE.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = signature[:-1] + last[last.index(signature[-1]) ^ 1]
    for spelling in (twin, signature + "==", signature + "\n", " " + signature, signature.replace("-", "+") + "+"):
        with pytest.raises(MalformedJws):
            decode(f"{head}.{payload}.{spelling}")


@pytest.mark.parametrize("text", ["", ".", "..", "a.b", "a.b.c.d", "ä.b.c", "A" * 70_000])
def test_what_is_no_jws_is_refused(text: str) -> None:
    with pytest.raises(MalformedJws):
        decode(text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"1",
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\u0000"}',
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'{"a":' * 100_000,
        b'{"a":' + b"9" * 5_000 + b"}",
    ],
)
def test_json_that_cannot_be_said_twice_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedJws):
        read_json(data)


def test_fractions_stay_texts() -> None:
    assert read_json(b'{"a":1.10}') == {"a": "1.10"}


@given(st.text(max_size=300))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with pytest.raises(MalformedJws):
        decode(text)
