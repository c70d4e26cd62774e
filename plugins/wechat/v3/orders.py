"""What API v3 is sent to make an order, and the signature for the payer's client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.providers import Intent
from plugins.wechat.documents import BEIJING, CNY
from plugins.wechat.merchant import Merchant
from plugins.wechat.v3.credentials import Credentials
from plugins.wechat.v3.signing import client_message, sign
from plugins.wechat.values import nonce_from, ordered, subject_for_payer, usable_notify_url
from plugins.wechat.ways import WAYS, InsideWeChat, MobileBrowser, PayerAddress

ROOT = "/v3/pay/transactions"


def order_request(intent: Intent, merchant: Merchant) -> dict[str, Any]:
    """The body of an order. It depends on the intent alone: WeChat Pay takes a repeated number only if every
    parameter is the same as the first time."""
    number, total = ordered(intent)
    extra = WAYS[intent.way].model_validate(dict(intent.extra))
    return {
        "appid": merchant.appid,
        "mchid": merchant.mchid,
        "description": subject_for_payer(intent.subject),
        "out_trade_no": number,
        "time_expire": intent.expires_at.astimezone(BEIJING).isoformat(timespec="seconds"),
        "attach": intent.owner,
        "notify_url": usable_notify_url(intent),
        "amount": {"total": total, "currency": CNY},
        **_of_the_way(extra),
    }


def _of_the_way(extra: PayerAddress) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if isinstance(extra, InsideWeChat):
        fields["payer"] = {"openid": extra.openid}
    if extra.client_ip:
        fields["scene_info"] = {"payer_client_ip": extra.client_ip}
    if isinstance(extra, MobileBrowser):
        fields["scene_info"]["h5_info"] = {"type": extra.system}
    return fields


@dataclass(frozen=True, slots=True)
class ClientSigner:
    """Signs what the payer's client hands to WeChat, with our private key."""

    merchant: Merchant
    credentials: Credentials
    timestamp: str

    def inside_wechat(self, prepay_id: str) -> dict[str, str]:
        """For `WeixinJSBridge` and `wx.requestPayment`; every value is a text, the time too."""
        nonce = nonce_from(prepay_id, self.timestamp)
        package = f"prepay_id={prepay_id}"
        message = client_message(self.merchant.appid, self.timestamp, nonce, package)
        return {
            "appId": self.merchant.appid,
            "timeStamp": self.timestamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": sign(self.credentials.private_key, message),
        }

    def in_app(self, prepay_id: str) -> dict[str, str]:
        """For the app SDK: the bare id is signed, and `package` is a constant."""
        nonce = nonce_from(prepay_id, self.timestamp)
        message = client_message(self.merchant.appid, self.timestamp, nonce, prepay_id)
        return {
            "appid": self.merchant.appid,
            "partnerid": self.merchant.mchid,
            "prepayid": prepay_id,
            "package": "Sign=WXPay",
            "noncestr": nonce,
            "timestamp": self.timestamp,
            "sign": sign(self.credentials.private_key, message),
        }


PATHS: dict[str, str] = {
    "jsapi": f"{ROOT}/jsapi",
    "miniprogram": f"{ROOT}/jsapi",
    "app": f"{ROOT}/app",
    "native": f"{ROOT}/native",
    "h5": f"{ROOT}/h5",
}
"""Where each way's order is made."""
