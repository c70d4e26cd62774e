"""The simulated App Store's notifications: made, signed, sent with Apple's retry rule, and kept for its history."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.providers import Message, Reply
from app.providers.testing.simulator import Deliveries, Faults, Send, send_over_http
from plugins.apple.settings import Environment
from plugins.apple.simulated.certificates import Signer
from plugins.apple.simulated.purchases import Purchase, Purchases

HOUR = 3600.0
# Seconds between attempts; the sandbox sends once.
RETRIES: Mapping[Environment, tuple[float, ...]] = {
    "Production": (HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR, 72 * HOUR),
    "Sandbox": (),
}


@dataclass
class Record:
    """One notification, as the history keeps it."""

    environment: Environment
    type: str
    subtype: str
    uuid: str
    made_at: int
    signed_payload: str
    transaction: str | None
    attempts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def arrived(self) -> bool:
        return any(attempt["sendAttemptResult"] == "SUCCESS" for attempt in self.attempts)


class Notifications:
    """Everything that Apple tells the app's server by itself."""

    def __init__(
        self,
        purchases: Purchases,
        signer: Signer,
        forger: Signer,
        *,
        bundle_id: str,
        app_apple_id: int,
        urls: Mapping[Environment, str],
        faults: Faults,
        send: Send = send_over_http,
        now: Callable[[], float] = time.monotonic,
        speed: float = 1.0,
    ) -> None:
        self._purchases = purchases
        self._signer = signer
        self._forger = forger
        self._bundle_id = bundle_id
        self._app_apple_id = app_apple_id
        self.urls = dict(urls)
        self._send = send
        self.records: list[Record] = []
        self._posted: dict[bytes, Record] = {}
        self.deliveries = {
            environment: Deliveries(
                gaps=gaps, accepted=is_accepted, faults=faults, send=self._attempt, now=now, speed=speed
            )
            for environment, gaps in RETRIES.items()
        }

    def tell(self, kind: str, subtype: str, purchase: Purchase, **data: Any) -> Record:
        """Make a notification about a purchase and send it."""
        nested: dict[str, Any] = {"signedTransactionInfo": self.signed_transaction(purchase)}
        if purchase.is_subscription:
            nested |= {"signedRenewalInfo": self.signed_renewal(purchase), "status": purchase.status}
        return self.send(purchase.environment, kind, subtype, {**nested, **data}, purchase.id)

    def send(
        self,
        environment: Environment,
        kind: str,
        subtype: str = "",
        data: Mapping[str, Any] | None = None,
        transaction: str | None = None,
    ) -> Record:
        """Make any notification whose container is `data`, keep it and send it if there is a URL for it."""
        payload: dict[str, Any] = {
            "notificationType": kind,
            "notificationUUID": str(uuid.uuid4()),
            "version": "2.0",
            "signedDate": self._purchases.milliseconds(),
            "data": self._about_app(environment) | dict(data or {}),
        }
        if subtype:
            payload["subtype"] = subtype
        signed = self._signer.sign(payload)
        record = Record(
            environment, kind, subtype, payload["notificationUUID"], payload["signedDate"], signed, transaction
        )
        self.records.append(record)
        self._posted[as_message(signed).body] = record
        if url := self.urls.get(environment):
            forged = self._forger.sign(payload)
            self.deliveries[environment].enqueue(url, lambda: as_message(signed), lambda: as_message(forged))
        return record

    def run_due(self) -> int:
        """Send what is due now in every environment; the number of attempts made."""
        return sum(deliveries.run_due() for deliveries in self.deliveries.values())

    def signed_transaction(self, purchase: Purchase) -> str:
        """Signed anew at each asking: the same transaction comes with other bytes every time."""
        return self._signer.sign({**purchase.payload, "signedDate": self._purchases.milliseconds()})

    def signed_renewal(self, purchase: Purchase) -> str:
        names = ("originalTransactionId", "productId", "environment", "appTransactionId")
        payload = {name: purchase.payload[name] for name in names} | {
            "autoRenewProductId": purchase.payload["productId"],
            "renewalDate": purchase.payload["expiresDate"],
            "signedDate": self._purchases.milliseconds(),
            **purchase.renewal,
        }
        return self._signer.sign(payload)

    def _about_app(self, environment: Environment) -> dict[str, Any]:
        about: dict[str, Any] = {"environment": environment, "bundleId": self._bundle_id, "bundleVersion": "1"}
        if environment == "Production":
            about["appAppleId"] = self._app_apple_id
        return about

    def _attempt(self, url: str, message: Message) -> Reply:
        reply = self._send(url, message)
        result = "SUCCESS" if is_accepted(reply) else "UNSUCCESSFUL_HTTP_RESPONSE_CODE"
        attempt = {
            "attemptDate": self._purchases.milliseconds(),
            "sendAttemptResult": result if reply.status else "NO_RESPONSE",
        }
        record = self._posted.get(message.body)
        if record is not None:
            record.attempts.append(attempt)
        return reply


def as_message(signed_payload: str) -> Message:
    """The notification as it is posted."""
    body = json.dumps({"signedPayload": signed_payload}, separators=(",", ":")).encode()
    return Message("notification", body, {"content-type": "application/json"})


def is_accepted(reply: Reply) -> bool:
    return 200 <= reply.status <= 206
