"""What each way of paying asks Alipay for, and what the client gets."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.domain.money import Money
from app.providers import Declined, Kind, Misconfigured, Ref, Started, Unknown
from plugins.alipay.orders import WAYS
from plugins.alipay.provider import TOO_LITTLE_TIME, TOO_MUCH_TIME
from plugins.alipay.simulated.keys import DemoKeys
from tests.plugins.alipay.actors import BASE_URL, JSAPI_EXTRA, Stage, certificate_mode, intent_for, key_mode, stage

EXPIRES = "2026-01-02 11:34:05"  # half an hour after 03:04:05 UTC, in Beijing


@pytest.fixture
def here() -> Stage:
    return stage()


def sent(here: Stage, started: Started) -> tuple[dict[str, str], dict[str, Any]]:
    """The public parameters and business fields of a started payment, wherever they went."""
    match started.action["type"]:
        case "order_string":
            query = started.action["order_string"]
        case "redirect":
            query = urlsplit(started.action["url"]).query
        case _:
            _, url, body = here.http.requests[-1]
            query = f"{urlsplit(url).query}&{body.decode()}"
    parameters = dict(parse_qsl(query, strict_parsing=True))
    return parameters, json.loads(parameters["biz_content"])


@pytest.mark.parametrize(
    ("way", "method", "product"),
    [
        ("app", "alipay.trade.app.pay", "QUICK_MSECURITY_PAY"),
        ("wap", "alipay.trade.wap.pay", "QUICK_WAP_WAY"),
        ("page", "alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
        ("precreate", "alipay.trade.precreate", "QR_CODE_OFFLINE"),
        ("jsapi", "alipay.trade.create", "JSAPI_PAY"),
    ],
)
def test_each_way_sends_its_documented_method_product_and_times(
    here: Stage, way: str, method: str, product: str
) -> None:
    parameters, business = sent(here, here.provider.start(intent_for(here.clock, way)))
    assert parameters["method"] == method
    assert parameters["timestamp"] == "2026-01-02 11:04:05"
    assert parameters["notify_url"] == "https://pay.example.com/webhooks/alipay"
    assert business["product_code"] == product
    assert business["time_expire"] == EXPIRES
    assert business["total_amount"] == "6.00"
    assert business["out_trade_no"] == "4503599627370497"


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("keys", [key_mode, certificate_mode], ids=["key mode", "certificate mode"])
def test_each_request_is_signed_as_a_recomputation_expects(way: str, keys: Callable[[], DemoKeys]) -> None:
    """Written without the plugin and the SDK: every parameter but `sign`, sorted, not URL-encoded, SHA256withRSA."""
    here = stage(keys())
    parameters, _ = sent(here, here.provider.start(intent_for(here.clock, way)))
    signature = base64.b64decode(parameters.pop("sign"), validate=True)
    text = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    public = serialization.load_pem_public_key(here.keys.app_public_key.encode())
    assert isinstance(public, RSAPublicKey)
    public.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert parameters["sign_type"] == "RSA2"
    assert ("app_cert_sn" in parameters) == (keys is certificate_mode)


def test_every_way_has_a_row_above() -> None:
    assert set(WAYS) == {"app", "wap", "page", "precreate", "jsapi"}


@pytest.mark.parametrize("way", ["page", "wap"])
def test_only_browser_ways_carry_a_way_back(here: Stage, way: str) -> None:
    parameters, _ = sent(here, here.provider.start(intent_for(here.clock, way)))
    assert parameters["return_url"] == "https://shop.example.com/back"
    for other in ("app", "precreate", "jsapi"):
        parameters, _ = sent(here, here.provider.start(intent_for(here.clock, other)))
        assert "return_url" not in parameters


def test_only_documented_fields_are_sent(here: Stage) -> None:
    common = {"out_trade_no", "total_amount", "subject", "product_code", "time_expire"}
    expected: dict[str, set[str]] = {
        "app": common | {"goods_type"},
        "wap": common | {"goods_type"},
        "page": common | {"goods_type"},
        "precreate": common,
        "jsapi": common | {"buyer_id", "op_app_id"},
    }
    for way, names in expected.items():
        _, business = sent(here, here.provider.start(intent_for(here.clock, way)))
        assert set(business) == names, way
        assert all(isinstance(value, str) for value in business.values())


def test_extras_become_business_fields(here: Stage) -> None:
    page = intent_for(here.clock, "page", extra={"qr_pay_mode": "4", "qrcode_width": 200, "client_ip": "203.0.113.9"})
    _, business = sent(here, here.provider.start(page))
    assert (business["qr_pay_mode"], business["qrcode_width"]) == ("4", "200")
    assert business["business_params"] == {"mc_create_trade_ip": "203.0.113.9"}


@pytest.mark.parametrize(
    ("way", "extra"),
    [
        ("jsapi", {}),
        ("jsapi", {**JSAPI_EXTRA, "buyer_open_id": "abc"}),
        ("jsapi", {"buyer_id": "1"}),
        ("page", {"qr_pay_mode": "9"}),
        ("app", {"client_ip": "localhost"}),
        ("app", {"total_amount": "0.01"}),
        ("wap", {"quit_url": "javascript:alert(1)"}),
    ],
)
def test_extras_that_do_not_fit_are_declined_before_any_request(here: Stage, way: str, extra: dict[str, Any]) -> None:
    with pytest.raises(Declined):
        here.provider.start(intent_for(here.clock, way, extra=extra))
    assert here.http.requests == []


@pytest.mark.parametrize("money", [None, Money(0, "CNY"), Money(600, "USD")])
def test_only_a_positive_amount_in_yuan_can_be_charged(here: Stage, money: Money | None) -> None:
    with pytest.raises(Declined):
        here.provider.start(intent_for(here.clock, money=money))


def test_an_unknown_way_is_declined(here: Stage) -> None:
    with pytest.raises(Declined, match="barcode"):
        here.provider.start(intent_for(here.clock, "barcode"))


def test_a_payment_whose_time_is_over_is_not_signed(here: Stage) -> None:
    """A signed order string is payable until its time, and cannot be taken back before."""
    intent = intent_for(here.clock)
    here.clock.advance(timedelta(minutes=30).total_seconds())
    with pytest.raises(Unknown, match="over"):
        here.provider.start(intent)


@pytest.mark.parametrize(
    ("subject", "clean"),
    [
        ("a/b=c&d", "a／b＝c＆d"),
        ("金币100+10 包", "金币100+10 包"),
        (" line\r\nbreak\x00 ", "line break"),
        ("\n", "4503599627370497"),
        ("", "4503599627370497"),
        ("x" * 300, "x" * 256),
    ],
)
def test_the_subject_is_sent_without_what_alipay_forbids(here: Stage, subject: str, clean: str) -> None:
    _, business = sent(here, here.provider.start(intent_for(here.clock, subject=subject)))
    assert business["subject"] == clean


def test_a_face_to_face_contract_sends_its_own_product() -> None:
    here = stage(precreate_product_code="FACE_TO_FACE_PAYMENT")
    _, business = sent(here, here.provider.start(intent_for(here.clock, "precreate")))
    assert business["product_code"] == "FACE_TO_FACE_PAYMENT"


def test_precreate_gives_a_qr_code_and_the_same_one_again(here: Stage) -> None:
    intent = intent_for(here.clock, "precreate")
    first, again = here.provider.start(intent), here.provider.start(intent)
    assert first.action["code"].startswith(f"{BASE_URL}/qr/")
    assert first == again


def test_a_refused_repeat_of_precreate_leaves_it_unknown(here: Stage) -> None:
    """The code stood in the first answer, which may have been lost: that payment may exist."""
    here.alipay.gateway.refuse_repeated_precreate = True
    intent = intent_for(here.clock, "precreate")
    here.provider.start(intent)
    with pytest.raises(Unknown) as error:
        here.provider.start(intent)
    assert error.value.code == "ACQ.APPLY_PC_MERCHANT_CODE_ERROR"


def test_jsapi_gives_the_trade_number_and_says_that_it_waits(here: Stage) -> None:
    started = here.provider.start(intent_for(here.clock, "jsapi"))
    trade_no = started.action["trade_no"]
    assert started.action == {"type": "jsapi", "trade_no": trade_no}
    (fact,) = started.facts
    assert (fact.kind, fact.ref) == (Kind.PENDING, Ref(ours="4503599627370497", theirs=trade_no))


def test_a_number_that_exists_with_other_content_asks_for_a_query(here: Stage) -> None:
    here.provider.start(intent_for(here.clock, "jsapi"))
    with pytest.raises(Unknown) as error:
        here.provider.start(intent_for(here.clock, "jsapi", money=Money(700, "CNY")))
    assert error.value.code == "ACQ.CONTEXT_INCONSISTENT"


def test_starting_what_is_paid_already_asks_for_a_query(here: Stage) -> None:
    intent = intent_for(here.clock, "jsapi")
    here.paid(intent)
    with pytest.raises(Unknown) as error:
        here.provider.start(intent)
    assert error.value.code == "ACQ.TRADE_HAS_SUCCESS"


def test_a_merchant_who_must_send_the_payers_address_is_told(here: Stage) -> None:
    here.alipay.gateway.business_faults = ["ACQ.RISK_MERCHANT_IP_NOT_EXIST"]
    with pytest.raises(Misconfigured):
        here.provider.start(intent_for(here.clock, "precreate"))


def test_only_signing_ways_call_nobody(here: Stage) -> None:
    for way in ("app", "wap", "page"):
        here.provider.start(intent_for(here.clock, way))
    assert here.http.requests == []


def test_public_parameters_travel_in_the_url_and_business_in_the_body(here: Stage) -> None:
    """`charset` in the URL above all: without it the gateway reads the body as GBK."""
    here.provider.start(intent_for(here.clock, "precreate"))
    method, url, body = here.http.requests[0]
    query = dict(parse_qsl(urlsplit(url).query))
    assert method == "POST"
    assert query["charset"] == "utf-8"
    assert "biz_content" not in query
    assert [name for name, _ in parse_qsl(body.decode())] == ["biz_content"]


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_payment_with_less_than_alipays_least_time_left_is_declined_before_any_request(here: Stage, way: str) -> None:
    intent = intent_for(here.clock, way)
    here.clock.advance(timedelta(minutes=30).total_seconds() - here.provider.least_seconds)
    assert here.provider.start(intent).action
    calls = len(here.http.requests)
    here.clock.advance(1)
    with pytest.raises(Declined) as refusal:
        here.provider.start(intent)
    assert refusal.value.code == TOO_LITTLE_TIME
    assert len(here.http.requests) == calls


def test_the_part_of_a_second_that_is_not_sent_does_not_count(here: Stage) -> None:
    expires = here.clock.now() + timedelta(seconds=60, microseconds=-1)
    with pytest.raises(Declined):
        here.provider.start(intent_for(here.clock, expires_at=expires))


def test_a_payment_that_ends_after_alipays_fifteen_days_is_declined(here: Stage) -> None:
    longest = timedelta(days=15)
    assert here.provider.start(intent_for(here.clock, expires_at=here.clock.now() + longest)).action
    with pytest.raises(Declined) as refusal:
        here.provider.start(intent_for(here.clock, expires_at=here.clock.now() + longest + timedelta(seconds=1)))
    assert refusal.value.code == TOO_MUCH_TIME


def test_the_simulator_refuses_what_the_least_time_forbids(here: Stage) -> None:
    fields = {
        "out_trade_no": "1",
        "subject": "x",
        "total_amount": "6.00",
        "product_code": "QR_CODE_OFFLINE",
        "time_expire": "2026-01-02 11:05:04",  # 59 seconds after the request
    }
    answer = here.provider._client.call("alipay.trade.precreate", fields)
    assert answer.sub_code == "ACQ.INVALID_PARAMETER"
    assert here.provider._client.call("alipay.trade.precreate", fields | {"time_expire": "2026-01-02 11:05:05"}).ok
