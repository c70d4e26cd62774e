"""Notifications of API v2. Nothing here does I/O, and nothing carries a time: idempotent facts are all the protection
against replays that v2 allows.

Three kinds arrive at one address: payments and contracts, which are signed, and refunds, which are not (official page
9_16). What a refund notification says is never believed: the core is told to ask, and believes the answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.providers import Clock, Forged, Message, Received, Ref, Reply
from plugins.wechat.documents import Unreadable, text
from plugins.wechat.merchant import Merchant
from plugins.wechat.v2.contracts import CONTRACT_FIELDS, notified_contract
from plugins.wechat.v2.reading import notified_payment
from plugins.wechat.v2.signing import SignType, V2Key
from plugins.wechat.v2.xml import MAX_BYTES, parse_xml, write_xml


def reply(status: int, code: str, message: str) -> Reply:
    """v2's own answer: the `return_code` decides."""
    return Reply(status, "text/xml", write_xml({"return_code": code, "return_msg": message}))


ACCEPTED = reply(200, "SUCCESS", "OK")
NOT_STORED = reply(503, "FAIL", "not stored, send again")


class NotificationReader:
    """Reads what comes in for one merchant."""

    def __init__(self, merchant: Merchant, key: V2Key, sign_type: SignType, clock: Clock) -> None:
        self._merchant = merchant
        self._key = key
        self._sign_type = sign_type
        self._clock = clock

    def read(self, message: Message) -> Received:
        """Facts, or what to ask about, and the reply. Raises Forged for what is not authentic or not readable."""
        try:
            if message.source != "notification":
                raise Unreadable("not a notification")
            fields = parse_xml(message.body)
            if "req_info" in fields and "sign" not in fields:
                return self._refund_to_ask_about(fields)
            if not self._key.verify(fields, self._sign_type):
                raise Forged("notification refused: the signature is wrong", reply=reply(401, "FAIL", "sign error"))
            return self._read_signed(fields)
        except Unreadable as error:
            raise Forged(f"notification refused: {error}", reply=reply(400, "FAIL", "unreadable")) from None

    def _read_signed(self, fields: Mapping[str, str]) -> Received:
        if all(map(fields.get, CONTRACT_FIELDS)):
            return Received((notified_contract(fields, self._merchant),), ACCEPTED, NOT_STORED)
        fact = notified_payment(fields, self._merchant, self._clock.now())
        return Received(facts=(fact,), reply=ACCEPTED, failure=NOT_STORED)

    def _refund_to_ask_about(self, fields: Mapping[str, str]) -> Received:
        """Only what opens under our key and names our merchant is asked about, so that not just anybody can make us."""
        if self._merchant.account_of(text(fields, "mch_id"), text(fields, "appid")) != self._merchant.account:
            raise Unreadable("a refund of another merchant")
        refund = parse_xml(self._key.open_refund(text(fields, "req_info", MAX_BYTES)), root="root")
        ask = Ref(
            ours=text(refund, "out_trade_no"),
            theirs=text(refund, "transaction_id"),
            refund=text(refund, "out_refund_no"),
        )
        return Received(facts=(), asks=(ask,), reply=ACCEPTED, failure=NOT_STORED)
