"""The sandbox's signatures, against a second implementation and at their edges."""

import base64
import hashlib
import hmac

import pytest

from plugins.sandbox.signing import FRESH_SECONDS, ID, SIGNATURE, TIMESTAMP, BadSignature, Signed, Signer, is_fresh

SECRET = "a secret of at least thirty-two bytes"
BODY = b'{"a": "\xe9\x87\x91"}'


def test_the_signature_is_what_the_protocol_says() -> None:
    text = b"notification\nevt_1\n1767323045\n" + BODY
    expected = base64.b64encode(hmac.new(SECRET.encode(), text, hashlib.sha256).digest()).decode()
    headers = Signer(SECRET).headers("notification", "evt_1", 1767323045, BODY)
    assert headers == {ID: "evt_1", TIMESTAMP: "1767323045", SIGNATURE: f"v1={expected}"}


def test_what_was_signed_verifies() -> None:
    signer = Signer(SECRET)
    headers = signer.headers("notification", "evt_1", 1767323045, BODY)
    assert signer.verify("notification", headers, BODY) == Signed("evt_1", 1767323045)


@pytest.mark.parametrize(
    "changed",
    [
        {SIGNATURE: ""},
        {SIGNATURE: "v1="},
        {SIGNATURE: "é" * 47},
        {SIGNATURE: "\ud800"},
        {TIMESTAMP: "1767323046"},
        {TIMESTAMP: " 1767323045"},
        {TIMESTAMP: "１７６７３２３０４５"},
        {TIMESTAMP: "-1"},
        {TIMESTAMP: "9" * 5_000},
        {ID: "evt_2"},
        {ID: ""},
        {ID: "evt_1\n"},
    ],
)
def test_a_changed_header_does_not_verify(changed: dict[str, str]) -> None:
    signer = Signer(SECRET)
    headers = signer.headers("notification", "evt_1", 1767323045, BODY) | changed
    with pytest.raises(BadSignature):
        signer.verify("notification", headers, BODY)


def test_a_reply_is_no_notification() -> None:
    signer = Signer(SECRET)
    headers = signer.headers("reply 200", "evt_1", 1767323045, BODY)
    with pytest.raises(BadSignature):
        signer.verify("notification", headers, BODY)


def test_a_short_secret_makes_no_signer() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Signer("x" * 31)


@pytest.mark.parametrize("seconds", [-FRESH_SECONDS, 0, FRESH_SECONDS])
def test_five_minutes_either_way_are_fresh(seconds: int) -> None:
    assert is_fresh(Signed("evt_1", 1000 + seconds), now=1000)


@pytest.mark.parametrize("seconds", [-FRESH_SECONDS - 1, FRESH_SECONDS + 1])
def test_more_than_five_minutes_are_stale(seconds: int) -> None:
    assert not is_fresh(Signed("evt_1", 1000 + seconds), now=1000)
