"""A gateway that says no to everything, in Alipay's words and with Alipay's signature."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from app.providers import HttpResponse
from plugins.alipay.simulated.signing import SigningSide


class RefusingGateway:
    """Answers every request with a signed business failure of one code."""

    def __init__(self, side: SigningSide, code: str) -> None:
        self._side, self._code = side, code

    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        asked = parse_qs(urlsplit(url).query) | parse_qs(bytes(options.get("body") or b"").decode())
        if "method" not in asked:  # the file of a bill: a server of its own, which signs nothing
            return HttpResponse(403, {"content-type": "text/html"}, b"<html></html>")
        root = asked["method"][0].replace(".", "_") + "_response"
        content = {"code": "40004", "msg": "Business Failed", "sub_code": self._code, "sub_msg": "no"}
        text = self._side.signed_answer(root, content, encrypted=False)
        return HttpResponse(200, {"content-type": "application/json;charset=utf-8"}, text.encode())
