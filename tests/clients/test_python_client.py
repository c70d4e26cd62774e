"""The page of the Python client that is written by hand: repeats, webhooks, answers."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from standardwebhooks.webhooks import Webhook
from tillbook_client import (
    NotGenuine,
    Refused,
    RepeatingTransport,
    Repeats,
    WebhookSecrets,
    connect,
    expect,
    expect_nothing,
    new_key,
)
from tillbook_client.generated.api.endpoints import remove_endpoint
from tillbook_client.generated.api.orders import list_products
from tillbook_client.generated.api.wallets import create_grant, create_spend, read_wallet
from tillbook_client.generated.client import AuthenticatedClient
from tillbook_client.generated.models import (
    Environment,
    GrantRequest,
    Posted,
    Products,
    SpendRequest,
    Wallet,
)

from tests.clients.service import Service

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, long enough").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of the tests").decode()
BODY = '{"type":"order.paid","data":{"number":"1"}}'
NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)


class Script:
    """A server that gives these answers, one after the other; an exception is a broken connection."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    def client(self, repeats: Repeats | None = None) -> AuthenticatedClient:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        inner = httpx.MockTransport(self.answer)
        transport = RepeatingTransport(
            repeats or Repeats(), inner=inner, async_inner=inner, sleep=self.slept.append, async_sleep=sleep
        )
        return AuthenticatedClient("https://pay.test", "tbk_x", httpx_args={"transport": transport})


def busy(status: int = 503, **headers: str) -> httpx.Response:
    problem = {"type": "about:blank", "title": "Busy.", "status": status, "code": "database_unavailable"}
    return httpx.Response(
        status, json=problem, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


def products() -> httpx.Response:
    return httpx.Response(200, json={"products": []})


def spend(client: AuthenticatedClient, key: str = "k-1") -> Posted:
    wanted = SpendRequest(asset="coin", amount=25, user="alice")
    return expect(Posted, create_spend.sync_detailed(client=client, body=wanted, idempotency_key=key))


POSTED = {"id": "0b9e6a52-3f41-8c07-a2d5-6e1f7b90c82f", "amount": 25, "balance": 35, "version": 2, "repeated": False}


def done() -> httpx.Response:
    return httpx.Response(201, json={**POSTED, "at": "2026-11-28T09:30:00Z"})


def test_a_request_is_sent_again_with_its_key_and_body_after_timeouts_and_broken_connections() -> None:
    script = Script(httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("gone"), httpx.ConnectError("down"), done())
    assert spend(script.client()).balance == 35
    assert [request.headers["Idempotency-Key"] for request in script.requests] == ["k-1"] * 4
    assert len({request.content for request in script.requests}) == 1
    assert len(script.slept) == 3


def test_the_pauses_grow_and_none_is_longer_than_the_longest() -> None:
    script = Script(*[httpx.ReadTimeout("slow")] * 6, done())
    spend(script.client(Repeats(attempts=7, first_wait=1.0, longest_wait=4.0)))
    for pause, most in zip(script.slept, [1, 2, 4, 4, 4, 4], strict=True):
        assert most / 2 <= pause <= most


def test_retry_after_says_how_long_the_pause_is() -> None:
    script = Script(busy(429, Retry_After="7"), busy(503, Retry_After="0"), done())
    spend(script.client())
    assert script.slept == [7.0, 0.0]


def test_a_pause_longer_than_the_longest_is_the_callers_to_make() -> None:
    script = Script(busy(429, Retry_After="31"))
    with pytest.raises(Refused) as refused:
        spend(script.client())
    assert (refused.value.status, refused.value.code) == (429, "database_unavailable")
    assert script.slept == []


def test_after_the_last_attempt_the_answer_or_the_error_is_the_callers() -> None:
    with pytest.raises(Refused) as refused:
        spend(Script(*[busy() for _ in range(4)]).client())
    assert refused.value.status == 503
    with pytest.raises(httpx.ReadTimeout):
        spend(Script(*[httpx.ReadTimeout("slow")] * 4).client())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 502])
def test_what_is_decided_is_not_asked_again(status: int) -> None:
    script = Script(busy(status, Retry_After="1"))
    with pytest.raises(Refused):
        spend(script.client())
    assert len(script.requests) == 1


def test_a_request_without_a_key_that_may_have_been_done_is_not_sent_again() -> None:
    script = Script(httpx.ReadTimeout("slow"))
    with pytest.raises(httpx.ReadTimeout):
        script.client().get_httpx_client().post("/v1/receipts/store", json={})
    assert len(script.requests) == 1


def test_reading_is_repeated_without_a_key() -> None:
    script = Script(httpx.ReadTimeout("slow"), products())
    assert expect(Products, list_products.sync_detailed(client=script.client())).products == []


