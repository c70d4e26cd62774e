"""Auto-debit: what is signed, what the notices and answers say of an agreement, and how it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from alipay import AliPay

from app.domain.money import Money
from app.providers import Agreements, Declined, Ending, Intent, Kind, Message, Ref, Terms, Unknown, capabilities, key_of
from plugins.alipay.agreements import AGREEMENT_WAYS, planned_day
from plugins.alipay.debits import AlipayDebits
from plugins.alipay.settings import AlipaySettings
from plugins.alipay.simulated.alipay import FORM_TYPE
from plugins.alipay.simulated.trades import BusinessFailure
from tests.plugins.alipay.actors import GATEWAY, Stage, certificate_mode, intent_for, key_mode, stage

CYCLE = {"product_code": "CYCLE_PAY_AUTH", "sign_scene": "INDUSTRY|DIGITAL_MEDIA"}
WITHHOLDING = CYCLE | {"product_code": "GENERAL_WITHHOLDING"}
OLD_WITHHOLDING = WITHHOLDING | {"personal_product_code": "GENERAL_WITHHOLDING_P"}
OURS = "4503599627374593"
WEBHOOK = "https://pay.example.com/webhooks/alipay"


def debits(here: Stage) -> AlipayDebits:
    assert isinstance(here.provider, AlipayDebits)
    return here.provider


@pytest.fixture
def here() -> Stage:
    made = stage(agreements=CYCLE)
    made.alipay.application_gateway = WEBHOOK
    return made


def terms_for(here: Stage, way: str = "app", **changes: Any) -> Terms:
    """Six yuan a month from the 10th of January on, to be signed within half an hour."""
    terms = Terms(
        ref=Ref(our_agreement=OURS),
        money=Money(600, "CNY"),
        subject="金币 monthly",
        product="coins-monthly",
        unit="month",
        count=1,
        first_due=date(2026, 1, 10),
        owner="0b9e1a56-7c39-4d2e-8f60-5a1de2c4b7aa",
        way=way,
        created_at=here.clock.now(),
        expires_at=here.clock.now() + timedelta(minutes=30),
        notify_url=WEBHOOK,
        return_url="https://shop.example.com/back",
    )
    return replace(terms, **changes)


def signed_request(action: dict[str, Any]) -> dict[str, str]:
    """The parameters of the request that the action carries to Alipay."""
    text = action.get("sign_str") or action.get("code") or action.get("order_string") or action["url"]
    if text.startswith("alipays://"):
        link = dict(parse_qsl(urlsplit(text).query))
        assert (link["appId"], text.split("?")[0]) == ("60000157", "alipays://platformapi/startapp")
        text = unquote(text.partition("sign_params=")[2])
    return dict(parse_qsl(text.partition("?")[2] if text.startswith("http") else text, strict_parsing=True))


def test_an_account_without_a_contract_has_no_agreements() -> None:
    assert not isinstance(stage().provider, Agreements)
    for keys in (key_mode(), certificate_mode()):
        provider = stage(keys, agreements=CYCLE).provider
        assert isinstance(provider, Agreements)
        assert set(capabilities(provider)) - {"refresh"} == {"refund", "cancel", "scan", "bills", "sign"}
        assert ("refresh" in capabilities(provider)) == (keys is certificate_mode())


def test_a_contract_that_cannot_be_is_refused_with_the_settings() -> None:
    base = key_mode().settings(GATEWAY)
    for odd in (
        CYCLE | {"personal_product_code": "GENERAL_WITHHOLDING_P"},
        CYCLE | {"sign_scene": "DEFAULT|DEFAULT"},
        {"product_code": "CYCLE_PAY_AUTH"},
    ):
        with pytest.raises(ValueError, match="agreements"):
            AlipaySettings.model_validate(base | {"agreements": odd})


@pytest.mark.parametrize("way", sorted(AGREEMENT_WAYS))
def test_each_way_of_signing_carries_a_request_that_the_sdk_signs_alike(here: Stage, way: str) -> None:
    """The signature is deterministic, so python-alipay-sdk with the same key has to come to the same one."""
    parameters = signed_request(dict(debits(here).sign(terms_for(here, way)).action))
    business = json.loads(parameters["biz_content"])
    channels = {"page": "QRCODEORSMS", "qr": "QRCODE"}
    assert parameters["method"] == "alipay.user.agreement.page.sign"
    assert parameters["notify_url"] == WEBHOOK
    assert business == {
        "product_code": "CYCLE_PAY_AUTH",
        "personal_product_code": "CYCLE_PAY_AUTH_P",
        "sign_scene": "INDUSTRY|DIGITAL_MEDIA",
        "external_agreement_no": OURS,
        "access_params": {"channel": channels.get(way, "ALIPAYAPP")},
        "period_rule_params": {
            "period_type": "MONTH",
            "period": 1,
            "execute_time": "2026-01-10",
            "single_amount": "6.00",
        },
        "effect_time": 1800,
    }
    keys = key_mode()
    sdk = AliPay(
        appid=keys.app_id,
        app_private_key_string=keys.app_private_key,
        alipay_public_key_string=keys.alipay_public_key,
        sign_type="RSA2",
    )
    unsigned = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()) if name != "sign")
    assert sdk._sign(unsigned) == parameters["sign"]


def test_the_payer_signs_in_each_way_and_the_notice_and_the_query_tell_one_fact(here: Stage) -> None:
    for number, way in enumerate(AGREEMENT_WAYS):
        ref = Ref(our_agreement=str(int(OURS) + number))
        assert debits(here).query(ref) == ()
        agreement = here.alipay.sign(debits(here).sign(terms_for(here, way, ref=ref)).action)
        (told,) = debits(here).receive(here.notices()[0]).facts
        both = Ref(agreement=agreement.agreement_no, our_agreement=ref.our_agreement)
        assert (told.kind, told.ref, told.account, told.period_end) == (Kind.SIGNED, both, here.provider.account, None)
        (asked,) = debits(here).query(ref)
        assert (asked, key_of(asked)) == (replace(told, cause=asked.cause, raw=asked.raw), key_of(told))
        assert debits(here).query(both) == (asked,)


def test_signing_again_is_the_first_agreement(here: Stage) -> None:
    first = here.alipay.sign(debits(here).sign(terms_for(here)).action)
    assert here.alipay.sign(debits(here).sign(terms_for(here, "qr")).action) is first


@pytest.mark.parametrize(
    ("due", "planned"),
    [("2026-01-28", "2026-01-28"), ("2026-01-29", "2026-02-01"), ("2026-12-31", "2027-01-01")],
)
def test_a_planned_date_never_lies_after_the_28th_and_the_due_day_lies_in_its_window(due: str, planned: str) -> None:
    day = planned_day(date.fromisoformat(due))
    assert day.isoformat() == planned
    assert timedelta(0) <= day - date.fromisoformat(due) <= timedelta(days=5)


def test_a_period_in_days_is_due_on_its_own_day_and_lasts_a_week_at_least(here: Stage) -> None:
    weekly = terms_for(here, unit="day", count=7, first_due=date(2026, 1, 31))
    rule = json.loads(signed_request(dict(debits(here).sign(weekly).action))["biz_content"])["period_rule_params"]
    assert (rule["period_type"], rule["period"], rule["execute_time"]) == ("DAY", 7, "2026-01-31")
    with pytest.raises(Declined):
        debits(here).sign(replace(weekly, count=6))


def test_a_contract_without_a_plan_sends_no_period(here: Stage) -> None:
    plain, planned = debits(stage(agreements=OLD_WITHHOLDING)), debits(stage(agreements=WITHHOLDING))
    business = json.loads(signed_request(dict(plain.sign(terms_for(here)).action))["biz_content"])
    assert business["product_code"] == "GENERAL_WITHHOLDING"
    assert "period_rule_params" not in business
    assert (plain.charge_window.before, planned.charge_window.before) == (timedelta(0), timedelta(days=5))


def test_what_alipay_could_never_sign_is_declined_and_a_link_whose_time_is_over_is_unknown(here: Stage) -> None:
    first = intent_for(here.clock)
    for terms in (
        terms_for(here, "fax"),
        terms_for(here, money=Money(600, "USD")),
        terms_for(here, ref=Ref()),
        terms_for(here, extra={"colour": "red"}),
        terms_for(here, "wap", first=first),
    ):
        with pytest.raises(Declined):
            debits(here).sign(terms)
    action = debits(here).sign(terms_for(here)).action
    here.clock.advance(1800)
    with pytest.raises(Unknown):
        debits(here).sign(terms_for(here, expires_at=here.clock.now()))
    with pytest.raises(BusinessFailure):
        here.alipay.sign(action)


# --- paying and signing together


def pay_and_sign(here: Stage) -> tuple[Intent, dict[str, Any]]:
    first = intent_for(here.clock)
    return first, dict(debits(here).sign(terms_for(here, first=first)).action)


def test_one_order_string_pays_and_signs_and_each_is_told_by_itself(here: Stage) -> None:
    first, action = pay_and_sign(here)
    parameters = signed_request(action)
    business = json.loads(parameters["biz_content"])
    assert (action["type"], parameters["method"]) == ("order_string", "alipay.trade.app.pay")
    assert business["product_code"] == "CYCLE_PAY_AUTH"
    assert business["agreement_sign_params"]["external_agreement_no"] == OURS
    assert business["agreement_sign_params"]["sign_notify_url"] == WEBHOOK
    assert "effect_time" not in business["agreement_sign_params"]
    here.alipay.pay(here.alipay.order_of(action))
    facts = [fact for notice in here.notices() for fact in debits(here).receive(notice).facts]
    assert {fact.kind: (fact.ref.ours, fact.ref.our_agreement) for fact in facts} == {
        Kind.SIGNED: (None, OURS),
        Kind.PAID: (first.ref.ours, None),
    }


def test_the_payment_may_succeed_without_the_agreement(here: Stage) -> None:
    here.alipay.signs_with_payments = False
    first, action = pay_and_sign(here)
    here.alipay.pay(here.alipay.order_of(action))
    assert [fact.kind for fact in debits(here).query(first.ref)] == [Kind.PAID]
    assert debits(here).query(Ref(our_agreement=OURS)) == ()


# --- ending


def sign(here: Stage) -> Ref:
    agreement = here.alipay.sign(debits(here).sign(terms_for(here)).action)
    here.notices()
    return Ref(agreement=agreement.agreement_no, our_agreement=OURS)


def test_an_end_by_us_is_told_by_the_answer_and_by_a_notice_as_one_fact(here: Stage) -> None:
    ref = sign(here)
    (ended,) = debits(here).cancel(Ref(our_agreement=OURS))
    assert (ended.kind, ended.ref, ended.ending) == (Kind.ENDED, ref, Ending.US)
    (told,) = debits(here).receive(here.notices()[0]).facts
    assert (told.kind, told.ref, key_of(told)) == (Kind.ENDED, ref, key_of(ended))
    (again,) = debits(here).cancel(ref)
    assert (again.kind, again.ending, key_of(again)) == (Kind.ENDED, None, key_of(ended))


def test_nobodys_signature_cannot_be_ended(here: Stage) -> None:
    debits(here).sign(terms_for(here))
    assert debits(here).cancel(Ref(our_agreement=OURS)) == ()


def test_an_end_by_the_payer_comes_to_the_application_gateway_alone(here: Stage) -> None:
    ref = sign(here)
    here.alipay.unsign(OURS)
    (told,) = debits(here).receive(here.notices()[0]).facts
    (asked,) = debits(here).query(ref)
    assert (told.kind, told.ref, told.ending) == (Kind.ENDED, ref, Ending.PAYER)
    assert (asked.kind, asked.ending, key_of(asked)) == (Kind.ENDED, None, key_of(told))
    here.alipay.application_gateway = ""
    other = Ref(our_agreement="1")
    here.alipay.sign(debits(here).sign(terms_for(here, ref=other)).action)
    here.notices()
    here.alipay.unsign("1")
    assert here.notices() == []
    assert [fact.kind for fact in debits(here).query(other)] == [Kind.ENDED]


def test_a_validity_ends_in_silence_and_the_query_finds_it(here: Stage) -> None:
    ref = sign(here)
    until = here.clock.now() + timedelta(days=60)
    here.alipay.gateway.agreements.find(OURS).valid_until = until
    assert debits(here).query(ref)[0].period_end == until
    here.clock.advance(timedelta(days=60).total_seconds())
    (ended,) = debits(here).query(ref)
    assert (ended.kind, ended.ending, ended.at, ended.period_end) == (Kind.ENDED, Ending.TIME, until, None)
    assert here.notices() == []


def test_an_agreement_that_was_signed_and_that_alipay_knows_no_more_is_over(here: Stage) -> None:
    ref = sign(here)
    here.alipay.unsign(OURS)
    here.alipay.gateway.agreements.forgets_the_ended = True
    assert [fact.kind for fact in debits(here).query(ref)] == [Kind.ENDED]
    assert debits(here).query(Ref(our_agreement=OURS)) == ()


def test_lost_and_repeated_notices_leave_one_fact(here: Stage) -> None:
    here.alipay.faults.set(lose=1)
    ref = sign(here)
    here.alipay.faults.set(repeat=3)
    here.alipay.unsign(OURS)
    keys = {key_of(fact) for notice in here.notices() for fact in debits(here).receive(notice).facts}
    assert keys == {f"ended:{ref.agreement}"}


# --- notices as others have seen them


def test_a_published_notice_of_a_signing_is_read(here: Stage) -> None:
    """The fields of a notice of 2019 in a public support answer, with our app and numbers and signed by our Alipay."""
    published = {
        "notify_time": "2019-11-26 10:11:42",
        "agreement_no": "20195926584211349886",
        "status": "NORMAL",
        "auth_app_id": here.keys.app_id,
        "notify_type": "dut_user_sign",
        "alipay_user_id": "2088000000000064",
        "login_token": "967009593f3ad62c2907106d64c3fc2b_86",
        "invalid_time": "2115-02-01 00:00:00",
        "personal_product_code": "CYCLE_PAY_AUTH_P",
        "version": "1.0",
        "sign_scene": "INDUSTRY|CARRENTAL",
        "valid_time": "2019-11-26 10:11:42",
        "external_agreement_no": "13852852878487",
        "alipay_logon_id": "159******00",
        "app_id": here.keys.app_id,
        "notify_id": "2019112600222101142000830515041653",
        "sign_time": "2019-11-26 10:11:42",
    }
    body = here.alipay.gateway.signed_form(published)
    received = here.provider.receive(Message("notification", body.encode(), {"content-type": FORM_TYPE}))
    (fact,) = received.facts
    assert (fact.kind, fact.period_end) == (Kind.SIGNED, None)
    assert fact.ref == Ref(agreement="20195926584211349886", our_agreement="13852852878487")
    assert fact.at.isoformat() == "2019-11-26T02:11:42+00:00"
    assert not {"login_token", "alipay_logon_id"} & set(fact.raw)
    assert received.reply.body == b"success"
