"""From a row of a fund flow bill to a line.

Words after the official page (2024-11-25), which says that both lists may grow. A payment is a row of its gross amount
and a row of its fee, a refund a row of its gross amount and a row of the fee that came back; a single net row, whose
remark names the fee, is read as well (no published file decides whether such rows exist).
"""

from __future__ import annotations

import re
from decimal import Decimal
from hashlib import blake2b

from app.domain.bill_lines import BillLine, LineKind
from plugins.wechat.bills.fund_rows import (
    AMOUNT,
    BALANCE,
    BOOKED_AT,
    BUSINESS_NUMBER,
    COMES_IN,
    DIRECTION,
    FLOW_NUMBER,
    NAME,
    REMARK,
    VOUCHER,
    WORD,
)
from plugins.wechat.bills.table import Row, minor_units
from plugins.wechat.documents import CNY, beijing, lenient_text, text

_TRADE, _REFUND = "交易", "退款"
_IN_AND_OUT = {
    _TRADE: (LineKind.PAYMENT, LineKind.ADJUSTMENT),
    _REFUND: (LineKind.ADJUSTMENT, LineKind.REFUND),
    "退款关闭": (LineKind.ADJUSTMENT, LineKind.ADJUSTMENT),
    "提现": (LineKind.PAYOUT, LineKind.PAYOUT),
    "充值": (LineKind.TRANSFER, LineKind.TRANSFER),
    "充值/提现": (LineKind.TRANSFER, LineKind.PAYOUT),
    "企业付款": (LineKind.TRANSFER, LineKind.TRANSFER),
    "分账": (LineKind.SHARE, LineKind.SHARE),
}
"""What a word means where the money comes in, and where it goes out. A payout that comes in was sent back by the
bank."""
_NAMES_ALONE = frozenset({"充值/提现", "企业付款", "分账"})
"""业务名称 that tell the kind where 业务类型 is a word that we do not know. Of payments and refunds they do not: what
is new there may be anything."""
_FEE = "手续费"
_SUMMED = re.compile(r"(?:结算|退款)总金额 ?([0-9]{1,15}\.[0-9]{2}) ?元 ?[;；] ?含手续费 ?([0-9]{1,15}\.[0-9]{2}) ?元")
"""The remark on payments and refunds (published files of 2021), whose first amount is the gross one."""
_TRANSACTION = re.compile(r"4[0-9]{27}", re.ASCII)
"""A payment's number. 资金流水单号 of a refund is that of its payment (file of 2021), or another number (file of
2018)."""
_OUR_ALPHABET = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}", re.ASCII)
"""Of order and refund numbers. Other signs may stand there escaped (page of 2024-11-25), so they name nothing."""
_LONGEST_WORD = 64


def fund_line(row: Row, account_type: str) -> BillLine:
    """What the row says. Its key is a hash of all that stands in it: no number of this bill is unique. Raises
    Unreadable."""
    sign = 1 if row[DIRECTION] == COMES_IN else -1
    kind = _kind(row)
    moved = minor_units(row, AMOUNT, CNY) * sign
    gross, fee = _gross_and_fee(row, moved) if kind in (LineKind.PAYMENT, LineKind.REFUND) else (moved, 0)
    ours, theirs, refund, related = _numbers(row, kind)
    words = dict.fromkeys(filter(None, (lenient_text(row, NAME), lenient_text(row, WORD))))
    return BillLine(
        key=_key(row, account_type),
        kind=kind,
        at=beijing(text(row, BOOKED_AT), BOOKED_AT),
        amount_minor=gross,
        currency=CNY,
        fee_minor=fee,
        balance_minor=minor_units(row, BALANCE, CNY) if row[BALANCE].strip() else None,
        ours=ours,
        theirs=theirs,
        refund=refund,
        related=related,
        word=" ".join(words)[:_LONGEST_WORD],
        note=row[REMARK].strip() if _SUMMED.fullmatch(row[REMARK].strip()) else "",
    )


def _kind(row: Row) -> LineKind:
    comes_in = row[DIRECTION] == COMES_IN
    word = row[WORD].strip()
    if _FEE in word:
        return LineKind.FEE_RETURN if comes_in else LineKind.FEE
    if word not in _IN_AND_OUT and row[NAME] in _NAMES_ALONE:
        word = row[NAME]
    if_in, if_out = _IN_AND_OUT.get(word, (LineKind.OTHER, LineKind.OTHER))
    return if_in if comes_in else if_out


def _gross_and_fee(row: Row, moved: int) -> tuple[int, int]:
    """The gross amount and the fee in it. A gross row has its fee in a row of its own: then 0."""
    match = _SUMMED.fullmatch(row[REMARK].strip())
    if match is None:
        return moved, 0
    gross, fee = (int(Decimal(each).scaleb(2)) for each in match.groups())
    if abs(moved) != gross - fee:
        return moved, 0
    return (gross, -fee) if moved > 0 else (-gross, fee)


def _numbers(row: Row, kind: LineKind) -> tuple[str | None, str | None, str | None, str | None]:
    """Our number, theirs, the refund's, and the related one."""
    voucher = row[VOUCHER] if _OUR_ALPHABET.fullmatch(row[VOUCHER]) else None
    business = row[BUSINESS_NUMBER] if _OUR_ALPHABET.fullmatch(row[BUSINESS_NUMBER]) else None
    if row[NAME] == _TRADE:
        return voucher, business, None, None
    if row[NAME] == _REFUND:
        flow = row[FLOW_NUMBER]
        return None, flow if _TRANSACTION.fullmatch(flow) else None, voucher, None
    return None, None, None, business


def _key(row: Row, account_type: str) -> str:
    content = "\x1f".join([account_type, *row.values()])
    return f"{account_type}/{blake2b(content.encode(), digest_size=20).hexdigest()}"
