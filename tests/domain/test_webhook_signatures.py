"""Signatures are those of Standard Webhooks: by its published vector, and by its own library."""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.domain.webhook_signatures import BadSecret, new_secret, secret_bytes, signed_headers

BODY = '{"id":"1","data":{"note":"金币 €"}}'.encode()


def test_the_published_vector_is_signed_as_published() -> None:
    """From the test suite of the reference libraries (github.com/standard-webhooks/standard-webhooks, read 2026-11)."""
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_library_verifies_what_is_signed_now_with_any_of_the_secrets() -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    headers = dict(signed_headers("some-id", datetime.now(UTC), BODY, [new, old]))
    for secret in (old, new):
        assert Webhook(secret).verify(BODY, headers)["id"] == "1"
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(BODY + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(BODY, {**headers, "webhook-id": "another-id"})


@pytest.mark.parametrize("size", [24, 25, 32, 63, 64])
def test_secrets_of_24_to_64_bytes_are_good_with_and_without_padding(size: int) -> None:
    key = secrets.token_bytes(size)
    text = "whsec_" + base64.b64encode(key).decode()
    assert secret_bytes(text) == secret_bytes(text.rstrip("=")) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_" + "!" * 40,
        "whpk_" + base64.b64encode(b"x" * 32).decode(),
        base64.b64encode(b"x" * 32).decode(),
    ],
)
def test_any_other_text_is_no_secret_and_is_not_quoted(text: str) -> None:
    with pytest.raises(BadSecret) as caught:
        secret_bytes(text)
    assert len(text) < 7 or text not in str(caught.value)


def test_new_secrets_have_32_random_bytes() -> None:
    assert len(secret_bytes(new_secret())) == 32
    assert new_secret() != new_secret()
