"""What the payer's client does next: the same five ways in both generations, signed differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote

from app.providers import Intent
from plugins.wechat.documents import text

Action = dict[str, str]
MAX_URL = 2048


class ClientSigner(Protocol):
    """Signs what the payer's client hands over to WeChat."""

    def inside_wechat(self, prepay_id: str) -> Action:
        """For `WeixinJSBridge` and `wx.requestPayment`: timeStamp (a text), paySign, and so on."""

    def in_app(self, prepay_id: str) -> Action:
        """For the app SDK: partnerid, prepayid, sign, and so on."""


def action_for(way: str, answer: Mapping[str, Any], signer: ClientSigner, intent: Intent) -> Action:
    """From WeChat Pay's answer to `Started.action`. Raises Unreadable if the answer lacks what the way needs."""
    return _ACTIONS[way](answer, signer, intent)


def _jsapi(answer: Mapping[str, Any], signer: ClientSigner, _: Intent) -> Action:
    return {"type": "jsapi", **signer.inside_wechat(text(answer, "prepay_id"))}


def _miniprogram(answer: Mapping[str, Any], signer: ClientSigner, _: Intent) -> Action:
    parameters = signer.inside_wechat(text(answer, "prepay_id"))
    del parameters["appId"]  # it is signed, but wx.requestPayment takes it from the mini-program itself
    return {"type": "miniprogram", **parameters}


def _app(answer: Mapping[str, Any], signer: ClientSigner, _: Intent) -> Action:
    return {"type": "app", **signer.in_app(text(answer, "prepay_id"))}


def _native(answer: Mapping[str, Any], _signer: ClientSigner, _: Intent) -> Action:
    return {"type": "qr", "code": text(answer, "code_url", MAX_URL)}


def _h5(answer: Mapping[str, Any], _signer: ClientSigner, intent: Intent) -> Action:
    """WeChat's cashier for browsers (`h5_url`, in v2 `mweb_url`); it comes back to `redirect_url`."""
    url = text(answer, "h5_url" if "h5_url" in answer else "mweb_url", MAX_URL)
    if intent.return_url:
        url += f"&redirect_url={quote(intent.return_url, safe='')}"
    return {"type": "redirect", "url": url}


_ACTIONS: dict[str, Callable[[Mapping[str, Any], ClientSigner, Intent], Action]] = {
    "jsapi": _jsapi,
    "miniprogram": _miniprogram,
    "app": _app,
    "native": _native,
    "h5": _h5,
}
