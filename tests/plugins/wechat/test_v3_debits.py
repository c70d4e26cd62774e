"""Auto-debit by API v3: contracts, announced deductions, and what the notifications and questions tell of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from app.domain.money import Money
from app.providers import (
    Agreements,
    Announces,
    Declined,
    Ending,
    Kind,
    Ref,
    Refusal,
    Unknown,
    capabilities,
    key_of,
)
from app.providers.testing.doubles import FixedClock
from plugins.wechat.mapping import CHARGE_REFUSALS, UNDECIDED_REFUSALS
from tests.plugins.wechat.agreement_worlds import (
    NUMBER,
    OURS,
    SIGNING_EXTRAS,
    SIX,
    WEBHOOK,
    V3DebitWorld,
    charge_intent,
    terms_for,
)
from tests.plugins.wechat.worlds import API_URL, OPENID, PublicKeyWorld

TWO_DAYS = timedelta(days=2).total_seconds()


@pytest.fixture
def world() -> V3DebitWorld:
    return V3DebitWorld()


def last_request(world: V3DebitWorld) -> tuple[str, dict[str, Any]]:
    _, url, body = world._http.requests[-1]
    return url.removeprefix(API_URL), json.loads(body)


def test_an_account_without_templates_has_no_agreements(world: V3DebitWorld) -> None:
    plain = PublicKeyWorld(FixedClock())
    assert not isinstance(plain.make_provider(plain.tools()), Agreements | Announces)
    assert capabilities(world.provider) == ("refund", "cancel", "scan", "bills", "sign", "announce")
    table = world.config.settings_v3(API_URL, debits=True)
    built: Any = world.plugin.build(world.plugin.settings.model_validate(table), world.tools())
    assert capabilities(built) == ("refund", "cancel", "scan", "bills", "sign", "announce", "refresh")


# --- signing


@pytest.mark.parametrize(
    ("way", "path", "action"),
    [
        ("app", "app", "app_agreement"),
        ("jsapi", "jsapi", "redirect"),
        ("h5", "h5", "redirect"),
        ("miniprogram", "mini-program", "miniprogram_agreement"),
    ],
)
def test_the_payer_signs_in_each_way_and_notification_and_question_tell_one_fact(
    world: V3DebitWorld, way: str, path: str, action: str
) -> None:
    assert world.provider.query(Ref(our_agreement=OURS)) == ()
    started = world.provider.sign(terms_for(world.clock, way))
    assert last_request(world) == (
        f"/v3/papay/scheduled-deduct-sign/contracts/pre-entrust-sign/{path}",
        {
            "appid": world.config.appid,
            "plan_id": 12536,
            "out_contract_code": OURS,
            "contract_display_account": "金币 monthly",
            "contract_notify_url": WEBHOOK,
            "deduct_schedule": {
                "estimated_deduct_date": "2026-01-10",
                "estimated_deduct_amount": {"total": 600, "currency": "CNY"},
                "description": "金币 monthly 😀",
            },
        }
        | ({"openid": OPENID} if way in ("jsapi", "miniprogram") else {}),
    )
    assert started.action["type"] == action
    contract = world.wechat.sign(started.action)
    (told,) = world.facts()
    ref = Ref(agreement=contract.contract_id, our_agreement=OURS)
    assert (told.kind, told.ref, told.account) == (Kind.SIGNED, ref, world.provider.account)
    assert (told.at, told.period_end) == (world.clock.now(), contract.expires_at)
    (by_code,) = world.provider.query(Ref(our_agreement=OURS))
    assert world.provider.query(ref) == (by_code,)
    assert (by_code.kind, by_code.ref, by_code.at, key_of(by_code)) == (told.kind, ref, told.at, key_of(told))


def test_a_template_with_notices_plans_no_deduction_at_the_signing() -> None:
    world = V3DebitWorld(deduction="notified")
    world.provider.sign(terms_for(world.clock, "app"))
    assert "deduct_schedule" not in last_request(world)[1]


def test_what_could_never_be_signed_is_declined(world: V3DebitWorld) -> None:
    first = replace(world.intent("h5"), notify_url=WEBHOOK)
    for odd in (
        terms_for(world.clock, "fax"),
        terms_for(world.clock, "h5", extra={}),
        terms_for(world.clock, "h5", first=first),
        terms_for(world.clock, "app", first=first),
        terms_for(world.clock, money=Money(600, "USD")),
        terms_for(world.clock, ref=Ref(our_agreement="a-b")),
    ):
        with pytest.raises(Declined):
            world.provider.sign(odd)
    with pytest.raises(Unknown):
        world.provider.sign(terms_for(world.clock, expires_at=world.clock.now()))


@pytest.mark.parametrize("way", ["app", "jsapi", "miniprogram"])
def test_one_order_pays_and_signs_and_each_is_told_by_itself(world: V3DebitWorld, way: str) -> None:
    first = replace(world.intent("app"), way=way, extra=SIGNING_EXTRAS[way], notify_url=WEBHOOK)
    terms = terms_for(world.clock, way, first=first)
    assert world.provider.sign(terms).action["type"] == way
    path, request = last_request(world)
    assert path == f"/v3/pay/transactions/{'app' if way == 'app' else 'jsapi'}-with-contract"
    assert request["contract_info"] == {
        "plan_id": "12536",
        "contract_mchid": world.config.mchid,
        "contract_appid": world.config.appid,
        "contract_code": OURS,
        "request_serial": "1767323045",
        "contract_display_account": "金币 monthly",
        "contract_notify_url": WEBHOOK,
    }
    world.wechat.pay(str(first.ref.ours))
    assert {fact.kind: (fact.ref.ours, fact.ref.our_agreement) for fact in world.facts()} == {
        Kind.SIGNED: (None, OURS),
        Kind.PAID: (first.ref.ours, None),
    }
    assert world.provider.sign(terms).action == {"type": "none"}


# --- ending


def test_an_end_by_us_is_told_by_the_answer_and_by_a_notification_as_one_fact(world: V3DebitWorld) -> None:
    contract = world.signed()
    (ended,) = world.provider.cancel(Ref(our_agreement=OURS))
    assert (ended.kind, ended.ref, ended.ending) == (Kind.ENDED, world.both(), Ending.US)
    world.wechat.tell_contract(contract)
    (told,) = world.facts()
    assert (told.kind, told.ending, key_of(told)) == (Kind.ENDED, Ending.US, key_of(ended))
    assert [key_of(fact) for fact in world.provider.cancel(world.both())] == [key_of(ended)]


def test_nobodys_signature_cannot_be_ended(world: V3DebitWorld) -> None:
    world.provider.sign(terms_for(world.clock))
    assert world.provider.cancel(Ref(our_agreement=OURS)) == ()


@pytest.mark.parametrize(("mode", "ending"), [("2", Ending.PAYER), ("4", Ending.US), ("5", Ending.PROVIDER)])
def test_an_end_by_others_says_how(world: V3DebitWorld, mode: str, ending: Ending) -> None:
    contract = world.signed()
    world.wechat.end_contract(OURS, mode)
    (told,) = world.facts()
    (asked,) = world.provider.query(world.both())
    assert (told.kind, told.ending, told.at) == (Kind.ENDED, ending, contract.ended_at)
    assert (asked.kind, asked.ending, asked.at, key_of(asked)) == (told.kind, ending, told.at, key_of(told))


def test_a_validity_ends_in_silence_and_the_question_finds_it(world: V3DebitWorld) -> None:
    contract = world.signed()
    contract.expires_at = world.clock.now() + timedelta(days=30)
    world.clock.advance(timedelta(days=30).total_seconds())
    (ended,) = world.provider.query(world.both())
    assert (ended.kind, ended.ending, ended.at) == (Kind.ENDED, Ending.TIME, contract.expires_at)
    assert world.facts() == []


def test_a_contract_that_was_signed_and_that_nobody_knows_any_more_is_over(world: V3DebitWorld) -> None:
    world.signed()
    world.wechat.end_contract(OURS)
    world.wechat.contracts.forgets_the_ended = True
    assert [fact.kind for fact in world.provider.query(world.both())] == [Kind.ENDED]
    assert [fact.kind for fact in world.provider.cancel(world.both())] == [Kind.ENDED]
    assert world.provider.query(Ref(our_agreement=OURS)) == ()
    with pytest.raises(Declined):
        world.provider.query(Ref(agreement="1"))


# --- announcing and charging


@pytest.mark.parametrize("deduction", ["scheduled", "notified"])
def test_a_deduction_is_announced_two_days_before_it_and_made_within_its_days(deduction: str) -> None:
    world = V3DebitWorld(deduction=deduction)
    contract = world.signed()
    world.clock.advance(timedelta(days=5).total_seconds())
    with pytest.raises(Declined) as unannounced:
        world.charge("100001")
    assert unannounced.value.refusal is Refusal.NOT_NOW
    for _ in range(2):
        world.provider.announce(world.both(), SIX, date(2026, 1, 9))
    path, request = last_request(world)
    if deduction == "scheduled":
        assert path == f"/v3/papay/pay/schedules/contract-id/{contract.contract_id}/schedule"
        assert request == {"appid": world.config.appid, "schedule_amount": {"total": 600, "currency": "CNY"}}
    else:
        assert path == f"/v3/papay/contracts/{contract.contract_id}/notify"
        assert request == {
            "appid": world.config.appid,
            "mchid": world.config.mchid,
            "estimated_amount": {"amount": 600, "currency": "CNY"},
            "deduct_duration": {"count": 3, "unit": "DAY"},
        }
    with pytest.raises(Declined) as early:
        world.charge("100002")
    assert early.value.refusal is Refusal.NOT_NOW
    assert world.provider.charge_window.notice.total_seconds() == TWO_DAYS
    world.clock.advance(TWO_DAYS)
    assert [fact.kind for fact in world.charge()] == [Kind.PENDING]


def test_an_announcement_under_a_contract_that_is_over_is_declined(world: V3DebitWorld) -> None:
    world.signed()
    world.wechat.end_contract(OURS)
    with pytest.raises(Declined) as gone:
        world.provider.announce(world.both(), SIX, date(2026, 1, 9))
    assert gone.value.refusal is Refusal.AGREEMENT_GONE
    with pytest.raises(Declined):
        world.provider.announce(Ref(our_agreement=OURS), SIX, date(2026, 1, 9))


def test_an_accepted_deduction_is_pending_and_the_notification_and_the_question_pay_it(world: V3DebitWorld) -> None:
    world.signed()
    (accepted,) = world.charge()
    assert accepted.kind is Kind.PENDING
    assert accepted.ref == replace(world.both(), ours=NUMBER)
    assert [fact.kind for fact in world.provider.query(Ref(ours=NUMBER))] == [Kind.PENDING]
    assert world.charge() == (accepted,)
    world.wechat.deduct(NUMBER)
    (told,) = world.facts()
    assert (told.kind, told.money, told.ref.ours) == (Kind.PAID, SIX, NUMBER)
    (asked,) = world.provider.query(Ref(ours=NUMBER, agreement=accepted.ref.agreement))
    assert (asked.kind, key_of(asked)) == (Kind.PAID, key_of(told))
    assert [key_of(fact) for fact in world.charge()] == [key_of(told)]


@pytest.mark.parametrize(
    ("code", "refusal"),
    [("NOT_ENOUGH", Refusal.NO_MONEY), ("RULE_LIMIT", Refusal.OVER_LIMIT), ("TOMORROW", Refusal.OTHER)],
)
def test_a_deduction_that_fails_is_told_with_its_reason(world: V3DebitWorld, code: str, refusal: Refusal) -> None:
    world.signed()
    world.charge()
    world.wechat.deduct(NUMBER, code)
    (told,) = world.facts()
    assert (told.kind, told.ref.ours, told.refusal) == (Kind.FAILED, NUMBER, refusal)
    assert [fact.kind for fact in world.provider.query(Ref(ours=NUMBER))] == [Kind.FAILED]


def test_each_refused_request_has_its_reason(world: V3DebitWorld) -> None:
    world.signed()
    for number, code in enumerate(sorted(CHARGE_REFUSALS.keys() - UNDECIDED_REFUSALS)):
        world.wechat.papay_v3.refusals = [code]
        with pytest.raises(Declined) as refused:
            world.charge(str(100000 + number))
        assert (refused.value.refusal, refused.value.code) == (CHARGE_REFUSALS[code], code)
    for code in ("BANK_ERROR", "SYSTEM_ERROR", "TOMORROW"):
        world.wechat.papay_v3.refusals = [code]
        with pytest.raises(Unknown):
            world.charge("200000")
    with pytest.raises(Declined) as above:
        world.charge(money=Money(50001, "CNY"))
    assert above.value.refusal is Refusal.OVER_LIMIT


def test_a_refusal_of_what_was_accepted_before_is_no_refusal(world: V3DebitWorld) -> None:
    world.signed()
    world.charge()
    world.wechat.end_contract(OURS)
    (pending,) = world.charge()
    assert (pending.kind, pending.ref.our_agreement) == (Kind.PENDING, OURS)
    world.wechat.deduct(NUMBER, "NOT_ENOUGH")
    assert [fact.kind for fact in world.charge()] == [Kind.FAILED]


def test_a_lost_answer_is_unknown_and_the_repeat_is_the_same_deduction(world: V3DebitWorld) -> None:
    world.signed()
    world.wechat.faults.timeout_after = 1
    with pytest.raises(Unknown):
        world.charge()
    assert [fact.kind for fact in world.charge()] == [Kind.PENDING]
    assert list(world.wechat.books.orders) == [NUMBER]


def test_a_deduction_is_refunded_like_any_payment(world: V3DebitWorld) -> None:
    world.signed()
    world.charge()
    world.wechat.deduct(NUMBER)
    (pending,) = world.provider.refund(Ref(ours=NUMBER, refund="R1"), SIX, "asked")
    assert (pending.kind, pending.money) == (Kind.REFUND_PENDING, SIX)


def test_a_charge_without_the_contracts_number_or_after_its_time_is_not_sent(world: V3DebitWorld) -> None:
    intent = charge_intent(world.clock)
    with pytest.raises(Declined):
        world.provider.charge(Ref(our_agreement=OURS), intent)
    with pytest.raises(Unknown):
        world.provider.charge(Ref(agreement="1", our_agreement=OURS), replace(intent, expires_at=world.clock.now()))
    assert world.wechat.books.orders == {}
