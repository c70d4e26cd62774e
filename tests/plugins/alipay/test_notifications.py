"""What makes a notice authentic, beyond the samples: its form, its charset, its rules of signing, its kind."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

import pytest

from app.providers import Forged, Kind, Message, Received, Ref
from plugins.alipay.notifications import CHARSETS, MAX_BODY_BYTES
from tests.plugins.alipay.actors import Stage, intent_for, stage


@pytest.fixture
def here() -> Stage:
    return stage()


@pytest.fixture
def fields(here: Stage) -> dict[str, str]:
    """A genuine payment notice, open."""
    content = dict(parse_qsl(here.paid(intent_for(here.clock)).body.decode(), keep_blank_values=True))
    return {name: value for name, value in content.items() if name not in ("sign", "sign_type", "charset")}


def signed(here: Stage, fields: Mapping[str, str], charset: str = "utf-8") -> bytes:
    return here.alipay.gateway.signed_form(fields, charset=charset).encode()


def receive(here: Stage, body: bytes) -> Received:
    return here.provider.receive(Message("notification", body))


def refused(here: Stage, body: bytes) -> Forged:
    with pytest.raises(Forged) as refusal:
        receive(here, body)
    return refusal.value


@pytest.mark.parametrize("charset", ["utf-8", "gbk", "gb18030"])
def test_a_notice_is_read_in_its_own_charset(here: Stage, fields: dict[str, str], charset: str) -> None:
    outcome = receive(here, signed(here, fields | {"subject": "金币 100+10"}, charset))
    assert outcome.facts[0].raw["subject"] == "金币 100+10"


def test_letters_beyond_gbk_are_read_under_the_name_gbk(here: Stage, fields: dict[str, str]) -> None:
    """Every GBK reader of Alipay's reads gb18030; a rare name character does not lose a payment."""
    body = signed(here, fields | {"subject": "㐀"}, "gb18030")
    relabelled = here.alipay.gateway.signed_form(fields | {"subject": "ok"}, charset="gbk").encode()
    assert receive(here, body).facts[0].raw["subject"] == "㐀"
    assert receive(here, relabelled).facts[0].kind is Kind.PAID


@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "idna", "rot13", "zlib", "unicode_escape", ""])
def test_no_other_charset_reaches_the_codecs(here: Stage, fields: dict[str, str], charset: str) -> None:
    assert charset not in CHARSETS
    refused(here, signed(here, fields).replace(b"charset=utf-8", b"charset=" + charset.encode()))


def test_the_charsets_letter_case_does_not_matter(here: Stage, fields: dict[str, str]) -> None:
    assert receive(here, signed(here, fields, "UTF-8")).facts[0].kind is Kind.PAID


def test_bytes_that_are_not_of_the_named_charset_are_refused(here: Stage, fields: dict[str, str]) -> None:
    refused(here, signed(here, fields) + b"&extra=%ff")


@pytest.mark.parametrize("name", ["trade_status", "sign", "app_id", "charset"])
def test_a_repeated_name_is_refused(here: Stage, fields: dict[str, str], name: str) -> None:
    refused(here, signed(here, fields) + f"&{name}=x".encode())


def test_a_field_hidden_in_another_is_refused(here: Stage, fields: dict[str, str]) -> None:
    """The signed text of `gmt_payment=…&gmt_refund=…` as one value is that of the two: a refund would read as paid."""
    here.alipay.refund_by_hand(fields["out_trade_no"], 100, "R1")
    content = dict(parse_qsl(here.notices()[0].body.decode()))
    assert receive(here, here.inbox.messages[-1].body).facts[-1].kind is Kind.REFUNDED
    content["gmt_payment"] += f"&gmt_refund={content.pop('gmt_refund')}"
    merged = urlencode(content).encode()
    assert b"gmt_payment=" in merged
    refused(here, merged)


def test_an_empty_field_that_somebody_added_says_nothing(here: Stage, fields: dict[str, str]) -> None:
    """Where empty values are left out of the signed text, anybody can add some."""
    before = receive(here, signed(here, fields)).facts
    for added in (b"&msg_method=", b"&gmt_refund=&refund_fee=", b"&gmt_close="):
        after = receive(here, signed(here, fields) + added).facts
        assert [(f.kind, f.ref, f.money, f.account) for f in after] == [
            (f.kind, f.ref, f.money, f.account) for f in before
        ]


def test_a_kept_sign_type_is_no_rule_for_payment_notices(here: Stage, fields: dict[str, str]) -> None:
    """Only messages to the application gateway may be signed so."""
    refused(here, signed(here, fields | {"sign_type": "RSA2"}))
    message = fields | {"sign_type": "RSA2", "msg_method": "alipay.some.event"}
    assert receive(here, signed(here, message)).facts == ()


