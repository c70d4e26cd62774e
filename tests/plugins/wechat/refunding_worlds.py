"""What the conformance kit wants of WeChat Pay's refunds, and of its refusals."""

from __future__ import annotations

import json
from typing import Any

from app.providers import HttpResponse, Intent, Message, Ref
from plugins.wechat.simulated.wechat import SimulatedWeChat


class RefundsOfWeChat:
    """The hooks of `World` about refunds. Each refund is only accepted at first."""

    wechat: SimulatedWeChat

    def delivered(self) -> tuple[Message, ...]:
        raise NotImplementedError

    def settle_refund(self, ref: Ref) -> tuple[Message, ...]:
        self.wechat.finish_refund(str(ref.refund))
        return self.delivered()

    def refunded(self, intent: Intent) -> int:
        return self.wechat.books.orders[str(intent.ref.ours)].refunded

    def hold_refund(self) -> None:
        """It does so always."""

    def fail_refund(self, ref: Ref) -> tuple[Message, ...]:
        self.delivered()
        self.wechat.finish_refund(str(ref.refund), "CLOSED")
        return self.delivered()

    def show_refund_status(self, ref: Ref, word: str) -> None:
        self.wechat.books.find_refund(str(ref.refund)).status = word


class RefusingV3:
    """Answers every request with a signed error of one code."""

    def __init__(self, wechat: SimulatedWeChat, code: str) -> None:
        self._wechat, self._body = wechat, json.dumps({"code": code, "message": "no"}).encode()

    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        asked = {name.lower(): text for name, text in dict(options.get("headers") or {}).items()}
        headers = self._wechat.signer.answer_headers(self._body, asked.get("wechatpay-serial", ""))
        return HttpResponse(400, {name.lower(): text for name, text in headers.items()}, self._body)


class RefusingV2:
    """Answers every request with a signed failure of one code."""

    def __init__(self, wechat: SimulatedWeChat, sign_type: str, code: str, parties: dict[str, str]) -> None:
        fields = {"return_code": "SUCCESS", "result_code": "FAIL", "err_code": code, "nonce_str": "n", **parties}
        self._body = wechat.v2.sign_notification(fields, sign_type).body

    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        return HttpResponse(200, {"content-type": "text/xml"}, self._body)
