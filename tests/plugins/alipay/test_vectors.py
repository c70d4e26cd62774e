"""The sample messages verify or are refused as their notes say: by the plugin, by a recomputation here, and, where it
can read them, by python-alipay-sdk."""

from __future__ import annotations

import base64
import binascii
import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from alipay import AliPay
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.domain.money import Money
from app.providers import Fact, Forged, Intent, Kind, Message, Misconfigured, ProviderError, Ref, Unknown
from app.providers.testing.doubles import FixedClock, MemoryKeys
from plugins.alipay import credentials
from plugins.alipay.keyring import Keyring
from plugins.alipay.responses import Unreadable, is_authentic, take_apart
from plugins.alipay.settings import AlipaySettings
from tests.plugins.alipay import samples
from tests.plugins.alipay.samples import CannedHttp

OURS, THEIRS = "T20260102030405000001", "2026010222001412345678901234"
MEANINGS = {
    "paid": Kind.PAID,
    "foreign": Kind.PAID,
    "amount_mismatch": Kind.PAID,
    "refund": Kind.REFUNDED,
    "closed_unpaid": Kind.CLOSED,
    "agreement_signed": Kind.SIGNED,
    "agreement_ended": Kind.ENDED,
}
# What the SDK cannot read: GBK, values left out of the signed text, a kept sign_type, and a sign that is no base64.
BEYOND_SDK = {
    "notify_paid_gbk",
    "notify_paid_empty_dropped",
    "message_depositback_keeps_sign_type",
    "notify_bad_base64",
}


def verifies_here(content: bytes, sign: str) -> bool:
    """SHA256withRSA with the samples' Alipay key, written without the plugin."""
    public = serialization.load_pem_public_key(Path(samples.key("alipay_public_key")).read_bytes())
    assert isinstance(public, RSAPublicKey)
    try:
        public.verify(base64.b64decode(sign, validate=True), content, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error):
        return False
    return True


def receive(name: str) -> tuple[Fact, ...]:
    return samples.provider().receive(Message("notification", samples.sample(name)["raw_body"].encode())).facts


@pytest.mark.parametrize("name", samples.names("notify_raw"))
def test_a_notice_is_accepted_exactly_if_a_recomputation_accepts_it(name: str) -> None:
    sample = samples.sample(name)
    fields = dict(parse_qsl(sample["raw_body"], keep_blank_values=True, encoding=sample["charset"]))
    tried = []
    for drop, skip_empty in itertools.product((("sign", "sign_type"), ("sign",)), (False, True)):
        kept = sorted((n, v) for n, v in fields.items() if n not in drop and (v or not skip_empty))
        content = "&".join(f"{n}={v}" for n, v in kept)
        tried.append(verifies_here(content.encode(sample["charset"]), fields["sign"]))
    assert any(tried) == sample["expect"]
    if sample["expect"]:
        receive(name)
    else:
        with pytest.raises(Forged) as refusal:
            receive(name)
        assert refusal.value.reply.body == b"fail"
        assert refusal.value.hint == Ref(ours=OURS)


@pytest.mark.parametrize("name", sorted(set(samples.names("notify_raw")) - BEYOND_SDK))
def test_the_sdk_agrees_where_it_can_read_the_notice(name: str) -> None:
    sample = samples.sample(name)
    fields = dict(parse_qsl(sample["raw_body"], keep_blank_values=True))
    sdk = AliPay(
        appid=samples.APP_ID,
        app_private_key_string=Path(samples.key("app_private_key")).read_text(),
        alipay_public_key_string=Path(samples.key("alipay_public_key")).read_text(),
    )
    assert sdk.verify(fields, fields.pop("sign")) == sample["expect"]


@pytest.mark.parametrize("name", [name for name in samples.names("notify_raw") if samples.sample(name)["expect"]])
def test_a_notice_means_what_its_note_says(name: str) -> None:
    noted = samples.sample(name)["facts"]
    facts = receive(name)
    if noted["meaning"] == "depositback":
        assert facts == ()
        return
    *before, fact = facts
    assert [each.kind for each in before] == ([Kind.PAID] if fact.kind is Kind.REFUNDED else [])
    assert fact.kind is MEANINGS[noted["meaning"]]
    if "fen" in noted:
        assert fact.money == Money(noted["fen"], "CNY")
        assert (fact.ref.ours, fact.ref.theirs) == (OURS, THEIRS)
    if "refunded_total_fen" in noted:
        assert fact.total == Money(noted["refunded_total_fen"], "CNY")
        assert fact.money is None
    assert (fact.account == samples.provider().account) == (noted["meaning"] != "foreign")


def test_paid_and_finished_are_one_fact_told_twice() -> None:
    paid, finished = receive("notify_paid")[0], receive("notify_finished")[0]
    assert (paid.kind, paid.ref, paid.money, paid.at) == (finished.kind, finished.ref, finished.money, finished.at)
    assert paid.at == datetime(2026, 1, 1, 19, 5, 7, tzinfo=UTC)  # 03:05:07 in Beijing


def test_a_resend_says_the_same_under_the_same_message_id() -> None:
    bodies = [samples.sample(name)["raw_body"].encode() for name in ("notify_paid", "notify_paid_resend")]
    first, again = (samples.provider().receive(Message("notification", body)) for body in bodies)
    assert first.message_id == again.message_id == "2026010200222030508012345678901234"
    assert first.facts[0].ref == again.facts[0].ref
    assert first.signed_at != again.signed_at


