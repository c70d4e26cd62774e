"""Calls the gateway: sends what `sdk` signed, and hands back only answers that Alipay signed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from app.providers import HttpResponse, Misconfigured, ProviderError, StoredKey, Tools, Unknown
from plugins.alipay.certificates import NotTrusted
from plugins.alipay.codes import failure
from plugins.alipay.credentials import Credentials
from plugins.alipay.keyring import Keyring
from plugins.alipay.responses import Answer, RawAnswer, Unreadable, is_authentic, read, take_apart
from plugins.alipay.sdk import RequestSigner

CERTIFICATE_DOWNLOAD = "alipay.open.app.alipaycert.download"
_FORM = "application/x-www-form-urlencoded;charset=utf-8"


class GatewayClient:
    def __init__(self, gateway: str, app_id: str, credentials: Credentials, keyring: Keyring, tools: Tools) -> None:
        self._gateway = gateway
        self._signer = RequestSigner(app_id, credentials)
        self._credentials = credentials
        self._keyring = keyring
        self._tools = tools

    def signed_query(
        self, method: str, business: Mapping[str, Any], *, notify_url: str = "", return_url: str = ""
    ) -> str:
        """A request that somebody else will send: the order string of an app payment."""
        now = self._tools.clock.now()
        return self._signer.signed_query(method, business, now, notify_url=notify_url, return_url=return_url)

    def browser_url(self, method: str, business: Mapping[str, Any], *, notify_url: str, return_url: str) -> str:
        """A request that the payer's browser will send."""
        query = self.signed_query(method, business, notify_url=notify_url, return_url=return_url)
        return f"{self._gateway}?{query}"

    def call(self, method: str, business: Mapping[str, Any], *, notify_url: str = "") -> Answer:
        """Ask, and return the signed answer, be it success or a business failure (`codes.failure` makes its error).

        Raises Unknown for everything that cannot be believed, Misconfigured where the gateway refuses us as such.
        """
        return self._ask(method, business, notify_url)[1]

    def download(self, url: str, max_bytes: int) -> bytes:
        """Fetch a file that a signed answer pointed to."""
        response = self._tools.http.request("GET", url, max_bytes=max_bytes)
        return _body_of(response, "download")

    def present_certificate(self, configured_sn: str) -> StoredKey:
        """The certificate with which Alipay signs now, as it downloads it to us. Only in certificate mode.

        Every signed answer names it; asking for the configured certificate is the cheapest question.
        """
        raw, answer = self._ask(CERTIFICATE_DOWNLOAD, {"alipay_cert_sn": configured_sn})
        if raw.certificate_sn not in ("", configured_sn):
            _, answer = self._ask(CERTIFICATE_DOWNLOAD, {"alipay_cert_sn": raw.certificate_sn})
        return self._take_in(raw.certificate_sn or configured_sn, answer)

    def _ask(self, method: str, business: Mapping[str, Any], notify_url: str = "") -> tuple[RawAnswer, Answer]:
        raw = self._exchange(method, business, notify_url)
        signed = self._is_signed(raw)
        answer = self._read(raw, signed=signed)
        if not signed:
            raise failure(answer)
        return raw, answer

    def _read(self, raw: RawAnswer, *, signed: bool) -> Answer:
        try:
            return read(raw, signed=signed, aes=self._credentials.aes)
        except Unreadable as error:
            raise Unknown(f"unreadable answer: {error}") from None

    def _exchange(self, method: str, business: Mapping[str, Any], notify_url: str) -> RawAnswer:
        query, body = self._signer.split(self.signed_query(method, business, notify_url=notify_url))
        url = f"{self._gateway}?{query}"
        response = self._tools.http.request("POST", url, headers={"Content-Type": _FORM}, body=body)
        try:
            return take_apart(_body_of(response, method), method)
        except Unreadable as error:
            raise Unknown(f"{method}: unreadable answer: {error}") from None

    def _is_signed(self, raw: RawAnswer) -> bool:
        """False for an answer without a signature; a signature that does not verify is refused altogether."""
        if not raw.sign:
            return False
        if is_authentic(raw, self._keyring) or self._is_authentic_after_renewal(raw):
            return True
        raise Unknown(
            "the answer is not signed with a known key of Alipay's; if every answer says so, "
            "alipay_public_key or alipay_cert is not the one that the console shows for this app"
        )

    def _is_authentic_after_renewal(self, raw: RawAnswer) -> bool:
        """Fetch the certificate that the answer names, when it is new to us, and look again.

        Only answers to our own calls get here, never notifications. What is learnt stays in this process; `refresh`
        is what puts it where the other processes find it.
        """
        if not raw.certificate_sn or self._keyring.knows(raw.certificate_sn):
            return False
        try:
            # The signature of this answer may be made with the very key that it brings: the chain is what counts.
            download = self._exchange(CERTIFICATE_DOWNLOAD, {"alipay_cert_sn": raw.certificate_sn}, "")
            self._take_in(raw.certificate_sn, self._read(download, signed=True))
        except ProviderError as error:
            raise Unknown(str(error)) from None  # whatever is wrong, our own call may have been carried out
        return is_authentic(raw, self._keyring)

    def _take_in(self, sn: str, answer: Answer) -> StoredKey:
        if not answer.ok:
            raise failure(answer)
        try:
            pem = base64.b64decode(answer.text("alipay_cert_content"), validate=True)
            return self._keyring.learn(sn, pem)
        except binascii.Error:
            raise Unknown("Alipay's certificate came in no readable form") from None
        except NotTrusted as error:
            raise Misconfigured(f"Alipay's new certificate was not accepted: {error}; download it by hand") from None


def _body_of(response: HttpResponse, what: str) -> bytes:
    """The gateway answers 200 to everything, refusals included; any other status is a proxy's or an outage's."""
    if response.status != 200:
        raise Unknown(f"{what}: HTTP status {response.status}")
    return response.body
