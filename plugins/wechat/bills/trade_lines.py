"""From a row of a trade bill to a line: the money columns in our direction, and the numbers that it is matched by.

Columns and signs after the official page (2024-11-25) and published bills: the fee of a payment stands there without a
sign, that of a refund with a minus when it is given back.
"""

from __future__ import annotations

from datetime import datetime

from app.domain.bill_lines import BillLine, LineKind
from plugins.wechat.bills.reading import is_refund, row_time
from plugins.wechat.bills.rows import ASKED_BACK, FEE, ORDERED, RETURNED, SETTLED
from plugins.wechat.bills.table import Row, minor_units
from plugins.wechat.documents import Unreadable, beijing, lenient_text, text

PAID, REVOKED = "SUCCESS", "REVOKED"
DONE = "SUCCESS"
"""退款状态 of a refund that has arrived. Every other word is that of the morning on which the bill was made: what
becomes of the refund later is in no bill."""
ASKED_AT = "退款申请时间"
"""Of REFUND bills, whose 交易时间 is mostly the payment's (two of three published files)."""
_KINDS = {PAID: LineKind.PAYMENT, REVOKED: LineKind.ADJUSTMENT}
_LONGEST_WORD, _LONGEST_NOTE, _LONGEST_NUMBER = 64, 255, 64


def trade_line(row: Row) -> BillLine:
    """What the row says, under the key of its number. Raises Unreadable."""
    currency, state = row["货币种类"], text(row, "交易状态")
    refund = is_refund(row)
    ordered, settled = minor_units(row, ORDERED, currency), minor_units(row, SETTLED, currency)
    asked_back = minor_units(row, ASKED_BACK, currency) if ASKED_BACK in row else 0
    returned = minor_units(row, RETURNED, currency) if RETURNED in row else 0
    kind = LineKind.REFUND if refund else _KINDS.get(state, LineKind.OTHER)
    nothing = kind in (LineKind.PAYMENT, LineKind.REFUND) and ordered == asked_back
    if nothing or not 0 <= settled <= ordered or not 0 <= returned <= asked_back:
        raise Unreadable("amounts that do not go together")
    transaction = text(row, "微信订单号", _LONGEST_NUMBER)
    done = row["退款状态"] == DONE if refund else True
    return BillLine(
        key=f"refund/{text(row, '微信退款单号', _LONGEST_NUMBER)}" if refund else f"payment/{transaction}",
        kind=kind,
        at=line_time(row),
        amount_minor=ordered - asked_back,
        currency=currency,
        fee_minor=-minor_units(row, FEE, currency),
        discount_minor=(settled - ordered) + (asked_back - returned),
        ours=_number(row, "商户订单号"),
        theirs=transaction,
        refund=_number(row, "商户退款单号") if refund else None,
        undecided=not done,
        word=f"{state} {row['退款状态']}"[:_LONGEST_WORD] if refund else state[:_LONGEST_WORD],
        note=_rate(row)[:_LONGEST_NOTE],
    )


def _number(row: Row, name: str) -> str | None:
    """A number that the merchant gave, by us or another system. One that is no number of ours may be of any form, and
    spoils no row: the row has WeChat Pay's own number."""
    value = lenient_text(row, name)
    return value if value is not None and len(value) <= _LONGEST_NUMBER else None


def line_time(row: Row) -> datetime:
    """When the payment was made, or the refund asked for. Raises Unreadable."""
    if is_refund(row) and row.get(ASKED_AT, "").strip():
        return beijing(text(row, ASKED_AT).replace("：", ":"), ASKED_AT)
    return row_time(row)


def _rate(row: Row) -> str:
    """The rate of the fee, and the remark on it."""
    return " ".join(filter(None, (lenient_text(row, "费率"), lenient_text(row, "费率备注"))))
