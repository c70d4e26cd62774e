"""Auto-debit by API v2: contracts, deductions, and what the notifications and questions tell of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from wechatpy.pay.utils import calculate_signature

from app.domain.money import Money
from app.providers import (
    Agreements,
    Announces,
    Declined,
    Ending,
    Kind,
    Misconfigured,
    Ref,
    Refusal,
    Unknown,
    capabilities,
    key_of,
)
from plugins.wechat.agreements import CONTRACT_WAYS, plan_of
from plugins.wechat.mapping import CHARGE_REFUSALS, UNDECIDED_REFUSALS
from plugins.wechat.settings import V2Settings
from plugins.wechat.simulated.books import Refused
from tests.plugins.wechat.agreement_worlds import (
    NUMBER,
    OURS,
    SIGNING_EXTRAS,
    SIX,
    WEBHOOK,
    V2DebitWorld,
    charge_intent,
    terms_for,
)
from tests.plugins.wechat.second_opinion import v2_sign
from tests.plugins.wechat.worlds import API_URL, V2Md5World, V2World, our_config


@pytest.fixture
def world() -> V2DebitWorld:
    return V2DebitWorld()


def both(world: V2DebitWorld) -> Ref:
    contract = next(iter(world.wechat.contracts))
    return Ref(agreement=contract.contract_id, our_agreement=contract.signing.code)


# --- settings


def test_an_account_without_templates_has_no_agreements(world: V2DebitWorld) -> None:
    plain = V2Md5World(world.clock)
    assert not isinstance(plain.make_provider(plain.tools()), Agreements)
    assert capabilities(world.provider) == ("cancel", "scan", "bills", "sign")
    assert not isinstance(world.provider, Announces)
    refunding = world.config.settings_v2(API_URL, certificate=True, debits=True)
    built: Any = world.plugin.build(world.plugin.settings.model_validate(refunding), world.tools())
    assert capabilities(built) == ("refund", "cancel", "scan", "bills", "sign")


def test_templates_go_with_md5_and_are_numbers() -> None:
    table = our_config().settings_v2(API_URL, debits=True)
    for odd in ({"sign_type": "HMAC-SHA256"}, {"plan_ids": ["x"]}, {"plan_ids": ["1", "1"]}):
        with pytest.raises(ValueError, match=r"MD5|plan id"):
            V2Settings.model_validate(table | odd)


def test_a_product_names_its_template_or_there_is_only_one() -> None:
    assert plan_of("12536", ("12535", "12536")) == "12536"
    assert plan_of("coins", ("12535",)) == "12535"
    with pytest.raises(Misconfigured):
        plan_of("coins", ("12535", "12536"))


# --- signing


def test_the_page_for_signing_is_signed_as_two_others_sign_it(world: V2DebitWorld) -> None:
    url = world.provider.sign(terms_for(world.clock)).action["url"]
    assert url.startswith(f"{API_URL}/papay/entrustweb?")
    fields = dict(parse_qsl(urlsplit(url).query, strict_parsing=True))
    sign = fields.pop("sign")
    assert sign == v2_sign(fields, world.config.api_key, "MD5") == calculate_signature(fields, world.config.api_key)
    assert f"notify_url={quote(WEBHOOK, safe='')}" in url
    assert fields == {
        "appid": world.config.appid,
        "mch_id": world.config.mchid,
        "plan_id": "12536",
        "contract_code": OURS,
        "request_serial": "1767323045",
        "contract_display_account": "金币 monthly",
        "notify_url": WEBHOOK,
        "timestamp": "1767323045",
        "version": "1.0",
    }


@pytest.mark.parametrize("way", sorted(CONTRACT_WAYS))
def test_the_payer_signs_in_each_way_and_notification_and_question_tell_one_fact(world: V2DebitWorld, way: str) -> None:
    assert world.provider.query(Ref(our_agreement=OURS)) == ()
    contract = world.wechat.sign(world.provider.sign(terms_for(world.clock, way)).action)
    (told,) = world.facts()
    ref = Ref(agreement=contract.contract_id, our_agreement=OURS)
    assert (told.kind, told.ref, told.account) == (Kind.SIGNED, ref, world.provider.account)
    assert (told.at, told.period_end) == (world.clock.now(), contract.expires_at)
    (by_code,) = world.provider.query(Ref(our_agreement=OURS))
    assert world.provider.query(ref) == (by_code,)
    assert (by_code.kind, by_code.ref, by_code.at, key_of(by_code)) == (told.kind, ref, told.at, key_of(told))


def test_what_could_never_be_signed_is_declined(world: V2DebitWorld) -> None:
    for odd in (
        terms_for(world.clock, "fax"),
        terms_for(world.clock, "h5", extra={}),
        terms_for(world.clock, money=Money(600, "USD")),
        terms_for(world.clock, ref=Ref(our_agreement="a-b")),
        terms_for(world.clock, ref=Ref()),
    ):
        with pytest.raises(Declined):
            world.provider.sign(odd)
    with pytest.raises(Unknown):
        world.provider.sign(terms_for(world.clock, expires_at=world.clock.now()))
    with pytest.raises(Misconfigured):
        world.provider.sign(terms_for(world.clock, notify_url=f"{WEBHOOK}?a=b"))


def test_a_browser_is_sent_nowhere_but_to_an_address(world: V2DebitWorld) -> None:
    world.wechat.papay_v2.browser_address = lambda *_: {"return_code": "SUCCESS", "redirect_url": "javascript:x"}  # type: ignore[method-assign]
    with pytest.raises(Unknown):
        world.provider.sign(terms_for(world.clock, "h5"))


@pytest.mark.parametrize("way", sorted(CONTRACT_WAYS))
def test_one_order_pays_and_signs_and_each_is_told_by_itself(world: V2DebitWorld, way: str) -> None:
    first = replace(world.intent("native"), way=way, extra=SIGNING_EXTRAS[way], notify_url=WEBHOOK)
    terms = terms_for(world.clock, way, first=first)
    started = world.provider.sign(terms)
    assert world.provider.sign(terms).action.keys() == started.action.keys()
    assert world.order_of(first).trade_type == {"app": "APP", "h5": "MWEB"}.get(way, "JSAPI")
    world.wechat.pay(str(first.ref.ours))
    facts = world.facts()
    assert {fact.kind: (fact.ref.ours, fact.ref.our_agreement) for fact in facts} == {
        Kind.SIGNED: (None, OURS),
        Kind.PAID: (first.ref.ours, None),
    }
    assert world.provider.sign(terms).action == {"type": "none"}


def test_a_payment_can_be_made_where_the_contract_cannot(world: V2DebitWorld) -> None:
    world.signed()
    first = replace(world.intent("app"), notify_url=WEBHOOK)
    assert world.provider.sign(terms_for(world.clock, "app", first=first)).action["type"] == "app"
    world.wechat.pay(str(first.ref.ours))
    assert [fact.kind for fact in world.facts()] == [Kind.PAID]


# --- ending


def test_an_end_by_us_is_told_by_the_answer_and_by_a_notification_as_one_fact(world: V2DebitWorld) -> None:
    contract = world.signed()
    (ended,) = world.provider.cancel(Ref(our_agreement=OURS))
    assert (ended.kind, ended.ref, ended.ending) == (Kind.ENDED, both(world), Ending.US)
    world.wechat.tell_contract(contract)
    (told,) = world.facts()
    assert (told.kind, told.ending, key_of(told)) == (Kind.ENDED, Ending.US, key_of(ended))
    assert [key_of(fact) for fact in world.provider.cancel(both(world))] == [key_of(ended)]


def test_nobodys_signature_cannot_be_ended(world: V2DebitWorld) -> None:
    world.provider.sign(terms_for(world.clock))
    assert world.provider.cancel(Ref(our_agreement=OURS)) == ()


@pytest.mark.parametrize(("mode", "ending"), [("2", Ending.PAYER), ("4", Ending.US), ("5", Ending.PROVIDER)])
def test_an_end_by_others_says_how(world: V2DebitWorld, mode: str, ending: Ending) -> None:
    contract = world.signed()
    world.wechat.end_contract(OURS, mode)
    (told,) = world.facts()
    (asked,) = world.provider.query(both(world))
    assert (told.kind, told.ending, told.at) == (Kind.ENDED, ending, contract.ended_at)
    assert (asked.kind, asked.ending, asked.at, key_of(asked)) == (told.kind, ending, told.at, key_of(told))


def test_a_validity_ends_in_silence_and_the_question_finds_it(world: V2DebitWorld) -> None:
    contract = world.signed()
    contract.expires_at = world.clock.now() + timedelta(days=30)
    world.clock.advance(timedelta(days=30).total_seconds())
    (ended,) = world.provider.query(both(world))
    assert (ended.kind, ended.ending, ended.at) == (Kind.ENDED, Ending.TIME, contract.expires_at)
    assert world.facts() == []


def test_a_contract_that_was_signed_and_that_nobody_knows_any_more_is_over(world: V2DebitWorld) -> None:
    world.signed()
    world.wechat.end_contract(OURS)
    world.wechat.contracts.forgets_the_ended = True
    assert [fact.kind for fact in world.provider.query(both(world))] == [Kind.ENDED]
    assert world.provider.query(Ref(our_agreement=OURS)) == ()


# --- charging


def test_an_accepted_deduction_is_pending_and_the_notification_and_the_question_pay_it(world: V2DebitWorld) -> None:
    world.signed()
    (accepted,) = world.charge()
    assert (accepted.kind, accepted.ref.ours, accepted.ref.agreement) == (Kind.PENDING, NUMBER, both(world).agreement)
    assert [fact.kind for fact in world.provider.query(Ref(ours=NUMBER))] == [Kind.PENDING]
    assert world.charge() == (accepted,)
    world.wechat.deduct(NUMBER)
    (told,) = world.facts()
    assert (told.kind, told.money, told.ref.agreement) == (Kind.PAID, SIX, both(world).agreement)
    for ref in (Ref(ours=NUMBER), Ref(ours=NUMBER, agreement=told.ref.agreement), Ref(theirs=told.ref.theirs)):
        (asked,) = world.provider.query(ref)
        assert (asked.kind, key_of(asked)) == (Kind.PAID, key_of(told))
    assert [key_of(fact) for fact in world.charge()] == [key_of(told)]


@pytest.mark.parametrize(
    ("code", "refusal"),
    [("NOTENOUGH", Refusal.NO_MONEY), ("RULELIMIT", Refusal.OVER_LIMIT), ("TOMORROW", Refusal.OTHER)],
)
def test_a_deduction_that_fails_is_told_with_its_reason(world: V2DebitWorld, code: str, refusal: Refusal) -> None:
    world.signed()
    world.charge()
    world.wechat.deduct(NUMBER, code)
    (told,) = world.facts()
    assert (told.kind, told.ref.ours, told.refusal, told.cause) == (Kind.FAILED, NUMBER, refusal, code)
    assert [fact.kind for fact in world.provider.query(Ref(ours=NUMBER))] == [Kind.FAILED]


def test_each_refused_request_has_its_reason(world: V2DebitWorld) -> None:
    world.signed()
    for number, code in enumerate(sorted(CHARGE_REFUSALS.keys() - UNDECIDED_REFUSALS)):
        world.wechat.papay_v2.refusals = [code]
        with pytest.raises(Declined) as refused:
            world.charge(str(100000 + number))
        assert (refused.value.refusal, refused.value.code) == (CHARGE_REFUSALS[code], code)
    for code in ("BANKERROR", "SYSTEMERROR", "0", "TOMORROW"):
        world.wechat.papay_v2.refusals = [code]
        with pytest.raises(Unknown):
            world.charge("200000")


def test_the_simulators_own_rules_refuse_for_their_reasons(world: V2DebitWorld) -> None:
    world.signed()
    with pytest.raises(Declined) as above:
        world.charge(money=Money(50001, "CNY"))
    assert above.value.refusal is Refusal.OVER_LIMIT
    world.wechat.end_contract(OURS)
    with pytest.raises(Declined) as gone:
        world.charge()
    assert gone.value.refusal is Refusal.AGREEMENT_GONE


def test_a_refusal_of_what_was_accepted_before_is_no_refusal(world: V2DebitWorld) -> None:
    world.signed()
    world.charge()
    world.wechat.end_contract(OURS)
    (pending,) = world.charge()
    assert (pending.kind, pending.ref.our_agreement) == (Kind.PENDING, OURS)
    world.wechat.deduct(NUMBER)
    assert [fact.kind for fact in world.charge()] == [Kind.PAID]


def test_a_lost_answer_is_unknown_and_the_repeat_is_the_same_deduction(world: V2DebitWorld) -> None:
    world.signed()
    world.wechat.faults.timeout_after = 1
    with pytest.raises(Unknown):
        world.charge()
    assert [fact.kind for fact in world.charge()] == [Kind.PENDING]
    assert list(world.wechat.books.orders) == [NUMBER]


def test_a_charge_without_the_contracts_number_or_after_its_time_is_not_sent(world: V2DebitWorld) -> None:
    intent = charge_intent(world.clock)
    with pytest.raises(Declined):
        world.provider.charge(Ref(our_agreement=OURS), intent)
    with pytest.raises(Unknown):
        world.provider.charge(Ref(agreement="1", our_agreement=OURS), replace(intent, expires_at=world.clock.now()))
    assert world.wechat.books.orders == {}


def test_a_deduction_is_refunded_like_any_payment(world: V2DebitWorld) -> None:
    world.signed()
    world.charge()
    world.wechat.deduct(NUMBER)
    table = world.config.settings_v2(API_URL, certificate=True, debits=True)
    shop: Any = world.plugin.build(world.plugin.settings.model_validate(table), world.tools())
    (pending,) = shop.refund(Ref(ours=NUMBER, refund="R1"), SIX, "asked")
    assert (pending.kind, pending.money) == (Kind.REFUND_PENDING, SIX)


def test_an_ordinary_payment_is_asked_about_as_ever(world: V2DebitWorld) -> None:
    intent = world.intent("native")
    world.provider.start(intent)
    for ref in (intent.ref, replace(intent.ref, agreement="1")):
        assert [fact.kind for fact in world.provider.query(ref)] == [Kind.PENDING]
    assert world.provider.query(Ref(ours="999999")) == ()


def test_the_simulator_refuses_a_parameter_too_many(world: V2DebitWorld) -> None:
    url = world.provider.sign(terms_for(world.clock)).action["url"]
    fields = dict(parse_qsl(urlsplit(url).query))
    with pytest.raises(Refused):
        world.wechat.papay_v2.signing(fields | {"nonce_str": "1"}, "jsapi")
    with pytest.raises(Refused):
        world.wechat.papay_v2.signing(fields | {"plan_id": "12535"}, "jsapi")


def test_a_notification_of_a_contract_is_refused_when_it_is_signed_otherwise(world: V2DebitWorld) -> None:
    contract = world.signed()
    genuine = world.wechat.contract_message(contract)
    assert world.provider.receive(genuine).facts
    other = V2World(world.clock)
    with pytest.raises(Exception, match="signature"):
        other.make_provider(other.tools()).receive(genuine)
