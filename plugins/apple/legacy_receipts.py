"""verifyReceipt, which Apple deprecated and still answers: an option for clients that know nothing newer.

Its answers are JSON without a signature, vouched for by TLS alone. They come with HTTP 200 whatever happened; `status`
says what. Numbers are texts in some answers and numbers in others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from app.providers import Declined, Fact, HttpClient, Misconfigured, ProviderError, Retryable, Unknown
from plugins.apple.jws import MalformedJws, read_json
from plugins.apple.questions import Questions
from plugins.apple.settings import Environment
from plugins.apple.signed_data import App, Refused
from plugins.apple.transactions import CONSUMABLE, SUBSCRIPTION, read_transaction

VALID = frozenset({0, 21006})  # 21006: expired subscription, receipts of iOS 6 only
ELSEWHERE: Mapping[int, Environment] = {21007: "Sandbox", 21008: "Production"}
TRY_AGAIN = frozenset({21002, 21005, 21009})  # 21002 is "malformed", or a passing trouble
WRONG_SECRET = 21004
INTERNAL_FIRST, INTERNAL_LAST = 21100, 21199


@dataclass(frozen=True, slots=True)
class LegacyReceipts:
    """Asks verifyReceipt about app receipts of one app."""

    http: HttpClient
    hosts: Mapping[Environment, str]
    secret: SecretStr | None
    app: App
    questions: Questions

    def facts(self, receipt: str) -> tuple[Fact, ...]:
        """What the receipt's purchases come to. Raises Declined for a receipt that is not genuine or not our app's."""
        environment, answer = self._checked(receipt)
        body = answer.get("receipt")
        if not isinstance(body, dict) or body.get("bundle_id") != self.app.bundle_id:
            raise Declined("a receipt of another app")
        records = {str(record.get("transaction_id")): record for record in _records(answer, body)}
        return tuple(fact for record in records.values() for fact in self._facts_of(record, environment))

    def _checked(self, receipt: str) -> tuple[Environment, Mapping[str, Any]]:
        """Production first; Apple says where else to ask. An environment that is not taken is not asked."""
        environment = self.app.environments[0]
        for _ in range(2):
            answer = self._ask(environment, receipt)
            status = answer.get("status")
            if type(status) is not int:
                raise Unknown("an answer without a status")
            if status in VALID:
                return environment, answer
            if status not in ELSEWHERE:
                raise _error(status, answer)
            environment = ELSEWHERE[status]
            if environment not in self.app.environments:
                raise Declined("a receipt of an environment that this account does not take", code=str(status))
        raise Unknown("each environment sends us to the other")

    def _ask(self, environment: Environment, receipt: str) -> Mapping[str, Any]:
        document: dict[str, Any] = {"receipt-data": receipt, "exclude-old-transactions": False}
        if self.secret is not None:
            document["password"] = self.secret.get_secret_value()
        answer = self.http.request(
            "POST",
            f"{self.hosts[environment]}/verifyReceipt",
            headers={"content-type": "application/json"},
            body=json.dumps(document).encode(),
        )
        try:
            if answer.status == 200:
                return read_json(answer.body)
        except MalformedJws:
            pass
        raise Unknown(f"the App Store answered {answer.status} without a document")

    def _facts_of(self, record: Mapping[str, Any], environment: Environment) -> tuple[Fact, ...]:
        """A purchase that was cancelled or replaced is asked about anew: this answer does not tell how much of it was
        given back."""
        try:
            payload = _payload(record, environment, self.app.bundle_id)
            transaction = read_transaction(payload)
        except (Refused, ValueError):
            raise Unknown("a record that cannot be read") from None
        if record.get("cancellation_date_ms") or transaction.is_upgraded:
            return self.questions.payment(transaction.transaction_id)
        return self.questions.facts_of(transaction, dict(record))


def _records(answer: Mapping[str, Any], receipt: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """One-time purchases may be in either list; consumables leave `in_app` once they are finished."""
    for records in (receipt.get("in_app"), answer.get("latest_receipt_info")):
        for record in records if isinstance(records, list) else ():
            if isinstance(record, dict):
                yield record


def _payload(record: Mapping[str, Any], environment: Environment, bundle_id: str) -> dict[str, Any]:
    """The record in the words of a signed transaction.

    It does not say what type of product it is. Subscriptions have a line item; of the rest, consumables are never
    restored, so that their original id is their id, and the original id names either kind.
    """
    is_subscription = bool(record.get("web_order_line_item_id"))
    number = str(record.get("transaction_id"))
    original = str(record.get("original_transaction_id") or number)
    payload: dict[str, Any] = {
        "transactionId": number if is_subscription else original,
        "originalTransactionId": original,
        "bundleId": bundle_id,
        "productId": record.get("product_id"),
        "type": SUBSCRIPTION if is_subscription else CONSUMABLE,
        "quantity": int(record.get("quantity") or 1),
        "purchaseDate": int(record.get("purchase_date_ms") or 0),
        "signedDate": int(record.get("purchase_date_ms") or 0),
        "inAppOwnershipType": record.get("in_app_ownership_type") or "PURCHASED",
        "environment": environment,
    }
    if is_subscription:
        payload["webOrderLineItemId"] = str(record["web_order_line_item_id"])
        payload["expiresDate"] = int(record.get("expires_date_ms") or 0)
        payload["isUpgraded"] = _is_true(record.get("is_upgraded"))
    if _is_true(record.get("is_trial_period")):
        payload["offerDiscountType"] = "FREE_TRIAL"
    if record.get("app_account_token") is not None:
        payload["appAccountToken"] = record["app_account_token"]
    return payload


def _is_true(flag: object) -> bool:
    """Flags come as JSON's own, as numbers and as texts of either."""
    return str(flag).strip().lower() in ("true", "1")


def _error(status: int, answer: Mapping[str, Any]) -> ProviderError:
    text, code = f"verifyReceipt answered {status}", str(status)
    if status == WRONG_SECRET:
        return Misconfigured(f"{text}: the shared secret is wrong", code=code)
    # Documented as `is-retryable`; genuine answers have an underscore (AppleReceiptVerifier.NET #8, 2024).
    is_passing = any(_is_true(answer.get(name)) for name in ("is_retryable", "is-retryable"))
    if status in TRY_AGAIN or (INTERNAL_FIRST <= status <= INTERNAL_LAST and is_passing):
        return Retryable(text, code=code)
    return Declined(text, code=code)
