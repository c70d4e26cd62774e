"""The simulated App Store behaves like the real one where it matters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import requests
from appstoreserverlibrary.api_client import APIException, AppStoreServerAPIClient
from appstoreserverlibrary.models.ConsumptionRequest import ConsumptionRequest
from appstoreserverlibrary.models.DeliveryStatus import DeliveryStatus
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.models.NotificationHistoryRequest import NotificationHistoryRequest
from werkzeug.test import Client

from app.providers import Forged, Ref, Unknown
from app.providers.testing.simulator import NotInProduction
from plugins.apple.simulator import create_simulator
from tests.plugins.apple.world import STORE_URL, TOKEN, Shop, kinds

HOUR = 3600


@pytest.fixture
def shop() -> Shop:
    return Shop()


class OfficialClient(AppStoreServerAPIClient):
    """Apple's own client, sending into the simulator; its tokens go by the wall clock, and so must the store."""

    def __init__(self, shop: Shop) -> None:
        config = shop.store.config
        pem = shop.settings()["private_key"].encode()
        super().__init__(pem, config.key_id, config.issuer_id, config.bundle_id, Environment.SANDBOX)
        self._shop = shop
        self._base_url = f"{STORE_URL}/sandbox"

    def _execute_request(self, method: str, url: str, params: Any, headers: Any, json: Any, data: Any) -> Any:
        prepared = requests.Request(method, url, params=params, headers=headers, json=json, data=data).prepare()
        client = Client(self._shop.application)
        target = (prepared.url or "").removeprefix(STORE_URL)
        answer = client.open(target, method=method, headers=dict(prepared.headers), data=prepared.body or b"")
        response = requests.Response()
        response.status_code, response._content = answer.status_code, answer.data
        response.headers.update(answer.headers)
        return response


@pytest.fixture
def official() -> tuple[Shop, OfficialClient]:
    shop = Shop(now=create_now())
    return shop, OfficialClient(shop)


def create_now() -> Any:
    from datetime import UTC, datetime

    return lambda: datetime.now(UTC)


def test_apples_own_client_understands_the_simulator(official: tuple[Shop, OfficialClient]) -> None:
    shop, client = official
    purchase = shop.subscribe()
    shop.store.purchases.refund("Sandbox", purchase.id)
    now = shop.store.purchases.milliseconds()
    shop.store.notifications.tell("REFUND", "", purchase)
    assert client.get_transaction_info(purchase.id).signedTransactionInfo
    assert client.get_refund_history(purchase.id, None).signedTransactions
    statuses = client.get_all_subscription_statuses(purchase.id)
    assert statuses.data is not None
    assert statuses.bundleId == "com.example.coins"
    wanted = NotificationHistoryRequest(startDate=now - 1_000, endDate=now + 60_000)
    assert client.get_notification_history(None, wanted).notificationHistory
    report = ConsumptionRequest(
        customerConsented=True, sampleContentProvided=False, deliveryStatus=DeliveryStatus.DELIVERED
    )
    client.send_consumption_information(purchase.id, report)
    assert purchase.reports[0]["deliveryStatus"] == "DELIVERED"
    assert client.request_test_notification().testNotificationToken


def test_apples_own_client_understands_the_simulators_errors(official: tuple[Shop, OfficialClient]) -> None:
    shop, client = official
    with pytest.raises(APIException) as caught:
        client.get_transaction_info("404404")
    assert (caught.value.http_status_code, caught.value.raw_api_error) == (404, 4040010)
    shop.store.troubles.append(4290000)
    with pytest.raises(APIException) as caught:
        client.get_transaction_info("404404")
    assert (caught.value.http_status_code, caught.value.raw_api_error) == (429, 4290000)
    with pytest.raises(APIException) as caught:
        client.get_transaction_info("x")
    assert caught.value.raw_api_error == 4000006


def test_a_call_without_our_token_is_unauthenticated(shop: Shop) -> None:
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "x"}):
        url = f"{STORE_URL}/sandbox/inApps/v1/transactions/{shop.buy().id}"
        assert shop.http.request("GET", url, headers=headers).status == 401


def test_production_notifications_are_repeated_by_apples_schedule(shop: Shop) -> None:
    shop.answers += [500] * 6
    shop.store.notifications.tell("ONE_TIME_CHARGE", "", shop.buy(environment="Production"))
    tries = [shop.store.notifications.run_due()]
    for hours in (1, 12, 24, 48, 72, 1000):
        shop.clock.advance(hours * HOUR - 1)
        assert shop.store.notifications.run_due() == 0
        shop.clock.advance(1)
        tries.append(shop.store.notifications.run_due())
    assert tries == [1, 1, 1, 1, 1, 1, 0]
    assert len({message.body for message in shop.sent}) == 1


