"""Calls to API v2 through wechatpy, with its defects wrapped in this one place (read in its source, 1.8.18):

- its transport has no time limit and no bound: replaced by `tools.http`;
- it never checks the signature of an answer, and lets odd XML escape as bare errors: its answer handling is replaced;
- it prints the string to sign, with the key in it, and whole bodies at DEBUG: its loggers are pinned above that;
- it invents times, a nonce and an address, so that a repeated order differs: all are passed in;
- its XML writer lets `]]>` out of CDATA: values that contain it are refused here.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Any

from wechatpy.pay import WeChatPay

from app.providers import ClientCertificate, HttpClient, HttpResponse, Misconfigured, Unknown
from plugins.wechat.documents import Unreadable
from plugins.wechat.refusal import Refusal
from plugins.wechat.v2.signing import SignType, V2Key
from plugins.wechat.v2.xml import parse_xml, write_xml

ADVICE = {
    "签名错误": "check api_key and sign_type",
    "appid不存在": "check appid",
    "商户号不存在": "check mchid",
    "证书": "check merchant_certificate: it is this merchant's, and the newest on the merchant site",
}
"""For what `return_msg` says, without a code, when the request was not even looked at."""

for _name in ("wechatpy.pay", "wechatpy.pay.utils", "wechatpy.pay.api.jsapi"):
    logging.getLogger(_name).setLevel(logging.INFO)


class _Transport:
    """Stands in for the `requests.Session` inside wechatpy."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    def request(
        self, method: str, url: str, *, data: bytes = b"", certificate: ClientCertificate | None = None, **_: Any
    ) -> _Answer:
        headers = {"Content-Type": "text/xml"}
        return _Answer(self._http.request(method.upper(), url, headers=headers, body=data, certificate=certificate))


class _Answer:
    """As much of `requests.Response` as wechatpy touches before it hands over to `_handle_result`."""

    def __init__(self, answer: HttpResponse) -> None:
        self.answer = answer

    def raise_for_status(self) -> None:
        if self.answer.status != 200:
            raise Unknown(f"WeChat Pay answered with HTTP {self.answer.status}")


class V2Client(WeChatPay):  # type: ignore[misc]  # wechatpy has no types
    """wechatpy's client for one merchant. Each call returns the verified fields of an answer that says SUCCESS twice;
    raises Refusal for an error that WeChat Pay names, and Unknown for what cannot be believed or read."""

    def __init__(
        self, appid: str, mchid: str, api_key: str, key: V2Key, sign_type: SignType, http: HttpClient, api_url: str
    ) -> None:
        super().__init__(appid=appid, api_key=api_key, mch_id=mchid)
        self.API_BASE_URL = f"{api_url}/"
        self._http = _Transport(http)
        self._line = http
        self._key = key
        self._sign_type: SignType = sign_type

    def __repr__(self) -> str:
        return f"V2Client({self.mch_id})"

    def post(self, url: str, *, data: dict[str, Any], **options: Any) -> Any:
        """Every call of wechatpy's comes through here."""
        for name, value in data.items():
            if "]]>" in str(value):
                raise Misconfigured(f"{name} contains ']]>', with which it could leave its element")
        return super().post(url, data=data, **options)

    def _handle_result(self, res: _Answer) -> dict[str, str]:
        try:
            fields = parse_xml(res.answer.body)
        except Unreadable as error:
            raise Unknown(f"an unreadable answer: {error}") from None
        if fields.get("return_code") != "SUCCESS":
            raise not_looked_at(fields.get("return_msg", ""))
        if not self._key.verify(fields, self._sign_type):
            raise Unknown("an answer whose signature is wrong")
        if fields.get("result_code") != "SUCCESS":
            raise Refusal(fields.get("err_code", ""), "result_code FAIL", fields.get("err_code_des", ""))
        return fields

    def ask(self, path: str, fields: Mapping[str, str], certificate: ClientCertificate | None = None) -> dict[str, str]:
        """A call that wechatpy has no method for, or one whose method cannot pass `sign_type`."""
        answer: dict[str, str] = self.post(path, data=self._ours() | dict(fields), certificate=certificate)
        return answer

    def exact(self, path: str, fields: Mapping[str, str]) -> dict[str, str]:
        """A call with these fields, our names and the signature, and nothing else: the interfaces about contracts
        refuse a parameter that is not theirs (`sign_type`, in some `nonce_str`; papay FAQ Q5)."""
        request = {"appid": self.appid, "mch_id": self.mch_id, **fields}
        for name, value in request.items():
            if "]]>" in value:
                raise Misconfigured(f"{name} contains ']]>', with which it could leave its element")
        body = write_xml(request | {"sign": self._key.sign(request, self._sign_type)})
        headers = {"Content-Type": "text/xml"}
        answer = _Answer(self._line.request("POST", self.API_BASE_URL + path, headers=headers, body=body))
        answer.raise_for_status()
        return self._handle_result(answer)

    def page(self, path: str, query: str) -> dict[str, str]:
        """What a page answers to a server. Nobody signs that: its content may go to the payer, and proves nothing."""
        answer = _Answer(self._line.request("GET", f"{self.API_BASE_URL}{path}?{query}", headers={}, body=b""))
        answer.raise_for_status()
        try:
            return parse_xml(answer.answer.body)
        except Unreadable as error:
            raise Unknown(f"an unreadable answer: {error}") from None

    def download(
        self,
        path: str,
        fields: Mapping[str, str],
        max_bytes: int,
        *,
        sign_type: SignType | None = None,
        certificate: ClientCertificate | None = None,
    ) -> bytes:
        """A call that is answered with a file, or with XML if there is none. Neither is signed."""
        signed_by = sign_type or self._sign_type
        request = self._ours() | {"sign_type": signed_by, "nonce_str": secrets.token_hex(16)} | dict(fields)
        body = write_xml(request | {"sign": self._key.sign(request, signed_by)})
        headers = {"Content-Type": "text/xml"}
        answer = self._line.request(
            "POST", self.API_BASE_URL + path, headers=headers, body=body, max_bytes=max_bytes, certificate=certificate
        )
        _Answer(answer).raise_for_status()
        return answer.body

    def _ours(self) -> dict[str, str]:
        return {"appid": self.appid, "mch_id": self.mch_id, "sign_type": self._sign_type}


def not_looked_at(message: str) -> Unknown:
    """`return_code` FAIL comes without a code and without a signature, so anybody could have said it: it is told to
    people, with advice, and believed by nobody."""
    advice = [f"{known}: {advice}" for known, advice in ADVICE.items() if known in message]
    return Unknown(f"WeChat Pay answered return_code FAIL ({'; '.join(advice) or 'no reason known'})", code="FAIL")
