"""Verifies and reads what Alipay posts to us: payment and agreement notices, and messages to the application gateway.

Works on the raw body: web frameworks decode forms as UTF-8 only, while Alipay may send GBK.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

from app.providers import Fact, Forged, Message, Received, Ref, Reply
from plugins.alipay import mapping
from plugins.alipay.fields import optional_number, printable
from plugins.alipay.formats import parse_time
from plugins.alipay.keyring import Keyring
from plugins.alipay.mapping import Merchant
from plugins.alipay.responses import parse_strict
from plugins.alipay.signing import canonical, is_signed

SUCCESS = Reply(200, "text/plain", b"success")
FAIL = Reply(200, "text/plain", b"fail")
"""With status 200 too: exactly `success` ends the retries, anything else goes on with them."""

MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 200
CHARSETS: Mapping[str, str] = {"utf-8": "utf-8", "gbk": "gb18030", "gb18030": "gb18030"}
"""What a notice may be written in, and what to read it with (gb18030 holds all of GBK). Nothing else reaches codecs."""

_NOTICES_WITH_FACTS = frozenset({mapping.TRADE_NOTICE, *mapping.AGREEMENT_NOTICES})
_FORM = re.compile(rb"[A-Za-z0-9_.]{1,64}=[^&]*(?:&[A-Za-z0-9_.]{1,64}=[^&]*)*")
_HIDDEN_FIELD = re.compile(rb"&[A-Za-z_]{2,64}=")
_OUR_NUMBER = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
RawFields = dict[bytes, bytes]


class NotificationReader:
    """Says what a message states, or refuses it. Uses nothing but keys that are already here."""

    def __init__(self, merchant: Merchant, keyring: Keyring) -> None:
        self._merchant = merchant
        self._keyring = keyring

    def receive(self, message: Message) -> Received:
        """Raises Forged for everything that is not authentic, or that lacks what it should say."""
        if message.source != "notification":
            raise _refusal("what a payer's app reports is no proof; the payment has to be queried")
        raw = _split(message.body)
        fields = _decoded(raw)
        if not self._is_authentic(raw, fields):
            raise _refusal("the signature does not verify", _hint(fields))
        try:
            return self._read(fields)
        except ValueError as error:
            raise _refusal(f"authentic, but not readable: {error}", _hint(fields)) from None

    def _is_authentic(self, raw: RawFields, fields: Mapping[str, str]) -> bool:
        # The algorithm comes from our side: a message cannot choose a weaker one.
        if fields.get("sign_type") != "RSA2":
            return False
        # A value that hides another field (`a=1&b=2` as the value of one): the signed text would be the same, and the
        # reading another.
        if b"&" in b"".join(raw.values()) and any(map(_HIDDEN_FIELD.search, raw.values())):
            return False
        return is_signed(fields.get("sign", ""), _signed_texts(raw, fields), self._keyring.candidates())

    def _read(self, fields: dict[str, str]) -> Received:
        stated = {name: value for name, value in fields.items() if value} if "" in fields.values() else fields
        signed = stated.get("notify_time")
        notice = stated.get("notify_type", "")
        facts: tuple[Fact, ...] = ()
        asks: tuple[Ref, ...] = ()
        # What kind of message it is comes before everything else: most fields exist in one kind only.
        if "msg_method" in stated:
            asks = self._asks(stated)  # messages to the application gateway state no payment and no refund
        elif notice == mapping.TRADE_NOTICE:
            facts = mapping.trade_notice_facts(stated, self._merchant)
        elif notice in mapping.AGREEMENT_NOTICES:
            fact = mapping.agreement_notice_fact(stated, self._merchant)
            # Without our number it is an agreement that another system signed with this app.
            facts = (fact,) if fact.ref.our_agreement else ()
        return Received(
            facts=facts,
            reply=SUCCESS,
            failure=FAIL,
            asks=asks,
            message_id=optional_number(stated, "notify_id"),
            signed_at=parse_time(signed) if signed else None,
            note="" if facts or asks else f"no fact in it: {_kind_of(stated)}",
        )

    def _asks(self, stated: Mapping[str, str]) -> tuple[Ref, ...]:
        """A bank took a refund in, or did not: the refund query tells what Alipay made of that."""
        content = parse_strict(stated.get("biz_content", "{}"))
        if stated["msg_method"] != mapping.DEPOSIT_BACK_MESSAGE or not isinstance(content, dict):
            return ()
        named = mapping.deposit_back_ask(stated, content, self._merchant)
        return (named,) if named else ()


def _kind_of(stated: Mapping[str, str]) -> str:
    return printable(stated.get("msg_method") or stated.get("notify_type") or "a notice without notify_type")


def _signed_texts(raw: RawFields, fields: Mapping[str, str]) -> Iterator[bytes]:
    """Every text that the signature may be over, the likeliest first.

    The page on verification counts empty values in, the one on trouble-shooting leaves them out, and Alipay's own SDKs
    are divided as well. Messages to the application gateway, from which no fact about a payment is ever read, may count
    `sign_type` in; payment notices never do. Such messages name themselves by `msg_method`; the older ones by `method`
    and a `notify_type` of their own (`servicemarket_order_notify`, tests of Alipay's SDK for Node, 2019).
    """
    is_gateway_message = bool(fields.get("msg_method")) or fields.get("notify_type", "") not in _NOTICES_WITH_FACTS
    rules = [(b"sign", b"sign_type")] + ([(b"sign",)] if is_gateway_message else [])
    for left_out in rules:
        kept = raw.copy()
        for name in left_out:
            kept.pop(name, None)
        yield canonical(kept.items())
        if b"" in kept.values():
            yield canonical((name, value) for name, value in kept.items() if value)


def _split(body: bytes) -> RawFields:
    """The form's fields, percent-decoded once and still in the sender's charset.

    A name that comes twice is refused: the signed text would be the same, and the reading another.
    """
    count = body.count(b"&") + 1
    if len(body) > MAX_BODY_BYTES or count > MAX_FIELDS:
        raise _refusal("larger than any notification")
    if not _FORM.fullmatch(body):
        raise _refusal("not a form as Alipay posts it")
    fields: RawFields = {}
    for pair in body.replace(b"+", b" ").split(b"&"):
        name, _, value = pair.partition(b"=")
        fields[name] = unquote_to_bytes(value) if b"%" in value else value
    if len(fields) != count:
        raise _refusal("a name comes twice")
    return fields


def _decoded(raw: RawFields) -> dict[str, str]:
    named = raw.get(b"charset", b"utf-8").decode("latin-1").lower()
    codec = CHARSETS.get(named)
    if codec is None:
        raise _refusal("a charset that Alipay does not use")
    fields: dict[str, str] = {}
    try:
        for name, value in raw.items():
            fields[name.decode("ascii")] = value.decode(codec)
    except UnicodeDecodeError:
        raise _refusal("not written in the charset that it names") from None
    return fields


def _hint(fields: Mapping[str, str]) -> Ref | None:
    ours, agreed = fields.get("out_trade_no", ""), fields.get("external_agreement_no", "")
    if _OUR_NUMBER.fullmatch(ours):
        return Ref(ours=ours)
    return Ref(our_agreement=agreed) if _OUR_NUMBER.fullmatch(agreed) else None


def _refusal(message: str, hint: Ref | None = None) -> Forged:
    return Forged(message, hint=hint, reply=FAIL)
