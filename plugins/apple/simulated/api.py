"""The simulated App Store Server API and verifyReceipt: plain requests in, plain answers out."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plugins.apple.app_receipts import MalformedReceipt, transactions_in_app_receipt
from plugins.apple.settings import Environment
from plugins.apple.simulated.notifications import Record
from plugins.apple.simulated.purchases import NoSuchPurchase, Purchase
from plugins.apple.simulated.receipts import verified
from plugins.apple.simulated.store import SimulatedStore
from plugins.apple.transactions import SUBSCRIPTION

PAGE = 20
DAY_MS = 86_400_000
KEPT_DAYS: Mapping[Environment, int] = {"Production": 180, "Sandbox": 30}
_WORDS = {
    4000006: "Invalid transaction id.",
    4000012: "Start date is too far in the past.",
    4000013: "Start date must be earlier than end date.",
    4000014: "Invalid pagination token.",
    4000019: "Multiple filters supplied.",
    4000035: "Invalid request. Customer must consent.",
    4000036: "Invalid delivery status.",
    4000183: "Invalid request. The app account token is not a valid UUID.",
    4000187: "Invalid request. The transaction id is not an original transaction id.",
    4040010: "Transaction id not found.",
    4290000: "Rate limit exceeded.",
    5000000: "An unknown error occurred.",
    5000001: "An unknown error occurred. Please try again.",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One call, taken apart."""

    environment: Environment
    method: str
    path: str
    query: Mapping[str, str]
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    document: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """An error of the Server API, by its code; the HTTP status is the code's beginning."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def answer(store: SimulatedStore, call: Request, token: str) -> Answer:
    """What the Server API answers to a call with that bearer token."""
    if not store.accepts(token):
        return Answer(401)
    try:
        if store.troubles:
            raise ApiError(store.troubles.pop(0))
        return _route(store, call)
    except NoSuchPurchase:
        return error(store, 4040010)
    except ApiError as trouble:
        return error(store, trouble.code)


def error(store: SimulatedStore, code: int) -> Answer:
    """Apple's form of an error. A rate limit says when to come again, in milliseconds since 1970."""
    headers = {"retry-after": str(store.purchases.milliseconds() + 30_000)} if code == 4290000 else {}
    return Answer(code // 10_000, {"errorCode": code, "errorMessage": _WORDS.get(code, "Error.")}, headers)


def _route(store: SimulatedStore, call: Request) -> Answer:
    for method, pattern, handler in _ROUTES:
        match = pattern.fullmatch(call.path)
        if match and method == call.method:
            number = match.groupdict().get("number", "")
            if "number" in match.groupdict() and not re.fullmatch(r"[0-9]{1,20}", number):
                raise ApiError(4000006)
            return handler(store, call, number)
    return Answer(404)


def _transaction(store: SimulatedStore, call: Request, number: str) -> Answer:
    purchase = store.purchases.find(call.environment, number)
    return Answer(200, {"signedTransactionInfo": store.notifications.signed_transaction(purchase)})


def _history(store: SimulatedStore, call: Request, number: str) -> Answer:
    found = store.purchases.of_customer(call.environment, number)
    if call.query.get("productType") == "AUTO_RENEWABLE":
        found = [one for one in found if one.payload["type"] == SUBSCRIPTION]
    start, end = int(call.query.get("startDate", 0)), int(call.query.get("endDate", 2**60))
    found = [one for one in found if start <= one.payload["purchaseDate"] <= end]
    if call.query.get("sort") == "DESCENDING":
        found.reverse()
    return Answer(200, _about(store, call) | _page(store, found, call.query.get("revision", "")))


def _refunds(store: SimulatedStore, call: Request, number: str) -> Answer:
    found = [one for one in store.purchases.of_customer(call.environment, number) if "revocationDate" in one.payload]
    found.sort(key=lambda one: int(one.payload["revocationDate"]))
    return Answer(200, _page(store, found, call.query.get("revision", "")))


def _page(store: SimulatedStore, found: Sequence[Purchase], revision: str) -> dict[str, Any]:
    if revision and not revision.isdigit():
        raise ApiError(4000005)
    start = int(revision or 0)
    page = found[start : start + PAGE]
    return {
        "signedTransactions": [store.notifications.signed_transaction(one) for one in page],
        "revision": str(start + len(page)),
        "hasMore": start + PAGE < len(found),
    }


def _statuses(store: SimulatedStore, call: Request, number: str) -> Answer:
    found = [one for one in store.purchases.of_customer(call.environment, number) if one.is_subscription]
    last = {one.payload["originalTransactionId"]: one for one in sorted(found, key=lambda one: int(one.id))}
    items = [
        {
            "originalTransactionId": original,
            "status": one.status,
            "signedTransactionInfo": store.notifications.signed_transaction(one),
            "signedRenewalInfo": store.notifications.signed_renewal(one),
        }
        for original, one in last.items()
    ]
    groups = [{"subscriptionGroupIdentifier": "20000001", "lastTransactions": items}] if items else []
    return Answer(200, _about(store, call) | {"data": groups})


def _consumption(store: SimulatedStore, call: Request, number: str) -> Answer:
    purchase = store.purchases.find(call.environment, number)
    report = dict(call.document)
    if report.get("customerConsented") is not True:
        raise ApiError(4000035)
    if report.get("deliveryStatus") not in _DELIVERY_STATUSES:
        raise ApiError(4000036)
    percentage = report.get("consumptionPercentage")
    undelivered = report["deliveryStatus"] != "DELIVERED" and percentage not in (None, 0)
    if undelivered or (percentage is not None and purchase.is_subscription):
        raise ApiError(4000000)
    purchase.reports.append(report)
    return Answer(202)


_DELIVERY_STATUSES = frozenset(
    {
        "DELIVERED",
        "UNDELIVERED_QUALITY_ISSUE",
        "UNDELIVERED_WRONG_ITEM",
        "UNDELIVERED_SERVER_OUTAGE",
        "UNDELIVERED_OTHER",
    }
)


def _set_token(store: SimulatedStore, call: Request, number: str) -> Answer:
    purchase = store.purchases.find(call.environment, number)
    try:
        token = str(uuid.UUID(str(call.document.get("appAccountToken"))))
    except ValueError:
        raise ApiError(4000183) from None
    if purchase.payload["originalTransactionId"] != number:
        raise ApiError(4000187)
    for one in store.purchases.of_customer(call.environment, number):
        if one.payload["originalTransactionId"] == number:
            one.payload["appAccountToken"] = token
    return Answer(200)


def _finish(store: SimulatedStore, call: Request, number: str) -> Answer:
    store.purchases.finish(call.environment, number)
    return Answer(200)


def _notifications(store: SimulatedStore, call: Request, _: str) -> Answer:
    wanted = call.document
    start, end = wanted.get("startDate"), wanted.get("endDate")
    if type(start) is not int or type(end) is not int or start >= end:
        raise ApiError(4000013)
    if start < store.purchases.milliseconds() - KEPT_DAYS[call.environment] * DAY_MS:
        raise ApiError(4000012)
    if "notificationType" in wanted and "transactionId" in wanted:
        raise ApiError(4000019)
    found = [one for one in store.notifications.records if _is_wanted(one, call.environment, wanted)]
    token = call.query.get("paginationToken", "0")
    if not token.isdigit():
        raise ApiError(4000014)
    first = int(token)
    items = [{"signedPayload": one.signed_payload, "sendAttempts": one.attempts} for one in found[first : first + PAGE]]
    document: dict[str, Any] = {"notificationHistory": items, "hasMore": first + PAGE < len(found)}
    if document["hasMore"]:
        document["paginationToken"] = str(first + PAGE)
    return Answer(200, document)


def _is_wanted(record: Record, environment: Environment, wanted: Mapping[str, Any]) -> bool:
    return (
        record.environment == environment
        and wanted["startDate"] <= record.made_at <= wanted["endDate"]
        and wanted.get("notificationType", record.type) == record.type
        and wanted.get("notificationSubtype", record.subtype) == record.subtype
        and wanted.get("transactionId", record.transaction) == record.transaction
        and not (wanted.get("onlyFailures") and record.arrived)
    )


def _ask_test(store: SimulatedStore, call: Request, _: str) -> Answer:
    record = store.notifications.send(call.environment, "TEST")
    return Answer(200, {"testNotificationToken": f"{record.uuid}_{record.made_at}"})


def _about(store: SimulatedStore, call: Request) -> dict[str, Any]:
    about: dict[str, Any] = {"environment": call.environment, "bundleId": store.config.bundle_id}
    return about | ({"appAppleId": store.config.app_apple_id} if call.environment == "Production" else {})


_Handler = Callable[[SimulatedStore, Request, str], Answer]
_ROUTES: tuple[tuple[str, re.Pattern[str], _Handler], ...] = tuple(
    (method, re.compile(pattern), handler)
    for method, pattern, handler in (
        ("GET", r"/inApps/v1/transactions/(?P<number>[^/]+)", _transaction),
        ("GET", r"/inApps/v2/history/(?P<number>[^/]+)", _history),
        ("GET", r"/inApps/v1/subscriptions/(?P<number>[^/]+)", _statuses),
        ("GET", r"/inApps/v2/refund/lookup/(?P<number>[^/]+)", _refunds),
        ("PUT", r"/inApps/v2/transactions/consumption/(?P<number>[^/]+)", _consumption),
        ("PUT", r"/inApps/v1/transactions/(?P<number>[^/]+)/appAccountToken", _set_token),
        ("POST", r"/inApps/v1/transactions/(?P<number>[^/]+)/finish", _finish),
        ("POST", r"/inApps/v1/notifications/history", _notifications),
        ("POST", r"/inApps/v1/notifications/test", _ask_test),
    )
)


def verify_receipt(store: SimulatedStore, environment: Environment, data: bytes) -> dict[str, Any]:
    """The deprecated call: always HTTP 200, with a status in the document."""
    if store.troubles:
        return {"status": store.troubles.pop(0), "is_retryable": True}
    try:
        document = json.loads(data)
        if document.get("password") != store.config.shared_secret:
            return {"status": 21004}
        numbers = transactions_in_app_receipt(document["receipt-data"])
    except (ValueError, KeyError, AttributeError, MalformedReceipt):
        return {"status": 21002}
    found = [one for one in store.purchases.all() if one.id in numbers]
    if any(one.environment != environment for one in found):
        return {"status": 21007 if environment == "Production" else 21008}
    in_app = [verified(one) for one in found]
    receipt = {"bundle_id": store.config.bundle_id, "receipt_type": environment, "in_app": in_app}
    return {"status": 0, "environment": environment, "receipt": receipt, "latest_receipt_info": []}
