"""Starting a payment: what WeChat Pay is sent, what the payer's client gets, and repeating it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from wechatpy.pay.utils import calculate_signature, calculate_signature_hmac

from app.domain.money import Money
from app.providers import Declined, Intent, Kind, Misconfigured, Ref, Unknown
from app.providers.testing.doubles import BrokenHttp, FixedClock, WsgiClient
from plugins.wechat.v2.xml import parse_xml
from tests.plugins.wechat.second_opinion import rsa_verifies, v2_sign
from tests.plugins.wechat.worlds import EXTRAS, OPENID, V2Md5World, V2World, V3World, WeChatWorld

WORLDS: list[type[WeChatWorld]] = [V3World, V2World, V2Md5World]


def sent(world: WeChatWorld) -> list[tuple[str, str, bytes]]:
    assert isinstance(world.http, WsgiClient)
    return world.http.requests


def start(world: WeChatWorld, intent: Intent) -> dict[str, Any]:
    return dict(world.make_provider(world.tools()).start(intent).action)


def rsa_holds(world: WeChatWorld, message: str, signature: str) -> bool:
    return rsa_verifies(world.config.merchant.key.public_key(), message, signature)


def test_the_v3_order_says_all_that_the_intent_says() -> None:
    world = V3World(FixedClock())
    intent = world.intent("jsapi", fen=4200)

    start(world, intent)

    method, url, body = sent(world)[0]
    assert (method, url) == ("POST", "https://wechat.simulated.example/v3/pay/transactions/jsapi")
    assert json.loads(body) == {
        "appid": world.config.appid,
        "mchid": world.config.mchid,
        "description": "600 coins a “gift” / 600 金币",
        "out_trade_no": intent.ref.ours,
        "time_expire": "2026-01-02T11:34:05+08:00",
        "attach": intent.owner,
        "notify_url": intent.notify_url,
        "amount": {"total": 4200, "currency": "CNY"},
        "payer": {"openid": OPENID},
    }


def test_the_v2_order_says_all_that_the_intent_says() -> None:
    world = V2World(FixedClock())
    intent = world.intent("h5", fen=4200)

    start(world, intent)

    method, url, body = sent(world)[0]
    fields = parse_xml(body)
    assert (method, url) == ("POST", "https://wechat.simulated.example/pay/unifiedorder")
    assert fields.pop("sign") == v2_sign(fields, world.config.api_key, "HMAC-SHA256")
    assert len(fields.pop("nonce_str")) == 32
    page = {"type": "Wap", "wap_url": "https://shop.example", "wap_name": "shop.example"}
    assert json.loads(fields.pop("scene_info")) == {"h5_info": page}
    assert fields == {
        "appid": world.config.appid,
        "mch_id": world.config.mchid,
        "sign_type": "HMAC-SHA256",
        "body": "600 coins a “gift” / 600 金币",
        "out_trade_no": intent.ref.ours,
        "time_start": "20260102110405",
        "time_expire": "20260102113405",
        "attach": intent.owner,
        "notify_url": intent.notify_url,
        "total_fee": "4200",
        "fee_type": "CNY",
        "trade_type": "MWEB",
        "spbill_create_ip": "203.0.113.7",
    }


def test_an_app_that_opens_the_cashier_names_its_system() -> None:
    for world_class in (V3World, V2World):
        world = world_class(FixedClock())
        intent = world.intent("h5")
        start(world, replace(intent, extra={**intent.extra, "system": "iOS"}))
        body = sent(world)[0][2]
        scene = json.loads(body)["scene_info"] if body.startswith(b"{") else json.loads(parse_xml(body)["scene_info"])
        assert scene["h5_info"] == {"type": "iOS"}


def test_v3_parameters_inside_wechat_are_signed_by_our_key() -> None:
    world = V3World(FixedClock())
    for way in ("jsapi", "miniprogram"):
        action = start(world, world.intent(way))
        message = f"{world.config.appid}\n{action['timeStamp']}\n{action['nonceStr']}\n{action['package']}\n"
        assert rsa_holds(world, message, action["paySign"])
        assert action["package"].startswith("prepay_id=wx")
        assert (action["type"], action["signType"], action["timeStamp"]) == (way, "RSA", "1767323045")
        assert ("appId" in action) == (way == "jsapi")


def test_v3_parameters_for_an_app_sign_the_bare_prepay_id() -> None:
    world = V3World(FixedClock())
    action = start(world, world.intent("app"))
    message = f"{action['appid']}\n{action['timestamp']}\n{action['noncestr']}\n{action['prepayid']}\n"
    assert rsa_holds(world, message, action["sign"])
    assert (action["type"], action["partnerid"], action["package"]) == ("app", world.config.mchid, "Sign=WXPay")


@pytest.mark.parametrize("world_class", [V2World, V2Md5World])
def test_v2_parameters_are_signed_like_the_order(world_class: type[V2World]) -> None:
    world = world_class(FixedClock())
    by_wechatpy = calculate_signature if world.sign_type == "MD5" else calculate_signature_hmac
    jsapi, mini, app = (start(world, world.intent(way)) for way in ("jsapi", "miniprogram", "app"))

    signed = {name: jsapi[name] for name in ("appId", "timeStamp", "nonceStr", "package", "signType")}
    assert jsapi["signType"] == world.sign_type
    assert jsapi["paySign"] == by_wechatpy(signed, world.config.api_key)
    assert "appId" not in mini
    signed = {name: value for name, value in app.items() if name not in ("type", "sign")}
    assert app["sign"] == by_wechatpy(signed, world.config.api_key)
    assert "signType" not in app


@pytest.mark.parametrize("world_class", [V3World, V2World])
def test_a_code_or_an_address_is_passed_on(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    native, h5 = world.intent("native"), world.intent("h5")

    assert start(world, native) == {"type": "qr", "code": f"weixin://wxpay/bizpayurl?pr={native.ref.ours}"}
    action = start(world, h5)
    assert action["type"] == "redirect"
    assert action["url"].endswith("&redirect_url=https%3A%2F%2Fshop.example%2Fback")
    assert "redirect_url" not in start(world, replace(world.intent("h5"), return_url=""))["url"]


@pytest.mark.parametrize("world_class", WORLDS)
@pytest.mark.parametrize("way", EXTRAS)
def test_a_repeated_start_sends_the_very_same_bytes(world_class: type[WeChatWorld], way: str) -> None:
    world = world_class(FixedClock())
    intent = world.intent(way)
    first = start(world, intent)
    world.clock.advance(600)

    again = start(world, intent)

    (_, url, body), (_, url_again, body_again) = sent(world)
    assert (url, body) == (url_again, body_again)
    assert again["type"] == first["type"]


@pytest.mark.parametrize("world_class", WORLDS)
def test_a_start_whose_answer_was_lost_can_be_repeated(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    intent = world.intent()
    with pytest.raises(Unknown):
        world.make_provider(world.tools(BrokenHttp(world.http, "timeout_after"))).start(intent)

    assert start(world, intent)["type"] == "qr"
    assert world.payments(intent) == 1


@pytest.mark.parametrize("world_class", WORLDS)
def test_starting_what_is_paid_says_paid(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    intent = world.intent()
    start(world, intent)
    world.pay(intent)

    started = world.make_provider(world.tools()).start(intent)

    assert started.action == {"type": "none"}
    assert [fact.kind for fact in started.facts] == [Kind.PAID]


@pytest.mark.parametrize("world_class", WORLDS)
def test_starting_what_is_closed_is_declined(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    intent = world.intent()
    provider = world.make_provider(world.tools())
    provider.start(intent)
    assert intent.ref.ours is not None
    world.wechat.books.close(intent.ref.ours)

    with pytest.raises(Declined):
        provider.start(intent)


@pytest.mark.parametrize("world_class", WORLDS)
def test_another_request_under_a_used_number_stays_unknown(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    intent = world.intent()
    start(world, intent)

    with pytest.raises(Unknown):
        start(world, replace(intent, money=Money(601, "CNY")))


@pytest.mark.parametrize("world_class", WORLDS)
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"money": Money(0, "CNY")}, Declined),
        ({"money": Money(600, "USD")}, Declined),
        ({"money": None}, Misconfigured),
        ({"ref": Ref()}, Misconfigured),
        ({"notify_url": "https://shop.example/webhooks?account=1"}, Misconfigured),
        ({"notify_url": f"https://shop.example/{'x' * 256}"}, Misconfigured),
        ({"way": "barcode"}, Misconfigured),
    ],
)
def test_what_wechat_would_refuse_is_not_sent(
    world_class: type[WeChatWorld], changes: dict[str, Any], error: type[Exception]
) -> None:
    world = world_class(FixedClock())
    with pytest.raises(error):
        start(world, replace(world.intent(), **changes))
    assert sent(world) == []


@pytest.mark.parametrize("world_class", WORLDS)
def test_a_way_that_is_not_opened_is_neither_offered_nor_started(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    provider = world.build({**world.settings(), "ways": ["app", "jsapi"]}, world.tools())

    assert list(provider.ways) == ["app", "jsapi"]
    with pytest.raises(Misconfigured, match="native"):
        provider.start(world.intent("native"))


def test_a_subject_is_cut_at_127_bytes_without_splitting_a_letter() -> None:
    world = V3World(FixedClock())
    start(world, replace(world.intent(), subject="金" * 60))
    assert json.loads(sent(world)[0][2])["description"] == "金" * 42


def test_a_subject_cannot_imitate_fields_or_leave_its_element() -> None:
    world = V2World(FixedClock())
    subject = "a&total_fee=1,]]><total_fee>1</total_fee>"
    start(world, replace(world.intent(), subject=subject))
    fields = parse_xml(sent(world)[0][2])
    assert fields["body"] == "a total_fee 1 total_fee 1 /total_fee"
    assert fields["total_fee"] == "600"
    with pytest.raises(Misconfigured, match="leave its element"):
        start(world, replace(world.intent(), owner="]]><total_fee>1</total_fee><![CDATA["))


@pytest.mark.parametrize("world_class", WORLDS)
def test_the_order_is_paid_in_full_whatever_coupons_the_payer_has(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    intent = world.intent(fen=600)
    provider = world.make_provider(world.tools())
    provider.start(intent)
    assert intent.ref.ours is not None
    world.wechat.pay(intent.ref.ours, coupon=599)

    told = [provider.receive(message).facts[0] for message in world.delivered()] + list(provider.query(intent.ref))

    assert len(told) == 2
    assert {fact.money for fact in told} == {Money(600, "CNY")}
