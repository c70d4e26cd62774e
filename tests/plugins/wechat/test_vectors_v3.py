"""The vectors of API v3 give what their notes say, computed by the plugin and once more beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from app.domain.money import Money
from app.providers import Ending, Forged, Kind, Message, Provider, Ref, StoredKey
from app.providers.testing.doubles import FixedClock, MemoryKeys, tools
from plugins.wechat import plugin
from plugins.wechat.v3.authenticity import Verifier
from plugins.wechat.v3.signing import answer_message, authorization, client_message, request_message, sign, verify
from tests.plugins.wechat.second_opinion import gcm_open, rsa_sign, rsa_verifies
from tests.plugins.wechat.worlds import our_config

VECTORS = Path(__file__).parent / "vectors"
PUBLIC_KEY_ID = "PUB_KEY_ID_0114232134912410000000000000"


def vectors(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


SYNTHETIC = vectors("synthetic_v3.json")
SIGNED_AT = datetime.fromtimestamp(1_700_000_000, UTC)
PAID_AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
PAYMENT = Ref(ours="T1409811653", theirs="4200000925202101284997714292")


@pytest.fixture(scope="module")
def merchant_key() -> RSAPrivateKey:
    key = load_pem_private_key((VECTORS / "doc_merchant_private_key.pem").read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return key


def platform_certificate() -> bytes:
    return (VECTORS / "go_platform_certificate.pem").read_bytes()


def platform_key() -> RSAPublicKey:
    key = x509.load_pem_x509_certificate(platform_certificate()).public_key()
    assert isinstance(key, RSAPublicKey)
    return key


def provider() -> Provider:
    """The merchant of the vectors, with the vectors' platform key in both of its forms."""
    keys = MemoryKeys()
    keys.put(StoredKey("D7CE59D1F522D701", platform_certificate()))
    table = our_config().settings_v3("https://wechat.simulated.example") | {
        "mchid": "1234567890",
        "appid": "wx2421b1c4370ec43b",
        "apiv3_key": SYNTHETIC["apiv3_key"],
        "platform_public_key_id": PUBLIC_KEY_ID,
        "platform_public_key": platform_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    }
    return plugin.build(plugin.settings.model_validate(table), tools(clock=FixedClock(SIGNED_AT), keys=keys))


def message(name: str) -> Message:
    vector = SYNTHETIC["callbacks"][name]
    headers = {header.lower(): value for header, value in vector["headers"].items()}
    return Message("notification", vector["body"].encode(), headers)


@pytest.mark.parametrize("vector", vectors("doc_request_sign.json")["vectors"], ids=lambda vector: vector["name"])
def test_a_request_is_signed_as_the_official_pages_show(vector: dict[str, str], merchant_key: RSAPrivateKey) -> None:
    method, target, timestamp, nonce, body = vector["message"].removesuffix("\n").split("\n")

    built = request_message(method, target, timestamp, nonce, body.encode())

    assert built == vector["message"].encode()
    assert sign(merchant_key, built) == vector["signature"] == rsa_sign(merchant_key, vector["message"])
    serial = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
    header = authorization("1900007291", serial, merchant_key, timestamp, nonce, built)
    assert header.startswith("WECHATPAY2-SHA256-RSA2048 mchid=")
    assert f'signature="{vector["signature"]}"' in header
    assert f'serial_no="{serial}"' in header


def test_client_parameters_are_signed_as_the_official_pages_show(merchant_key: RSAPrivateKey) -> None:
    order, client = vectors("doc_client_sign.json")["vectors"]
    appid, timestamp, nonce, package = client["message"].removesuffix("\n").split("\n")

    built = client_message(appid, timestamp, nonce, package)

    assert built == client["message"].encode()
    assert sign(merchant_key, built) == client["signature"] == rsa_sign(merchant_key, client["message"])
    assert sign(merchant_key, order["message"].encode()) == order["signature"]


def test_an_answer_is_verified_as_the_official_pages_show() -> None:
    vector = vectors("doc_response_verify.json")
    key = load_pem_public_key((VECTORS / "doc_platform_public_key.pem").read_bytes())
    assert isinstance(key, RSAPublicKey)
    built = answer_message(vector["timestamp"], vector["nonce"], vector["body"].encode())

    assert built == vector["message"].encode()
    assert rsa_verifies(key, vector["message"], vector["signature"])
    assert verify(key, built, vector["signature"])
    assert not verify(key, built + b" ", vector["signature"])