@pytest.mark.parametrize("status", [200, 206])
def test_success_is_any_200_to_206_and_is_not_repeated(shop: Shop, status: int) -> None:
    shop.answers.append(status)
    shop.store.notifications.tell("ONE_TIME_CHARGE", "", shop.buy(environment="Production"))
    shop.store.notifications.run_due()
    shop.clock.advance(1_000 * HOUR)
    assert shop.store.notifications.run_due() == 0


def test_sandbox_notifications_are_sent_once(shop: Shop) -> None:
    shop.answers.append(500)
    shop.store.notifications.tell("ONE_TIME_CHARGE", "", shop.buy())
    assert shop.store.notifications.run_due() == 1
    shop.clock.advance(1_000 * HOUR)
    assert shop.store.notifications.run_due() == 0
    attempts = shop.store.notifications.records[0].attempts
    assert [attempt["sendAttemptResult"] for attempt in attempts] == ["UNSUCCESSFUL_HTTP_RESPONSE_CODE"]


def test_notifications_can_be_lost_repeated_corrupted_and_forged(shop: Shop) -> None:
    for fault, expected in (("lose", []), ("repeat", [True, True]), ("corrupt", [False]), ("forge", [False])):
        shop.sent.clear()
        shop.control("faults", **{fault: 1})
        shop.control("buy", product="coins-600", token=TOKEN)
        shop.control("run-due")
        assert [_is_believed(shop, at) for at in range(len(shop.sent))] == expected, fault


def _is_believed(shop: Shop, at: int) -> bool:
    try:
        return kinds(shop.provider().receive(shop.sent[at]).facts) == ["paid"]
    except Forged:
        return False


@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "garbage", "error500"])
def test_calls_can_go_wrong(shop: Shop, fault: str) -> None:
    purchase = shop.buy(environment="Production")
    shop.control("faults", **{fault: 1})
    with pytest.raises(Unknown):
        shop.provider().fulfil(Ref(theirs=purchase.id), {"about": "delivered"})
    assert purchase.finished is (fault not in {"timeout_before"})
    assert kinds(shop.provider().query(Ref(theirs=purchase.id))) == ["paid"]


def test_every_story_can_be_told_by_the_control_api(shop: Shop) -> None:
    provider = shop.provider()
    bought = shop.control("buy", product="coins-600", token=TOKEN)["id"]
    shop.control("ask-refund", id=bought)
    shop.control("decline-refund", id=bought)
    shop.control("refund", id=bought, percentage=40_000)
    shop.control("reverse-refund", id=bought)
    gold = shop.control("buy", product="gold", type="Auto-Renewable Subscription", token=TOKEN)["id"]
    gold = shop.control("renew", id=gold)["id"]
    shop.control("expire", id=gold)
    shop.control("tell", type="TEST")
    shop.control("run-due")
    told = [kinds(provider.receive(message).facts) for message in shop.sent]
    assert told == [
        ["paid"],
        ["refund_asked"],
        ["refund_failed"],
        ["refunded"],
        ["refund_undone"],
        ["paid", "signed"],
        ["paid"],
        ["ended"],
        [],
    ]
    assert len(shop.control("state")["notifications"]) == 9


@pytest.mark.parametrize(
    ("command", "document", "status"),
    [
        ("buy", {}, 400),
        ("buy", {"product": "x", "environment": "Xcode"}, 400),
        ("refund", {"id": "404"}, 404),
        ("faults", {"everything": 1}, 400),
        ("faults", {"_lock": 1}, 400),
        ("steal", {}, 404),
    ],
)
def test_nonsense_is_refused_by_the_control_api(
    shop: Shop, command: str, document: dict[str, Any], status: int
) -> None:
    answer = shop.http.request("POST", f"{STORE_URL}/_control/{command}", body=json.dumps(document).encode())
    assert answer.status == status


def test_its_settings_make_an_account_that_works(shop: Shop) -> None:
    answer = shop.http.request("GET", f"{STORE_URL}/_control/settings")
    assert json.loads(answer.body) == shop.store.settings(STORE_URL)


@pytest.mark.parametrize("environment", [{}, {"TILLBOOK_ENV": "production"}, {"TILLBOOK_ENV": "staging"}])
def test_it_does_not_run_in_production(environment: dict[str, str]) -> None:
    with pytest.raises(NotInProduction):
        create_simulator(environ=environment)


def test_it_does_not_start_as_a_program_in_production() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TILLBOOK_ENV"}
    done = subprocess.run(
        [sys.executable, "-m", "plugins.apple.simulator", "--port", "1"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "NotInProduction" in done.stderr


def test_a_period_after_a_refunded_one_is_not_refunded_with_it() -> None:
    shop = Shop()
    first = shop.subscribe()
    shop.store.purchases.refund(shop.environment, first.id)
    shop.clock.advance(40 * 86_400)
    renewed = shop.store.purchases.renew(shop.environment, first.id)
    assert "revocationDate" in first.payload
    assert not [name for name in renewed.payload if name.startswith("revocation")]
