"""Money back through API v2, where the merchant's certificate is configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from app.domain.money import Money
from app.providers import (
    Declined,
    Fact,
    HttpClient,
    HttpResponse,
    Kind,
    Misconfigured,
    ProviderError,
    Ref,
    Refunds,
    Retryable,
    Unknown,
    key_of,
)
from app.providers.testing.conformance.journeys import BreakingHttp
from app.providers.testing.doubles import FixedClock, WsgiClient
from plugins.wechat.simulated.keys import certified
from plugins.wechat.v2.refunding import RefundingV2Provider
from plugins.wechat.v2.xml import parse_xml
from tests.plugins.wechat.test_refunds import paid, yuan
from tests.plugins.wechat.worlds import API_URL, V2RefundingWorld, V2World, other_config

REFUND_URL = f"{API_URL}/secapi/pay/refund"


def refunder(world: V2World, http: HttpClient | None = None) -> RefundingV2Provider:
    provider = world.make_provider(world.tools(http))
    assert isinstance(provider, RefundingV2Provider)
    return provider


def refunds_sent(world: V2World) -> list[dict[str, str]]:
    assert isinstance(world.http, WsgiClient)
    return [parse_xml(body) for _, url, body in world.http.requests if url == REFUND_URL]


class Refusing:
    """Passes calls on, but for the refund, which it answers with these fields, signed by WeChat Pay."""

    def __init__(self, world: V2World, **fields: str) -> None:
        content = {"return_code": "SUCCESS", "appid": world.config.appid, "mch_id": world.config.mchid, **fields}
        self._world = world
        self._answer = HttpResponse(200, {}, world.sign(content).body)

    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        return self._answer if url == REFUND_URL else self._world.http.request(method, url, **options)


def refused(world: V2World, payment: Fact, code: str, text: str = "…", number: str = "81") -> Exception:
    line = Refusing(world, result_code="FAIL", err_code=code, err_code_des=text)
    with pytest.raises(ProviderError) as told:
        refunder(world, line).refund(Ref(ours=payment.ref.ours, refund=number), yuan(200), "")
    return told.value


def test_accepted_is_not_refunded_and_every_road_names_it_alike() -> None:
    world = V2RefundingWorld(FixedClock())
    ref = Ref(ours=paid(world).ref.ours, refund="81")
    provider = refunder(world)

    (accepted,) = provider.refund(ref, yuan(200), "asked & given")
    (asked,) = provider.query(ref)
    (ask,) = provider.receive(*world.settle_refund(ref)).asks
    (settled,) = provider.query(ask)

    assert [accepted.kind, asked.kind, settled.kind] == [Kind.REFUND_PENDING, Kind.REFUND_PENDING, Kind.REFUNDED]
    assert accepted.ref == asked.ref == settled.ref == ask
    assert {fact.money for fact in (accepted, asked, settled)} == {Money(200, "CNY")}
    assert key_of(accepted) == key_of(asked)
    assert accepted.account == provider.account


def test_what_is_sent() -> None:
    world = V2RefundingWorld(FixedClock())
    payment = paid(world)
    refunder(world).refund(Ref(ours=payment.ref.ours, refund="81"), yuan(200), "asked & given")
    (sent,) = refunds_sent(world)
    assert {name: value for name, value in sent.items() if name not in ("nonce_str", "sign")} == {
        "appid": world.config.appid,
        "mch_id": world.config.mchid,
        "sign_type": "HMAC-SHA256",
        "transaction_id": payment.ref.theirs,
        "out_refund_no": "81",
        "total_fee": "600",
        "refund_fee": "200",
        "refund_fee_type": "CNY",
        "refund_desc": "asked given",
    }


def test_the_refund_address_is_sent_where_one_is_configured() -> None:
    world = V2RefundingWorld(FixedClock())
    address = "https://shop.example/webhooks/wechat-v2"
    provider = world.build(world.settings() | {"refund_notify_url": address}, world.tools())
    assert isinstance(provider, Refunds)
    provider.refund(Ref(ours=paid(world).ref.ours, refund="81"), yuan(200), "x")
    assert world.wechat.books.refunds["81"].notify_url == address


def test_a_repeated_refund_is_the_same_request_and_the_same_refund() -> None:
    world = V2RefundingWorld(FixedClock())
    payment = paid(world)
    for ref in (Ref(ours=payment.ref.ours, refund="81"), Ref(theirs=payment.ref.theirs, refund="81")):
        refunder(world).refund(ref, yuan(200), "again")
        world.clock.advance(60)
    first, second = ({k: v for k, v in sent.items() if k not in ("nonce_str", "sign")} for sent in refunds_sent(world))
    assert first == second
    assert world.wechat.books.orders[str(payment.ref.ours)].refunded == 200


def test_a_refund_whose_answer_was_lost_is_unknown_and_repeated_without_harm() -> None:
    world = V2RefundingWorld(FixedClock())
    ref = Ref(ours=paid(world).ref.ours, refund="81")
    with pytest.raises(Unknown):
        refunder(world, BreakingHttp(world.http, "timeout_after", breaks_at=2)).refund(ref, yuan(200), "")
    (fact,) = refunder(world).refund(ref, yuan(200), "")
    assert fact.kind is Kind.REFUND_PENDING
    assert world.wechat.books.orders[str(ref.ours)].refunded == 200


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("SYSTEMERROR", Unknown),
        ("BIZERR_NEED_RETRY", Unknown),
        ("REFUND_FEE_MISMATCH", Unknown),
        ("INVALID_REQUEST", Unknown),
        ("ERROR", Unknown),
        ("TOMORROWS_ERROR", Unknown),
        ("FREQUENCY_LIMITED", Retryable),
        ("INVALID_REQ_TOO_MUCH", Retryable),
        ("ORDER_NOT_READY", Retryable),
        ("NOTENOUGH", Retryable),
        ("TRADE_OVERDUE", Declined),
        ("USER_ACCOUNT_ABNORMAL", Declined),
        ("INVALID_TRANSACTIONID", Declined),
        ("PARAM_ERROR", Declined),
        ("CERT_ERROR", Misconfigured),
        ("SIGNERROR", Misconfigured),
        ("MCHID_NOT_EXIST", Misconfigured),
    ],
)
def test_each_word_of_refusal(code: str, error: type[ProviderError]) -> None:
    world = V2RefundingWorld(FixedClock())
    told = refused(world, paid(world), code)
    assert type(told) is error
    assert isinstance(told, ProviderError)
    assert told.code == code


def test_an_order_that_is_refunded_in_full_is_a_definite_no() -> None:
    world = V2RefundingWorld(FixedClock())
    payment = paid(world)
    world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), 600, "site-1")
    with pytest.raises(Declined) as told:
        refunder(world).refund(Ref(ours=payment.ref.ours, refund="81"), yuan(200), "")
    assert told.value.code == "ERROR"


@pytest.mark.parametrize(("code", "text"), [("ERROR", "订单已全额退款"), ("TRADE_OVERDUE", "订单已经超过退款期限")])
def test_a_no_is_none_when_the_refund_is_there_already(code: str, text: str) -> None:
    """The first attempt worked and its answer was lost; the second is refused, since nothing is left to refund."""
    world = V2RefundingWorld(FixedClock())
    ref = Ref(ours=paid(world).ref.ours, refund="81")
    refunder(world).refund(ref, yuan(600), "")
    line = Refusing(world, result_code="FAIL", err_code=code, err_code_des=text)
    (fact,) = refunder(world, line).refund(ref, yuan(600), "")
    assert (fact.kind, fact.ref.refund, fact.money) == (Kind.REFUND_PENDING, "81", yuan(600))


def test_a_no_stays_unknown_while_nobody_can_be_asked_about_it() -> None:
    world = V2RefundingWorld(FixedClock())
    ref = Ref(ours=paid(world).ref.ours, refund="81")
    line = BreakingHttp(Refusing(world, result_code="FAIL", err_code="TRADE_OVERDUE"), "timeout", breaks_at=3)
    with pytest.raises(Unknown):
        refunder(world, line).refund(ref, yuan(200), "")


@pytest.mark.parametrize(
    "changes", [{"out_refund_no": "82"}, {"out_refund_no": ""}, {"refund_fee": "2.00"}, {"transaction_id": ""}]
)
def test_an_odd_answer_leaves_it_unknown(changes: Mapping[str, str]) -> None:
    world = V2RefundingWorld(FixedClock())
    payment = paid(world)
    fields = {
        "result_code": "SUCCESS",
        "out_trade_no": str(payment.ref.ours),
        "transaction_id": str(payment.ref.theirs),
        "out_refund_no": "81",
        "refund_id": "50300",
        "refund_fee": "200",
    }
    with pytest.raises(Unknown):
        refunder(world, Refusing(world, **(fields | changes))).refund(
            Ref(ours=payment.ref.ours, refund="81"), yuan(200), ""
        )


def test_what_was_never_paid_or_is_not_there_cannot_be_refunded() -> None:
    world = V2RefundingWorld(FixedClock())
    intent, provider = world.intent(), refunder(world)
    provider.start(intent)
    for ref in (Ref(ours=intent.ref.ours, refund="81"), Ref(ours="4503599627370001", refund="81")):
        with pytest.raises(Declined):
            provider.refund(ref, yuan(200), "")
    payment = paid(world)
    with pytest.raises(Declined):
        provider.refund(Ref(ours=payment.ref.ours, refund="81"), yuan(601), "")
    assert refunds_sent(world) == []


def test_another_merchants_certificate_is_misconfigured_and_none_at_all_unknown() -> None:
    world = V2RefundingWorld(FixedClock())
    payment = paid(world)
    ref = Ref(ours=payment.ref.ours, refund="81")
    theirs = other_config().merchant
    settings = world.settings() | {
        "merchant_private_key": theirs.private_pem,
        "merchant_certificate": theirs.certificate_pem,
    }
    provider = world.build(settings, world.tools())
    assert isinstance(provider, Refunds)
    with pytest.raises(Misconfigured) as told:
        provider.refund(ref, yuan(200), "")
    assert told.value.code == "CERT_ERROR"
    with pytest.raises(Unknown):
        refunder(world, _Bare(world.http)).refund(ref, yuan(200), "")
    assert not world.wechat.books.refunds


class _Bare:
    """A line on which the certificate gets lost."""

    def __init__(self, inner: HttpClient) -> None:
        self._inner = inner

    def request(self, method: str, url: str, *, certificate: object = None, **options: Any) -> HttpResponse:
        return self._inner.request(method, url, **options)


def test_only_the_refund_shows_the_certificate() -> None:
    world = V2RefundingWorld(FixedClock())
    line = _Watching(world.http)
    provider = refunder(world, line)
    intent = world.intent()
    provider.start(intent)
    world.pay(intent)
    provider.refund(Ref(ours=intent.ref.ours, refund="81"), yuan(200), "")
    provider.query(Ref(refund="81"))
    assert [path for path, shown in line.calls if shown] == ["/secapi/pay/refund"]
    assert len(line.calls) == 4


class _Watching:
    def __init__(self, inner: HttpClient) -> None:
        self._inner = inner
        self.calls: list[tuple[str, bool]] = []

    def request(self, method: str, url: str, *, certificate: Any = None, **options: Any) -> HttpResponse:
        self.calls.append((url.removeprefix(API_URL), certificate is not None))
        return self._inner.request(method, url, certificate=certificate, **options)


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"merchant_certificate": None}, "come together"),
        ({"merchant_private_key": None}, "come together"),
        ({"merchant_private_key": "secret"}, "apiclient_key.pem"),
        ({"merchant_certificate": "x"}, "apiclient_cert.pem"),
        ({"merchant_private_key": certified("x").private_pem}, "does not belong"),
        (
            {"merchant_private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
            "apiclient_key.pem",
        ),
    ],
)
def test_a_certificate_that_cannot_work_is_refused_at_start(changes: dict[str, Any], advice: str) -> None:
    world = V2RefundingWorld(FixedClock())
    with pytest.raises(Misconfigured, match=advice) as told:
        world.build(world.settings() | changes, world.tools())
    assert "secret" not in str(told.value)


def test_an_expired_certificate_is_refused_at_start() -> None:
    world = V2RefundingWorld(FixedClock())
    world.clock.advance(20 * 365 * 86400)
    with pytest.raises(Misconfigured, match="valid from"):
        world.make_provider(world.tools())


def test_without_a_certificate_there_is_no_such_capability() -> None:
    world = V2World(FixedClock())
    assert not isinstance(world.make_provider(world.tools()), Refunds)