def test_an_answer_without_content_is_verified_too() -> None:
    vector = SYNTHETIC["empty_204_response"]
    assert rsa_verifies(platform_key(), f"{vector['timestamp']}\n{vector['nonce']}\n\n", vector["signature"])
    headers = {
        "wechatpay-timestamp": vector["timestamp"],
        "wechatpay-nonce": vector["nonce"],
        "wechatpay-serial": "D7CE59D1F522D701",
        "wechatpay-signature": vector["signature"],
    }

    verifier = Verifier({"D7CE59D1F522D701": platform_key()}.get, FixedClock(SIGNED_AT))

    assert verifier.check(headers, b"") == SIGNED_AT


@pytest.mark.parametrize("name", ["pay_cert", "pay_pubkey", "pay_empty_aad", "pay_pap"])
def test_a_payment_is_read_from_its_envelope(name: str) -> None:
    _check_beside_the_plugin(name)

    received = provider().receive(message(name))

    (fact,) = received.facts
    assert (fact.kind, fact.ref, fact.at) == (Kind.PAID, PAYMENT, PAID_AT)
    assert fact.money == Money(1, "CNY")
    assert (fact.account, fact.owner, fact.live) == ("1234567890:wx2421b1c4370ec43b", "支付测试", False)
    assert received.signed_at == SIGNED_AT
    assert received.message_id == "b62e271c-3389-58a0-8146-4a704966e8f1"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("refund_success", Kind.REFUNDED),
        ("refund_abnormal", Kind.REFUND_FAILED),
        ("refund_closed", Kind.REFUND_FAILED),
    ],
)
def test_a_refund_is_read_from_its_envelope(name: str, kind: Kind) -> None:
    _check_beside_the_plugin(name)

    (fact,) = provider().receive(message(name)).facts

    assert fact.kind is kind
    assert fact.ref == Ref(ours=PAYMENT.ours, theirs=PAYMENT.theirs, refund="R1")
    assert fact.money == Money(1, "CNY")
    assert fact.account == "1234567890:wx2421b1c4370ec43b"


@pytest.mark.parametrize(
    ("name", "kind", "ending", "day"),
    [("entrust_sign", Kind.SIGNED, None, 14), ("entrust_terminate", Kind.ENDED, Ending.PAYER, 15)],
)
def test_an_agreement_is_read_by_its_code(name: str, kind: Kind, ending: Ending | None, day: int) -> None:
    _check_beside_the_plugin(name)

    received = provider().receive(message(name))

    (fact,) = received.facts
    assert (fact.kind, fact.ending) == (kind, ending)
    assert fact.ref == Ref(agreement="123124412412423431", our_agreement="wxwtdk20200910100000")
    assert fact.at == datetime(2023, 11, day, 22, 13, 20, tzinfo=UTC)
    assert fact.account == "1234567890:wx2421b1c4370ec43b"
    assert received.reply.status == 204


def test_a_probe_fails_like_any_wrong_signature() -> None:
    vector = SYNTHETIC["callbacks"]["pay_signtest"]
    assert vector["headers"]["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/")
    assert not vector["valid"]

    with pytest.raises(Forged) as refused:
        provider().receive(message("pay_signtest"))

    assert refused.value.reply.status == 401
    assert refused.value.hint is None


def _check_beside_the_plugin(name: str) -> None:
    """The vector itself is right: signature and plain text, by the second implementation."""
    vector = SYNTHETIC["callbacks"][name]
    headers, resource = vector["headers"], json.loads(vector["body"])["resource"]
    signed = f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n{vector['body']}\n"
    assert vector["valid"] == rsa_verifies(platform_key(), signed, headers["Wechatpay-Signature"])
    plain = gcm_open(
        SYNTHETIC["apiv3_key"], resource["nonce"], resource.get("associated_data") or "", resource["ciphertext"]
    )
    assert json.loads(plain) == vector["plain"]
