"""The vectors of API v2 give what their notes say, computed by the plugin, beside it, and by wechatpy."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import xmltodict
from wechatpy.pay.utils import calculate_signature, calculate_signature_hmac

from app.domain.money import Money
from app.providers import Ending, Forged, Kind, Message, Provider, Ref, Refusal
from app.providers.testing.doubles import FixedClock, tools
from plugins.wechat import plugin
from plugins.wechat.v2.signing import V2Key
from plugins.wechat.v2.xml import parse_xml
from tests.plugins.wechat.second_opinion import v2_sign

VECTORS = Path(__file__).parent / "vectors"


def vectors(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


SYNTHETIC = vectors("synthetic_v2.json")
KEY = SYNTHETIC["api_key"]
PAYMENTS = {
    "pay_notify_md5": "MD5",
    "pay_notify_hmac_with_sign_type": "HMAC-SHA256",
    "pay_notify_hmac_no_sign_type": "HMAC-SHA256",
    "pay_notify_unknown_field": "MD5",
    "pay_notify_empty_field": "MD5",
}
PAYMENT = Ref(ours="1409811653", theirs="1004400740201409030005092168")


def xml(name: str) -> bytes:
    return str(SYNTHETIC["vectors"][name]["xml"]).encode()


def provider(sign_type: str) -> Provider:
    table = {
        "generation": "v2",
        "mchid": "10000100",
        "appid": "wx2421b1c4370ec43b",
        "api_key": KEY,
        "sign_type": sign_type,
    }
    return plugin.build(plugin.settings.model_validate(table), tools(clock=FixedClock()))


def receive(name: str, sign_type: str) -> Any:
    return provider(sign_type).receive(Message("notification", xml(name)))


@pytest.mark.parametrize("sign_type", ["MD5", "HMAC-SHA256"])
def test_the_official_sample_has_three_equal_signatures(sign_type: Any) -> None:
    vector = vectors("v2_official_sign.json")
    params, key, expected = vector["params"], vector["key"], vector[sign_type]
    by_wechatpy = calculate_signature if sign_type == "MD5" else calculate_signature_hmac

    assert V2Key(key).sign(params, sign_type) == expected
    assert v2_sign(params, key, sign_type) == expected
    assert by_wechatpy(params, key) == expected


@pytest.mark.parametrize("name", [*PAYMENTS, "contract_add", "contract_delete", "deduct_success", "deduct_fail"])
def test_each_vector_verifies_in_three_implementations(name: str) -> None:
    sign_type = SYNTHETIC["vectors"][name]["sign_type"]
    fields = parse_xml(xml(name))
    by_wechatpy = calculate_signature if sign_type == "MD5" else calculate_signature_hmac
    unsigned = {field: value for field, value in fields.items() if field != "sign"}

    assert V2Key(KEY).verify(fields, sign_type)
    assert v2_sign(fields, KEY, sign_type) == fields["sign"]
    assert by_wechatpy(unsigned, KEY) == fields["sign"]
    assert {name: value or "" for name, value in xmltodict.parse(xml(name))["xml"].items()} == fields


@pytest.mark.parametrize("name", PAYMENTS)
def test_a_payment_is_read(name: str) -> None:
    (fact,) = receive(name, PAYMENTS[name]).facts

    assert (fact.kind, fact.ref) == (Kind.PAID, PAYMENT)
    assert fact.at == datetime(2014, 9, 3, 5, 15, 40, tzinfo=UTC)
    assert fact.money == Money(1, "CNY")
    assert fact.account == "10000100:wx2421b1c4370ec43b"
    assert "sign" not in fact.raw


@pytest.mark.parametrize("name", PAYMENTS)
def test_the_other_kind_of_signature_is_refused(name: str) -> None:
    other = "MD5" if PAYMENTS[name] == "HMAC-SHA256" else "HMAC-SHA256"
    with pytest.raises(Forged, match="signature"):
        receive(name, other)


def test_a_contract_is_read_by_its_code_and_not_taken_for_a_payment() -> None:
    (signed,) = receive("contract_add", "MD5").facts
    (ended,) = receive("contract_delete", "MD5").facts
    ref = Ref(agreement="Wx15463511252015071056489715", our_agreement="C100001256")

    assert (signed.kind, signed.ref, signed.account) == (Kind.SIGNED, ref, "10000100:wx2421b1c4370ec43b")
    assert (signed.at, signed.period_end) == (
        datetime(2015, 7, 1, 2, tzinfo=UTC),
        datetime(2035, 7, 1, 2, tzinfo=UTC),
    )
    assert (ended.kind, ended.ref, ended.ending) == (Kind.ENDED, ref, Ending.PAYER)
    assert (ended.at, ended.period_end) == (datetime(2016, 7, 1, 2, tzinfo=UTC), None)


def test_a_deduction_is_a_payment_or_a_failure() -> None:
    (paid,) = receive("deduct_success", "MD5").facts
    (failed,) = receive("deduct_fail", "MD5").facts

    assert (paid.kind, paid.ref.ours) == (Kind.PAID, "D1409811653")
    assert (failed.kind, failed.ref.ours, failed.cause) == (Kind.FAILED, "D1409811653", "NOTENOUGH")
    assert failed.refusal is Refusal.NO_MONEY
    assert paid.ref.agreement == failed.ref.agreement == "Wx15463511252015071056489715"


@pytest.mark.parametrize("status", ["SUCCESS", "CHANGE", "REFUNDCLOSE"])
def test_an_unsigned_refund_is_asked_about_and_not_believed(status: str) -> None:
    received = receive(f"refund_notify_{status}", "MD5")

    assert received.facts == ()
    (ask,) = received.asks
    plain = parse_xml(V2Key(KEY).open_refund(parse_xml(xml(f"refund_notify_{status}"))["req_info"]), root="root")
    assert plain["refund_status"] == status
    assert ask == Ref(ours=plain["out_trade_no"], theirs=plain["transaction_id"], refund=plain["out_refund_no"])


def test_a_refund_under_another_key_gives_nothing_to_ask() -> None:
    body = xml("refund_notify_SUCCESS")
    for spoilt in (body.replace(b"WBzG", b"WBzH"), body.replace(b"10000100", b"10000101")):
        with pytest.raises(Forged) as refused:
            provider("MD5").receive(Message("notification", spoilt))
        assert refused.value.hint is None