def test_an_asynchronous_client_repeats_alike() -> None:
    script = Script(httpx.ReadTimeout("slow"), busy(429, Retry_After="3"), products())

    async def ask() -> Products:
        async with script.client() as client:
            return expect(Products, await list_products.asyncio_detailed(client=client))

    assert asyncio.run(ask()).products == []
    assert len(script.requests) == 3
    assert script.slept[1] == 3.0


@pytest.mark.parametrize("text", ["teapot", "[]", "{}", '{"code": 1}', "null"])
def test_an_answer_that_is_none_of_tillbooks_is_refused_by_name(text: str) -> None:
    with pytest.raises(Refused) as refused:
        expect(Products, list_products.sync_detailed(client=Script(httpx.Response(418, text=text)).client()))
    assert (refused.value.status, refused.value.code, refused.value.problem) == (418, "unexpected", None)


class Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that breaks off."""

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"id": "0b9e'
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


def page(status: int, **headers: str) -> httpx.Response:
    """What a proxy says."""
    return httpx.Response(status, html="<html><h1>Gateway</h1></html>", headers=headers)


def cut(status: int = 201) -> httpx.Response:
    return httpx.Response(status, stream=Cut(), headers={"Content-Type": "application/json"})


def half(status: int = 201) -> httpx.Response:
    """Half a document that says that it is whole."""
    return httpx.Response(status, content=b'{"id": "0b9e', headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("broken", [cut, half, lambda: page(502), lambda: page(503), lambda: page(504)])
def test_what_a_proxy_says_or_cuts_off_is_asked_for_again_with_the_same_key(
    broken: Callable[[], httpx.Response],
) -> None:
    script = Script(broken(), broken(), done())
    assert spend(script.client()).balance == 35
    assert [request.headers["Idempotency-Key"] for request in script.requests] == ["k-1"] * 3
    with pytest.raises(Refused) as refused:
        spend(Script(*[broken() for _ in range(4)]).client())
    assert (refused.value.code, refused.value.problem) == ("unexpected", None)
    keyless = Script(broken(), done())
    with pytest.raises(Refused, match="unexpected"):
        keyless.client().get_httpx_client().post("/v1/receipts/store", json={})
    assert len(keyless.requests) == 1, "it may have been done, and a second time would be another one"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 301, 302, 307, 308, 400, 403, 404, 413])
def test_an_answer_of_something_else_is_refused_by_name_and_not_asked_for_again(status: int) -> None:
    elsewhere = {"Location": "https://elsewhere.test/"} if 300 <= status < 400 else {}
    script = Script(httpx.Response(204) if status == 204 else page(status, **elsewhere))
    with pytest.raises(Refused) as refused:
        spend(script.client())
    assert (refused.value.status, refused.value.code, refused.value.problem) == (status, "unexpected", None)
    assert len(script.requests) == 1


def test_a_gateways_own_document_is_no_problem_document() -> None:
    gateway = httpx.Response(502, json={"message": "Bad gateway"})
    with pytest.raises(Refused, match="502 unexpected"):
        spend(Script(gateway).client(Repeats(attempts=1)))


def test_an_operation_without_a_document_is_done_with_204_alone() -> None:
    def remove(answer: httpx.Response) -> None:
        client = Script(answer).client(Repeats(attempts=1))
        expect_nothing(remove_endpoint.sync_detailed("game", client=client))

    remove(httpx.Response(204))
    for answer in (page(200), page(301), page(404), page(502), cut(200), busy(403), httpx.Response(200, json={})):
        with pytest.raises(Refused):
            remove(answer)


def test_an_asynchronous_client_treats_a_proxy_alike() -> None:
    script = Script(page(502), cut(200), products())

    async def ask() -> Products:
        async with script.client() as client:
            return expect(Products, await list_products.asyncio_detailed(client=client))

    assert asyncio.run(ask()).products == []
    assert len(script.requests) == 3


def test_a_csv_file_is_handed_on_as_it_comes() -> None:
    table = httpx.Response(200, stream=httpx.ByteStream(b"number,user\r\n"), headers={"Content-Type": "text/csv"})
    with Script(table).client().get_httpx_client().stream("GET", "/v1/orders") as answer:
        assert not answer.is_stream_consumed
        assert answer.read() == b"number,user\r\n"


@pytest.mark.parametrize(("seconds", "longest"), [(-60, 0), (20, 20)])
def test_retry_after_may_be_a_moment(seconds: int, longest: int) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    script = Script(busy(503, Retry_After=moment), done())
    spend(script.client())
    assert max(0, longest - 10) <= script.slept[0] <= longest


def test_every_new_key_is_another_one() -> None:
    assert len({new_key() for _ in range(100)}) == 100


class Losing(httpx.BaseTransport):
    """A network that loses the first answer to each request that does something."""

    def __init__(self) -> None:
        self.inner = httpx.HTTPTransport()
        self.lost: set[str] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        key = request.headers.get("Idempotency-Key")
        if key is not None and key not in self.lost:
            self.lost.add(key)
            response.close()
            raise httpx.ReadError("the connection broke before the answer came", request=request)
        return response

    def close(self) -> None:
        self.inner.close()


@pytest.fixture
def unlucky(service: Service) -> Iterator[AuthenticatedClient]:
    transport = RepeatingTransport(Repeats(first_wait=0.01), inner=Losing())
    with AuthenticatedClient(
        service.url, service.backend_key, timeout=httpx.Timeout(60), httpx_args={"transport": transport}
    ) as client:
        yield client


@pytest.mark.timeout(300)
def test_over_a_network_that_loses_answers_a_spend_happens_once(unlucky: AuthenticatedClient) -> None:
    gift = GrantRequest(user="dora", asset="coin", amount=60, reason="a test", environment=Environment.LIVE)
    given = expect(Posted, create_grant.sync_detailed(client=unlucky, body=gift, idempotency_key=new_key()))
    wanted = SpendRequest(asset="coin", amount=25, user="dora")
    spent = expect(Posted, create_spend.sync_detailed(client=unlucky, body=wanted, idempotency_key=new_key()))
    assert (given.repeated, spent.repeated, spent.balance) == (True, True, 35)


@pytest.mark.timeout(300)
def test_a_connection_speaks_to_a_service_and_tells_its_refusals(service: Service) -> None:
    with connect(service.url + "/", service.backend_key) as tillbook:
        wallet = expect(Wallet, read_wallet.sync_detailed(client=tillbook, user="nobody"))
        assert wallet.balances == []
        with pytest.raises(Refused, match="403 user_missing"):
            expect(Wallet, read_wallet.sync_detailed(client=tillbook))


def signed(secret: str = SECRET, at: datetime = NOW, body: str = BODY) -> dict[str, str]:
    """Headers as the package of Standard Webhooks makes them."""
    return {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("evt_1", at, body),
    }


def receiver(*secrets: str) -> WebhookSecrets:
    return WebhookSecrets(*secrets or (SECRET,), now=NOW.timestamp)


def test_a_message_signed_by_the_standards_own_package_is_genuine() -> None:
    assert receiver().verify(signed(), BODY.encode()) == json.loads(BODY)


def test_a_message_whose_secret_is_being_rotated_is_genuine_under_either() -> None:
    two = signed() | {"Webhook-Signature": f"{signed(OTHER)['Webhook-Signature']} {signed()['Webhook-Signature']}"}
    assert receiver(SECRET).verify(two, BODY.encode())
    assert receiver(OTHER).verify(two, BODY.encode())
    assert receiver(OTHER, SECRET).verify(signed(), BODY.encode())


@pytest.mark.parametrize(
    ("changed", "body"),
    [
        ({"Webhook-Id": "evt_2"}, BODY),
        ({"Webhook-Timestamp": str(int(NOW.timestamp()) + 1)}, BODY),
        ({"Webhook-Timestamp": "soon"}, BODY),
        ({"Webhook-Timestamp": "²"}, BODY),
        ({"Webhook-Signature": ""}, BODY),
        ({"Webhook-Signature": "v1,AAAA v2," + signed()["Webhook-Signature"].removeprefix("v1,")}, BODY),
        ({"Webhook-Signature": signed()["Webhook-Signature"].removeprefix("v1,")}, BODY),
        ({"Webhook-Signature": "v1,ü"}, BODY),
        (signed(OTHER), BODY),
        (signed(at=NOW - timedelta(minutes=5, seconds=1)), BODY),
        (signed(at=NOW + timedelta(minutes=5, seconds=1)), BODY),
        (signed(body="no JSON"), "no JSON"),
        ({}, BODY + " "),
    ],
)
def test_a_message_that_was_changed_or_is_not_fresh_is_refused(changed: dict[str, str], body: str) -> None:
    with pytest.raises(NotGenuine):
        receiver().verify(signed() | changed, body.encode())


@pytest.mark.parametrize("missing", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_message_without_one_of_its_headers_is_refused(missing: str) -> None:
    headers = signed()
    del headers[missing]
    with pytest.raises(NotGenuine, match=missing.lower()):
        receiver().verify(headers, BODY.encode())


@pytest.mark.parametrize("minutes", [-5, 5])
def test_five_minutes_are_tolerated(minutes: int) -> None:
    assert receiver().verify(signed(at=NOW + timedelta(minutes=minutes)), BODY.encode())


@pytest.mark.parametrize("secrets", [(), ("whsec_",), ("whsec_?",), (SECRET, "")])
def test_what_is_no_secret_is_no_receiver(secrets: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="secret"):
        WebhookSecrets(*secrets)
