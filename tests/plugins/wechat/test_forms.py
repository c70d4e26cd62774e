"""The two forms in their details: XML of API v2, and base64 signatures of API v3."""

from __future__ import annotations

import base64
import string

import pytest

from plugins.wechat.documents import Unreadable, parse_json
from plugins.wechat.v2.xml import MAX_BYTES, MAX_ELEMENTS, parse_xml, write_xml
from plugins.wechat.v3.signing import sign, verify
from tests.plugins.wechat.worlds import our_config


def test_what_is_written_is_read_again() -> None:
    fields = {"a": " 金币 ", "b": "x]]>y", "c": "<b>&amp;</b>", "d": "", "e": "]]>]]>"}
    assert parse_xml(write_xml(fields)) == fields
    assert parse_xml(write_xml({"x": "1"}, root="root"), root="root") == {"x": "1"}


def test_blanks_and_plain_text_and_comments_are_fine() -> None:
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n<xml>\n  <a> 1 </a><!-- x --><b>&lt;2</b>\n</xml>\n'
    assert parse_xml(body) == {"a": " 1 ", "b": "<2"}


@pytest.mark.parametrize(
    "body",
    [
        b"<xml><a>1</a><a>1</a></xml>",
        b"<!DOCTYPE xml><xml><a>1</a></xml>",
        b'<!DOCTYPE xml [<!ENTITY a "1">]><xml><a>&a;</a></xml>',
        b'<!DOCTYPE xml SYSTEM "http://127.0.0.1/x.dtd"><xml><a>1</a></xml>',
        b"<xml><a>&undeclared;</a></xml>",
        b"<xml><a><b>1</b></a></xml>",
        b"<xml><a x='1'>1</a></xml>",
        b"<xml x='1'><a>1</a></xml>",
        b"<xml>1<a>1</a></xml>",
        b"<?php 1 ?><xml><a>1</a></xml>",
        b"<root><a>1</a></root>",
        b"<xml><a>1</a>",
        b"",
        b"\xff\xfe<\x00x\x00m\x00l\x00/\x00>\x00",
        b"<xml><a>\xe9</a></xml>",
        b"<xml><a>" + b"1" * MAX_BYTES + b"</a></xml>",
        b"<xml>" + b"".join(b"<a%d/>" % at for at in range(MAX_ELEMENTS + 1)) + b"</xml>",
    ],
)
def test_everything_else_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse_xml(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":"\\u0000"}',
        b'{"a\\u0000":"b"}',
        b'{"a":"\\u005cu0000"}',
        b'{"a":12345678901234567890}',
        b'{"a":0.' + b"1" * 40 + b"}",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'{"a":"\\ud800"}',
        b'{"a":"\\uDfFf"}',
        b"[]",
        b"null",
        b"",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_json_that_could_be_read_in_two_ways_or_not_be_stored_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse_json(body)


def test_fractions_stay_text() -> None:
    assert parse_json(b'{"a":6.00,"b":1e400,"c":6,"d":"\\u91d1 \\ud83d\\ude00"}') == {
        "a": "6.00",
        "b": "1e400",
        "c": 6,
        "d": "金 😀",
    }


def test_a_signature_has_one_spelling_only() -> None:
    key = our_config().platform.key
    signature = sign(key, b"message")
    public = key.public_key()
    assert verify(public, b"message", signature)

    last = signature[-3]  # of its six bits only the first two carry something
    same_bytes = [
        signature[:-3] + letter + "=="
        for letter in string.ascii_letters + string.digits + "+/"
        if letter != last and base64.b64decode(signature[:-3] + letter + "==") == base64.b64decode(signature)
    ]
    assert same_bytes
    spellings = [*same_bytes, f" {signature}", f"{signature}\n", signature[:-2], signature.replace("A", "A\n", 1)]
    assert not any(verify(public, b"message", spelling) for spelling in spellings if spelling != signature)
