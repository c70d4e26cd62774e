"""What API v2 is sent to make an order, and what the payer's client gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.providers import Intent
from plugins.wechat.actions import Action
from plugins.wechat.documents import BEIJING, CNY
from plugins.wechat.merchant import Merchant
from plugins.wechat.v2.signing import SignType, V2Key
from plugins.wechat.values import nonce_from, ordered, subject_for_payer, usable_notify_url
from plugins.wechat.ways import WAYS, InsideWeChat, MobileBrowser

PRODUCT_BYTES = 32


@dataclass(frozen=True, slots=True)
class ClientSigner:
    """Signs what the payer's client hands to WeChat, in the way in which the order was signed."""

    merchant: Merchant
    key: V2Key
    sign_type: SignType
    timestamp: str

    def inside_wechat(self, prepay_id: str) -> Action:
        parameters = {
            "appId": self.merchant.appid,
            "timeStamp": self.timestamp,
            "nonceStr": nonce_from(prepay_id, self.timestamp),
            "package": f"prepay_id={prepay_id}",
            "signType": self.sign_type,
        }
        return parameters | {"paySign": self.key.sign(parameters, self.sign_type)}

    def in_app(self, prepay_id: str) -> Action:
        parameters = {
            "appid": self.merchant.appid,
            "partnerid": self.merchant.mchid,
            "prepayid": prepay_id,
            "package": "Sign=WXPay",
            "noncestr": nonce_from(prepay_id, self.timestamp),
            "timestamp": self.timestamp,
        }
        return parameters | {"sign": self.key.sign(parameters, self.sign_type)}


TRADE_TYPES: dict[str, str] = {
    "jsapi": "JSAPI",
    "miniprogram": "JSAPI",
    "app": "APP",
    "native": "NATIVE",
    "h5": "MWEB",
}


def order_request(intent: Intent, sign_type: SignType, default_ip: str) -> dict[str, Any]:
    """The arguments of wechatpy's `order.create`. They depend on the intent alone, the nonce and the times too: WeChat
    Pay takes a repeated number only if every parameter is the same as the first time."""
    number, total = ordered(intent)
    extra = WAYS[intent.way].model_validate(dict(intent.extra))
    request: dict[str, Any] = {
        "trade_type": TRADE_TYPES[intent.way],
        "body": subject_for_payer(intent.subject),
        "total_fee": str(total),
        "fee_type": CNY,
        "notify_url": usable_notify_url(intent),
        "client_ip": extra.client_ip or default_ip,
        "out_trade_no": number,
        "attach": intent.owner,
        "time_start": intent.created_at.astimezone(BEIJING),
        "time_expire": intent.expires_at.astimezone(BEIJING),
        "sign_type": sign_type,
        "nonce_str": nonce_from(number, intent.notify_url),
    }
    if isinstance(extra, InsideWeChat):
        request["user_id"] = extra.openid
    if isinstance(extra, MobileBrowser):
        request["scene_info"] = {"h5_info": _browser_page(intent, extra)}
    if intent.way == "native":
        request["product_id"] = subject_for_payer(intent.product, PRODUCT_BYTES)
    return request


def _browser_page(intent: Intent, extra: MobileBrowser) -> dict[str, str]:
    """Where the payer comes from. v2 wants the page's address and name for browsers (official page 9_20)."""
    if extra.system != "Wap":
        return {"type": extra.system}
    page = urlsplit(intent.return_url or intent.notify_url)
    return {"type": extra.system, "wap_url": f"{page.scheme}://{page.netloc}", "wap_name": page.netloc}
