"""Calls to API v3: sign, send, verify, decode."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog

from app.providers import HttpResponse, Tools, Unknown
from plugins.wechat.documents import Unreadable, parse_json
from plugins.wechat.merchant_certificate import EndingAlarm
from plugins.wechat.refusal import Refusal
from plugins.wechat.v3.authenticity import NotAuthentic, Verifier
from plugins.wechat.v3.credentials import Credentials
from plugins.wechat.v3.signing import authorization, request_message

MAX_ANSWER_BYTES = 1024 * 1024
_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,63}", re.ASCII)
_REQUEST_ID = re.compile(r"[0-9A-Za-z\-]{1,80}", re.ASCII)
_log = structlog.get_logger(__name__)


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """The bytes that are signed and sent: the same document always gives the same ones."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


class V3Client:
    """Speaks for one merchant. Raises Refusal for an error that WeChat Pay names, and Unknown when its answer cannot
    be believed or read: the call may have taken effect."""

    def __init__(self, mchid: str, credentials: Credentials, verifier: Verifier, tools: Tools, api_url: str) -> None:
        self._mchid = mchid
        self._credentials = credentials
        self._verifier = verifier
        self._tools = tools
        self._api_url = api_url
        self._alarm = EndingAlarm(credentials.merchant)
        self._alarm.look(tools.clock.now())

    def get(self, target: str) -> dict[str, Any]:
        """`target` is path and query, percent-encoded."""
        return self._read(self._send("GET", target, b""))

    def post(self, target: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """`{}` for an answer without content (204)."""
        return self._read(self._send("POST", target, canonical_json(document)))

    def get_unverified(self, target: str) -> HttpResponse:
        """For the first download of the certificates, whose signature needs the certificates: the caller verifies."""
        return self._refuse_errors(self._send("GET", target, b""))

    def download(self, url: str, max_bytes: int) -> bytes:
        """A file of WeChat Pay's, asked for like everything else. Its answer is never signed (official page
        4013071254): the caller has a signed hash to check it by."""
        origin, target = _origin_and_target(url)
        if urlsplit(origin).scheme != urlsplit(self._api_url).scheme:
            raise Unknown("a download address of another kind than the API's")
        answer = self._send("GET", target, b"", origin=origin, max_bytes=max_bytes)
        return self._refuse_errors(answer).body

    def _send(
        self, method: str, target: str, body: bytes, *, origin: str = "", max_bytes: int = MAX_ANSWER_BYTES
    ) -> HttpResponse:
        now = self._tools.clock.now()
        self._alarm.look(now)
        timestamp = str(int(now.timestamp()))
        nonce = secrets.token_hex(16).upper()
        message = request_message(method, target, timestamp, nonce, body)
        keys = self._credentials
        headers = {
            "Authorization": authorization(self._mchid, keys.serial, keys.private_key, timestamp, nonce, message),
            "Accept": "application/json",
            "User-Agent": "Tillbook",
        }
        if body:
            headers["Content-Type"] = "application/json"
        if keys.public_key_id:
            # Which of its two kinds of key WeChat Pay answers with follows this header (official page 4012154180).
            headers["Wechatpay-Serial"] = keys.public_key_id
        url = (origin or self._api_url) + target
        return self._tools.http.request(method, url, headers=headers, body=body, max_bytes=max_bytes)

    def _read(self, answer: HttpResponse) -> dict[str, Any]:
        self._refuse_errors(answer)
        try:
            self._verifier.check(answer.headers, answer.body)
        except NotAuthentic as error:
            raise Unknown(f"an answer that is not WeChat Pay's: {error}") from None
        return _document(answer.body) if answer.body else {}

    def _refuse_errors(self, answer: HttpResponse) -> HttpResponse:
        if answer.status in (200, 204):
            return answer
        if "wechatpay-signature" in answer.headers:  # errors may come unsigned; a signed one must be right
            try:
                self._verifier.check(answer.headers, answer.body)
            except NotAuthentic as error:
                raise Unknown(f"an error answer that is not WeChat Pay's: {error}") from None
        code, message = _error_of(answer.body)
        request_id = answer.headers.get("request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = ""
        _log.info("wechat_refusal", status=answer.status, code=code, request_id=request_id)
        raise Refusal(code, f"HTTP {answer.status}, Request-ID {request_id or 'none'}", message)


def _origin_and_target(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    if not parts.netloc or "@" in parts.netloc or not parts.path:
        raise Unknown("a download address that is none")
    return f"{parts.scheme}://{parts.netloc}", f"{parts.path}?{parts.query}" if parts.query else parts.path


def _error_of(body: bytes) -> tuple[str, str]:
    """Code and message of an error answer; empty where it is not one of WeChat Pay's (a gateway's page)."""
    try:
        document = _document(body)
    except Unknown:
        return "", ""
    code, message = document.get("code"), document.get("message")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return "", ""
    return code, message if isinstance(message, str) else ""


def _document(body: bytes) -> dict[str, Any]:
    try:
        return parse_json(body)
    except Unreadable as error:
        raise Unknown(f"an unreadable answer: {error}") from None
