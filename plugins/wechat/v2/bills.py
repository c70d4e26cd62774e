"""Bills by API v2. Nothing in the answer is signed. So a trade bill (`/pay/downloadbill`) is, for facts, only a list of
what to ask about: each of its rows is told as WeChat Pay's signed answer about it tells it. A fund flow bill
(`/pay/downloadfundflow`) tells no facts; for it WeChat Pay wants to see the merchant's certificate.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from app.providers import ClientCertificate, Clock, Fact, Kind, Ref
from plugins.wechat.bills.days import being_made
from plugins.wechat.bills.file import MAX_FILE_BYTES
from plugins.wechat.bills.reading import fact_of
from plugins.wechat.bills.table import Row
from plugins.wechat.documents import Unreadable
from plugins.wechat.merchant import Merchant
from plugins.wechat.outcomes import readable
from plugins.wechat.refusal import Refusal
from plugins.wechat.v2.client import V2Client, not_looked_at
from plugins.wechat.v2.signing import SignType
from plugins.wechat.v2.xml import parse_xml

TRADES, FUNDS = "pay/downloadbill", "pay/downloadfundflow"
FUNDS_SIGN_TYPE: SignType = "HMAC-SHA256"
"""The only one that is taken there (page 4011987833)."""
NO_BILL = "no bill exist"
"""`return_msg`, whose capitals differ from page to page; of fund flow bills `err_code`, too, with underlines."""
BEING_MADE = "bill creating"
Query = Callable[[Ref], tuple[Fact, ...]]


def fetch_trade_bill(client: V2Client, clock: Clock, day: date) -> bytes | None:
    """The bill of a Beijing day; None if nothing was paid or refunded on it. Raises Retryable while it is being
    made."""
    content = client.download(TRADES, {"bill_date": f"{day:%Y%m%d}", "bill_type": "ALL"}, MAX_FILE_BYTES)
    return _file(content, clock)


def fetch_fund_bill(
    client: V2Client, clock: Clock, shown: ClientCertificate, account_type: str, day: date
) -> bytes | None:
    """The bill of a balance and a Beijing day; None if nothing moved on it. It raises what `fetch_trade_bill`
    raises."""
    fields = {"bill_date": f"{day:%Y%m%d}", "account_type": account_type.capitalize()}
    content = client.download(FUNDS, fields, MAX_FILE_BYTES, sign_type=FUNDS_SIGN_TYPE, certificate=shown)
    return _file(content, clock)


def _file(content: bytes, clock: Clock) -> bytes | None:
    """The file, or what is said in place of one."""
    if not content.lstrip().startswith(b"<"):
        return content
    fields = readable(parse_xml, content)
    message, code = fields.get("return_msg", ""), fields.get("err_code", "")
    words = {word.lower().replace("_", " ") for word in (message, code, fields.get("err_code_des", ""))}
    if NO_BILL in words:
        return None
    if BEING_MADE in words:
        raise being_made(clock.now(), "Bill Creating")
    if code and fields.get("return_code") == "SUCCESS":
        raise Refusal(code, "result_code FAIL", fields.get("err_code_des", "")).as_error()
    raise not_looked_at(message)


def confirmed(row: Row, merchant: Merchant, query: Query) -> tuple[Fact, ...]:
    """What WeChat Pay says, signed, about the payment or refund that the row names. Raises Unreadable if it
    says otherwise: then one of the two is wrong, and a person has to look."""
    named = fact_of(row, merchant)
    facts = query(Ref(refund=named.ref.refund) if named.ref.refund else Ref(theirs=named.ref.theirs))
    about = [fact for fact in facts if (fact.ref.theirs, fact.ref.refund) == (named.ref.theirs, named.ref.refund)]
    if not about or (named.kind is Kind.PAID and about[0].kind is not Kind.PAID):
        raise Unreadable("the bill names what WeChat Pay's own answer does not confirm")
    return tuple(about)
