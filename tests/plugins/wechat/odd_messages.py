"""Envelopes and XML that a sender with the true key could write, and that say nothing: read strictly, or refused."""

from __future__ import annotations

from typing import Any

from app.providers import HttpClient, HttpResponse


def odd_envelopes(body: bytes) -> dict[str, bytes]:
    return {
        "a member twice": body[:-1] + b',"event_type":"TRANSACTION.SUCCESS"}',
        "another charset": body.decode().encode("utf-16"),
        "a list": b"[" + body + b"]",
        "a huge number": body[:-1] + b',"x":1e400}',
        "not a number": body[:-1] + b',"x":NaN}',
        "an event type that is a number": body.replace(b'"TRANSACTION.SUCCESS"', b"1"),
        "a plain resource": body.replace(b'"encrypt-resource"', b'"plain-resource"'),
        "nested too deep": b'{"event_type":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        "another algorithm": body.replace(b"AEAD_AES_256_GCM", b"AEAD_SM4_GCM"),
    }


def odd_xml(body: bytes) -> dict[str, bytes]:
    return {
        "an element twice": body.replace(b"<total_fee>", b"<total_fee>1</total_fee><total_fee>"),
        "an entity": b'<!DOCTYPE xml [<!ENTITY a "1">]>' + body.replace(b"<![CDATA[600]]>", b"&a;"),
        "another charset": b'<?xml version="1.0" encoding="utf-16"?>' + body,
        "utf-16": body.decode().encode("utf-16"),
        "an attribute": body.replace(b"<total_fee>", b'<total_fee x="1">'),
        "nested": body.replace(b"<![CDATA[600]]>", b"<a>600</a>"),
        "another root": body.replace(b"<xml>", b"<root>").replace(b"</xml>", b"</root>"),
        "two roots": body + body,
        "an instruction": b"<?php x ?>" + body,
        "text beside elements": body.replace(b"</xml>", b"x</xml>"),
        "too many elements": b"<xml>" + b"".join(b"<a%d>1</a%d>" % (i, i) for i in range(1000)) + b"</xml>",
    }


class Unsigned:
    """Success, without WeChat Pay's signature."""

    def __init__(self, inner: HttpClient) -> None:
        self._inner = inner

    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        answer = self._inner.request(method, url, **options)
        headers = {name: value for name, value in answer.headers.items() if not name.startswith("wechatpay-")}
        body = answer.body
        if b"<sign>" in body:
            body = body[: body.index(b"<sign>")] + body[body.index(b"</sign>") + len(b"</sign>") :]
        return HttpResponse(answer.status, headers, body)
