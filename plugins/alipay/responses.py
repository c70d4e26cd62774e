"""Reads the gateway's answers: finds the signed characters, has them verified, and believes nothing else.

The signature covers the raw text of one member of the answer, so nothing may be parsed and written again. The end of
that text is found by a real JSON scanner: counting braces (python-alipay-sdk) or looking for `,"sign"` (gopay) breaks
on a product name that contains them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from app.providers import Unknown
from plugins.alipay.encryption import AesContent
from plugins.alipay.keyring import Keyring
from plugins.alipay.signing import is_signed

SUCCESS = "10000"
ERROR_ROOT = "error_response"
_SPACE = " \t\r\n"


class Unreadable(ValueError):
    """The answer is not a JSON object of the agreed shape."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of the answer: its value, and the very characters that stood there."""

    value: Any
    text: str


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer taken apart, nothing verified yet."""

    root: str
    content: Member
    sign: str
    certificate_sn: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway said about our call."""

    code: str
    sub_code: str
    signed: bool
    content: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """The *call* worked; what became of the payment stands in the content."""
        return self.code == SUCCESS and self.signed

    def text(self, name: str) -> str:
        """A field's text; empty when it is absent or not text."""
        value = self.content.get(name)
        return value if isinstance(value, str) else ""


def take_apart(body: bytes, method: str) -> RawAnswer:
    """Find the answer to `method`, the signature and the certificate's number. Raises Unreadable."""
    members = _members(_decoded(body))
    root = method.replace(".", "_") + "_response"
    if (root in members) == (ERROR_ROOT in members):
        raise Unreadable("it has not exactly one answer in it")
    root = root if root in members else ERROR_ROOT
    return RawAnswer(root, members[root], _text_of(members, "sign"), _text_of(members, "alipay_cert_sn"))


def is_authentic(raw: RawAnswer, keyring: Keyring) -> bool:
    """Whether one of Alipay's keys signed the answer. A renewed certificate usually keeps its key (Alipay, 2026), so
    all known keys are tried whatever `alipay_cert_sn` says; that number tells what to download when none fits."""
    content = raw.content.text.encode()
    return is_signed(raw.sign, (content,), keyring.candidates())


def read(raw: RawAnswer, *, signed: bool, aes: AesContent | None) -> Answer:
    """The content of an answer. `signed` is the verdict on it; an unsigned success is refused as Unknown."""
    content = raw.content.value
    if isinstance(content, str):
        content = _decrypted(content, aes)
    if not isinstance(content, dict):
        raise Unreadable("the answer is not an object")
    code, sub_code = content.get("code"), content.get("sub_code", "")
    if not isinstance(code, str) or not isinstance(sub_code, str):
        raise Unreadable("the answer has no code")
    if code == SUCCESS and (not signed or raw.root == ERROR_ROOT):
        raise Unknown("the gateway reports success without a signature: not believed")
    return Answer(code, sub_code, signed, content)


def _decrypted(text: str, aes: AesContent | None) -> Any:
    if aes is None:
        # Not Misconfigured: our call was carried out, we only cannot read what came of it.
        raise Unknown("the gateway answers encrypted: content encryption is on in the console, so set aes_key")
    try:
        return parse_strict(aes.decrypt(text))
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8") from None


def _text_of(members: Mapping[str, Member], name: str) -> str:
    value = members[name].value if name in members else ""
    if not isinstance(value, str):
        raise Unreadable(f"{name} is not a text")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A doubled member means two readings: one for whoever signs, one for whoever parses."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("a member appears twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_float=str, parse_constant=_refuse_constant)
"""`parse_float=str`: amounts are texts in this protocol, and no float is ever made of one that is not."""


def parse_strict(text: str) -> Any:
    """JSON without repeated members and without floats. Raises Unreadable."""
    try:
        value, end = _DECODER.raw_decode(text, _skip(text, 0))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON ({type(error).__name__})") from None
    if _skip(text, end) != len(text):
        raise Unreadable("something follows the JSON")
    return value


def _members(text: str) -> dict[str, Member]:
    """The members of the outer object, each with its raw text."""
    try:
        return _scan(text)
    except Unreadable:
        raise
    except (ValueError, IndexError, RecursionError) as error:
        raise Unreadable(f"not a JSON object ({type(error).__name__})") from None


def _scan(text: str) -> dict[str, Member]:
    at = _expect(text, _skip(text, 0), "{")
    members: dict[str, Member] = {}
    while True:
        name, at = _DECODER.raw_decode(text, _skip(text, at))
        if not isinstance(name, str) or name in members:
            raise Unreadable("a member appears twice, or has no name")
        start = _skip(text, _expect(text, _skip(text, at), ":"))
        value, at = _DECODER.raw_decode(text, start)
        members[name] = Member(value, text[start:at])
        at = _skip(text, at)
        if text[at] == "}":
            break
        at = _expect(text, at, ",")
    if _skip(text, at + 1) != len(text):
        raise Unreadable("something follows the answer")
    return members


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _expect(text: str, at: int, mark: str) -> int:
    if text[at] != mark:
        raise Unreadable(f"{mark!r} is missing")
    return at + 1
