"""The App Store Server API (1.23): tokens, exchanges, errors. Answers are returned as they came, still unverified."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from app.providers import Clock, Declined, HttpClient, HttpResponse, Misconfigured, Retryable, Unknown
from plugins.apple.jws import MalformedJws, read_json
from plugins.apple.settings import Environment

AUDIENCE = "appstoreconnect-v1"
TOKEN_SECONDS = 300  # Apple takes up to an hour; its own library uses five minutes
_ID = re.compile(r"[0-9]{1,20}", re.ASCII)

# errorCode in the body. "Not found" is no proof of anything: fresh genuine ids were unknown for a while (2026-03).
NOT_FOUND = frozenset({4040001, 4040005, 4040010})
RETRYABLE = frozenset({4040002, 4040004, 4040006, 4290000, 5000001})
OUR_SETTINGS = frozenset({4000002, 4040003})  # the bundle id is not the key's; the app is not known

T = TypeVar("T")
Params = Sequence[tuple[str, str]]


class NotKnown(Exception):
    """That environment knows no such transaction (now)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An In-App Purchase key. Each token is good for one app."""

    issuer_id: str
    key_id: str
    bundle_id: str
    key: ec.EllipticCurvePrivateKey


class ServerApi:
    """One app's view of the API in each of its environments."""

    def __init__(
        self,
        http: HttpClient,
        clock: Clock,
        credentials: Credentials,
        hosts: Mapping[Environment, str],
        *,
        released: bool,
    ) -> None:
        """`hosts` are asked in their order. `released=False`: a 401 from production means that the app is not out."""
        self._http = http
        self._clock = clock
        self._credentials = credentials
        self._hosts = dict(hosts)
        self._released = released

    def first_known(self, call: Callable[[Environment], T]) -> T | None:
        """The answer of the first environment that knows the transaction; None if none does.

        An environment that cannot be asked ends the search: the next one's "not found" would say nothing.
        """
        for environment in self._hosts:
            try:
                return call(environment)
            except NotKnown:
                continue
        return None

    def transaction(self, environment: Environment, number: str) -> str:
        """Get Transaction Info: the signed transaction. Raises NotKnown."""
        answer = self._call(environment, "GET", f"/inApps/v1/transactions/{_checked(number)}")
        return _member(answer, "signedTransactionInfo", str)

    def history(self, environment: Environment, number: str, params: Params) -> Mapping[str, Any]:
        """Get Transaction History V2 of the customer who made that transaction (V1 leaves finished consumables out)."""
        return self._call(environment, "GET", f"/inApps/v2/history/{_checked(number)}", params=params)

    def refunds(self, environment: Environment, number: str, params: Params) -> Mapping[str, Any]:
        """Get Refund History V2 of the customer who made that transaction."""
        return self._call(environment, "GET", f"/inApps/v2/refund/lookup/{_checked(number)}", params=params)

    def statuses(self, environment: Environment, number: str) -> Mapping[str, Any]:
        """Get All Subscription Statuses of the customer who made that transaction."""
        return self._call(environment, "GET", f"/inApps/v1/subscriptions/{_checked(number)}")

    def notifications(self, environment: Environment, wanted: Mapping[str, Any], token: str) -> Mapping[str, Any]:
        """Get Notification History, 20 a page."""
        params = [("paginationToken", token)] if token else []
        return self._call(environment, "POST", "/inApps/v1/notifications/history", params=params, body=wanted)

    def send_consumption(self, environment: Environment, number: str, body: Mapping[str, Any]) -> None:
        """Send Consumption Information V2. Repeating it is safe."""
        self._call(
            environment, "PUT", f"/inApps/v2/transactions/consumption/{_checked(number)}", body=body, tells=False
        )

    def finish(self, environment: Environment, number: str) -> None:
        """Finish Transaction (API 1.20, 2026-04). Repeating it is safe."""
        self._call(environment, "POST", f"/inApps/v1/transactions/{_checked(number)}/finish", tells=False)

    def set_owner(self, environment: Environment, original: str, token: str) -> None:
        """Set App Account Token on an original transaction. Repeating it is safe."""
        path = f"/inApps/v1/transactions/{_checked(original)}/appAccountToken"
        self._call(environment, "PUT", path, body={"appAccountToken": token}, tells=False)

    def _call(
        self,
        environment: Environment,
        method: Literal["GET", "POST", "PUT"],
        path: str,
        *,
        params: Params = (),
        body: Mapping[str, Any] | None = None,
        tells: bool = True,
    ) -> Mapping[str, Any]:
        """One exchange. `tells=False` for calls whose success has no content."""
        url = self._hosts[environment] + path + (f"?{urlencode(params)}" if params else "")
        headers = {"authorization": f"Bearer {self._token()}", "accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        content = json.dumps(body).encode() if body is not None else b""
        answer = self._http.request(method, url, headers=headers, body=content)
        if answer.status in (200, 202):
            return _answered(answer) if tells or answer.body else {}
        if answer.status == 401 and environment == "Production" and not self._released:
            raise NotKnown
        raise _error(answer)

    def _token(self) -> str:
        now = self._clock.now()
        credentials = self._credentials
        claims = {
            "iss": credentials.issuer_id,
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=TOKEN_SECONDS)).timestamp()),
            "aud": AUDIENCE,
            "bid": credentials.bundle_id,
        }
        return jwt.encode(claims, credentials.key, algorithm="ES256", headers={"kid": credentials.key_id})


def _checked(number: str) -> str:
    """Ids are pasted into paths, and some come from clients."""
    if not _ID.fullmatch(number):
        raise Declined("not a transaction id")
    return number


def _answered(answer: HttpResponse) -> Mapping[str, Any]:
    try:
        return read_json(answer.body)
    except MalformedJws:
        raise Unknown("an answer that is not JSON") from None


def _error(answer: HttpResponse) -> Exception:
    """What an answer that is not a success means."""
    code = _error_code(answer.body)
    text = f"the App Store answered {answer.status}, error {code or 'without a code'}"
    if code in NOT_FOUND:
        return NotKnown(text)
    if answer.status == 429 or code in RETRYABLE:
        return Retryable(text, code=str(code or 429), not_before=_retry_after(answer.headers.get("retry-after")))
    if answer.status == 401:
        return Misconfigured(f"{text}: key, key id, issuer, bundle or clock is wrong", code="401")
    if code in OUR_SETTINGS:
        return Misconfigured(text, code=str(code))
    if code is not None and 400 <= answer.status < 500:
        return Declined(text, code=str(code))
    return Unknown(text, code=str(code or answer.status))


def _error_code(body: bytes) -> int | None:
    try:
        code = read_json(body).get("errorCode")
    except MalformedJws:
        return None
    return code if type(code) is int else None


def _retry_after(text: str | None) -> datetime | None:
    """UNIX time in milliseconds, not seconds to wait (App Store Server API, "Identifying rate limits")."""
    if text is None or not re.fullmatch(r"[0-9]{13}", text, re.ASCII):
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(text))


def _member(answer: Mapping[str, Any], name: str, kind: type[T]) -> T:
    value = answer.get(name)
    if not isinstance(value, kind):
        raise Unknown(f"an answer without {name}")
    return value