def test_an_older_gateway_message_may_count_sign_type_in_too(here: Stage, fields: dict[str, str]) -> None:
    """It has `method` and a kind of its own instead of `msg_method`: the shape of the one in Alipay's SDK for Node."""
    own_kind = {"method": "alipay.open.servicemarket.order.notify", "notify_type": "servicemarket_order_notify"}
    for signed_with in ({"sign_type": "RSA2"}, {}):
        received = receive(here, signed(here, fields | own_kind | signed_with))
        assert (received.facts, received.reply.body) == ((), b"success")
        assert "servicemarket_order_notify" in received.note
    for kind in ("trade_status_sync", "dut_user_sign", "dut_user_unsign"):
        refused(here, signed(here, fields | own_kind | {"sign_type": "RSA2", "notify_type": kind}))


@pytest.mark.parametrize("sign_type", ["RSA", "rsa2", "MD5", "", "none"])
def test_the_message_cannot_choose_the_algorithm(here: Stage, fields: dict[str, str], sign_type: str) -> None:
    refused(here, signed(here, fields).replace(b"sign_type=RSA2", f"sign_type={sign_type}".encode()))


@pytest.mark.parametrize("sign", ["", "abc", "%00", "====", "AAAA", "金币", "A" * 344])
def test_an_odd_signature_is_a_forgery_and_no_accident(here: Stage, fields: dict[str, str], sign: str) -> None:
    head, _, _ = signed(here, fields).partition(b"&sign=")
    refusal = refused(here, head + f"&sign={sign}".encode() + b"")
    assert (refusal.reply.status, refusal.reply.body) == (200, b"fail")


def test_an_oversized_message_is_refused(here: Stage) -> None:
    refused(here, b"a=" + b"1" * MAX_BODY_BYTES)
    refused(here, b"&".join(b"f%d=1" % number for number in range(300)))


def test_success_and_fail_are_alipays_own_words(here: Stage, fields: dict[str, str]) -> None:
    outcome = receive(here, signed(here, fields))
    assert (outcome.reply.status, outcome.reply.body) == (200, b"success")
    assert (outcome.failure.status, outcome.failure.body) == (200, b"fail")


def test_what_a_payers_app_reports_is_no_proof(here: Stage, fields: dict[str, str]) -> None:
    with pytest.raises(Forged):
        here.provider.receive(Message("receipt", signed(here, fields)))


def test_an_unknown_kind_of_notice_is_accepted_and_says_nothing(here: Stage, fields: dict[str, str]) -> None:
    for changed in ({"notify_type": "batch_trans_notify"}, {"notify_type": ""}, {"msg_method": "alipay.some.event"}):
        outcome = receive(here, signed(here, fields | changed))
        assert (outcome.facts, outcome.reply.body, bool(outcome.note)) == ((), b"success", True)


def test_an_authentic_notice_that_lacks_its_numbers_gives_a_hint(here: Stage, fields: dict[str, str]) -> None:
    refusal = refused(here, signed(here, fields | {"trade_no": ""}))
    assert refusal.hint is not None
    assert refusal.hint.ours == fields["out_trade_no"]
    assert refused(here, signed(here, fields | {"out_trade_no": "a b"})).hint is None
    agreed = {"notify_type": "dut_user_unsign", "external_agreement_no": "4503599627374593"}
    assert refused(here, signed(here, agreed)).hint == Ref(our_agreement="4503599627374593")


def test_an_agreement_of_another_app_is_not_ours(here: Stage) -> None:
    notice = {
        "notify_type": "dut_user_sign",
        "notify_time": "2026-01-02 11:04:05",
        "app_id": "2021000000000009",
        "agreement_no": "20265101000000000001",
        "external_agreement_no": "4503599627374593",
        "sign_time": "2026-01-02 11:04:04",
    }
    (fact,) = receive(here, signed(here, notice)).facts
    assert (fact.kind, fact.account == here.provider.account) == (Kind.SIGNED, False)


def test_an_agreement_of_another_system_is_noted_and_an_odd_status_decides_nothing(here: Stage) -> None:
    notice = {
        "notify_type": "dut_user_unsign",
        "notify_time": "2026-01-02 11:04:05",
        "app_id": here.keys.app_id,
        "agreement_no": "20265101000000000001",
        "status": "UNSIGN",
    }
    theirs = receive(here, signed(here, notice))
    assert (theirs.facts, theirs.reply.body, bool(theirs.note)) == ((), b"success", True)
    ours = notice | {"external_agreement_no": "4503599627374593"}
    for status, kind in (("UNSIGN", Kind.ENDED), ("", Kind.ENDED), ("NORMAL", Kind.PENDING), ("?", Kind.PENDING)):
        (fact,) = receive(here, signed(here, ours | {"status": status})).facts
        assert (fact.kind, fact.ref.our_agreement) == (kind, "4503599627374593")
