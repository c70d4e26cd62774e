"""Trade bills by API v2 (`/pay/downloadbill`). Nothing in the answer is signed, so a bill is only a list of what to ask
about: each of its rows is told as WeChat Pay's signed answer about it tells it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from app.providers import Clock, Fact, Kind, Ref
from plugins.wechat.bills.file import MAX_FILE_BYTES
from plugins.wechat.bills.pages import being_made
from plugins.wechat.bills.reading import fact_of
from plugins.wechat.bills.rows import Row
from plugins.wechat.documents import Unreadable
from plugins.wechat.merchant import Merchant
from plugins.wechat.outcomes import readable
from plugins.wechat.v2.client import V2Client, not_looked_at
from plugins.wechat.v2.xml import parse_xml

PATH = "pay/downloadbill"
NO_TRADES = "no bill exist"
"""`return_msg`, whose capitals differ from page to page."""
BEING_MADE = "bill creating"
Query = Callable[[Ref], tuple[Fact, ...]]


def fetch_bill(client: V2Client, clock: Clock, day: date) -> bytes | None:
    """The bill of a Beijing day; None if nothing was paid or refunded on it. Raises Retryable while it is being
    made."""
    content = client.download(PATH, {"bill_date": f"{day:%Y%m%d}", "bill_type": "ALL"}, MAX_FILE_BYTES)
    if not content.lstrip().startswith(b"<"):
        return content
    message = readable(parse_xml, content).get("return_msg", "")
    if message.lower() == NO_TRADES:
        return None
    raise being_made(clock.now(), "Bill Creating") if message.lower() == BEING_MADE else not_looked_at(message)


def confirmed(row: Row, merchant: Merchant, query: Query) -> tuple[Fact, ...]:
    """What WeChat Pay says, signed, about the payment or refund that the row names. Raises Unreadable if it
    says otherwise: then one of the two is wrong, and a person has to look."""
    named = fact_of(row, merchant)
    facts = query(Ref(refund=named.ref.refund) if named.ref.refund else Ref(theirs=named.ref.theirs))
    about = [fact for fact in facts if (fact.ref.theirs, fact.ref.refund) == (named.ref.theirs, named.ref.refund)]
    if not about or (named.kind is Kind.PAID and about[0].kind is not Kind.PAID):
        raise Unreadable("the bill names what WeChat Pay's own answer does not confirm")
    return tuple(about)