def test_partial_refunds_name_themselves_and_tell_the_running_total() -> None:
    first, second = receive("notify_refund_partial")[-1], receive("notify_refund_partial_2")[-1]
    assert (first.ref.refund, second.ref.refund) == ("R20260103000001", "R20260104000001")
    assert first.at == datetime(2026, 1, 3, 2, 0, 0, 123000, tzinfo=UTC)


@pytest.mark.parametrize("name", ["message_depositback", "message_depositback_keeps_sign_type"])
def test_a_deposit_back_message_makes_us_ask_about_the_refund_that_it_names(name: str) -> None:
    body = samples.sample(name)["raw_body"].encode()
    received = samples.provider().receive(Message("notification", body))
    assert received.asks == (Ref(ours=OURS, theirs=THEIRS, refund="R20260105000001"),)


def test_a_refund_notice_tells_the_payment_as_its_own_notice_does() -> None:
    own = receive("notify_paid")[0]
    for name in ("notify_refund_partial", "notify_refund_partial_2", "notify_refund_full"):
        told = receive(name)[0]
        assert (told.kind, told.ref, told.money, told.at) == (own.kind, own.ref, own.money, own.at)
        assert (told.account, told.refunds_unknown) == (own.account, False)


def test_nothing_personal_is_kept_for_audit() -> None:
    for name in ("notify_paid", "notify_dut_user_sign"):
        raw = receive(name)[0].raw
        assert not {"sign", "buyer_logon_id", "alipay_logon_id", "external_logon_id"} & set(raw)
        assert raw["app_id"] == samples.APP_ID


def keyring() -> Keyring:
    settings = AlipaySettings.model_validate(samples.table())
    clock = FixedClock()
    return Keyring(credentials.load(settings, clock.now()), MemoryKeys(), clock)


@pytest.mark.parametrize("name", samples.names("sync"))
def test_an_answers_signature_is_judged_as_a_recomputation_judges_it(name: str) -> None:
    """The signature is over the very characters that the note says."""
    sample = samples.sample(name)
    try:
        raw = take_apart(sample["raw_body"].encode(), sample["method"])
    except Unreadable:
        assert not sample["expect"]
        return
    recomputed = bool(raw.sign) and verifies_here(raw.content.text.encode(), raw.sign)
    assert is_authentic(raw, keyring()) == recomputed == (sample["expect"] and sample["signed"])
    if sample["expect"]:
        assert raw.content.text == sample["content"]


def outcome_of_query(name: str, **settings: Any) -> tuple[Fact, ...] | ProviderError:
    http = CannedHttp(samples.sample(name)["raw_body"].encode())
    try:
        return samples.provider(http, **settings).query(Ref(ours=OURS))
    except ProviderError as error:
        return error


@pytest.mark.parametrize("name", [n for n in samples.names("sync") if OURS in str(samples.sample(n))])
def test_an_answer_is_believed_exactly_if_its_note_says_so(name: str) -> None:
    sample = samples.sample(name)
    settings = {"aes_key": sample["aes_key_b64"]} if "aes_key_b64" in sample else {}
    outcome = outcome_of_query(name, **settings)
    if not sample["expect"]:
        assert isinstance(outcome, Unknown)
    elif sample["code"] == "40004":
        assert outcome == ()
    else:
        assert isinstance(outcome, tuple)
        assert [(fact.kind, fact.money) for fact in outcome] == [(Kind.PAID, Money(600, "CNY"))]


@pytest.mark.parametrize(("name", "expected"), [("sync_error_unsigned", Misconfigured), ("sync_query_20000", Unknown)])
def test_an_unsigned_refusal_is_no_word_about_the_payment(name: str, expected: type[ProviderError]) -> None:
    assert type(outcome_of_query(name)) is expected


def test_an_answer_without_our_number_is_no_answer_to_our_question() -> None:
    assert isinstance(outcome_of_query("sync_query_inner_spaces"), Unknown)


def test_an_encrypted_answer_without_a_key_stays_unknown_and_names_the_setting() -> None:
    outcome = outcome_of_query("sync_query_aes")
    assert isinstance(outcome, Unknown)
    assert "aes_key" in str(outcome)


def test_an_app_payment_is_the_very_order_string_of_the_sample() -> None:
    """The sample's time is 03:04:05 in Beijing and it leaves `goods_type` away; all else is as the plugin does it."""
    clock = FixedClock(datetime(2026, 1, 1, 19, 4, 5, tzinfo=UTC))
    sample = samples.sample("request_app_pay")
    provider = samples.provider(clock=clock, goods_type=None)
    intent = Intent(
        ref=Ref(ours=OURS),
        money=Money(600, "CNY"),
        subject="金币100+10 包",
        product="coins",
        quantity=1,
        owner="",
        way="app",
        created_at=clock.now(),
        expires_at=datetime(2026, 1, 1, 19, 34, 5, tzinfo=UTC),
        notify_url=sample["params"]["notify_url"],
    )
    assert provider.start(intent).action == {"type": "order_string", "order_string": sample["order_string"]}
