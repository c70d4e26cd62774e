"""What the gateway's result codes mean to us, as tables: did it happen, may it have happened, is a person needed?

Sources: opendocs.alipay.com common/02km9f (general codes) and the pages of the single methods, read 2026-09
(deductions: 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.providers import Declined, Misconfigured, ProviderError, Refusal, Retryable, Unknown
from plugins.alipay.responses import Answer

ErrorType = type[ProviderError]

CODES: Mapping[str, ErrorType] = {
    "10003": Unknown,  # waiting for the payer to confirm
    "20000": Unknown,  # isp.unknow-error, aop.unknow-error (their spelling): ask, or repeat with the same numbers
    "20001": Misconfigured,  # authorisation token
    "40001": Misconfigured,  # a parameter is missing: an error of ours
    "40002": Misconfigured,  # a parameter is wrong: signature, app id, timestamp, suspected attack, app not online
    "40003": Misconfigured,  # no key was uploaded for this app
    "40005": Retryable,  # called too often
    "40006": Misconfigured,  # the product was not signed for, or no permission
}
"""By `code`. 40004 is a business failure: SUB_CODES tells. Any code that is not here is Unknown."""

BUSINESS_FAILURE = "40004"

NOT_EXIST = frozenset({"TRADE_NOT_EXIST"})
"""No such trade *yet*: the payer has not scanned, logged in or confirmed, and may still do so."""
NOT_OPEN = frozenset(
    {
        "TRADE_STATUS_ERROR",
        "REASON_TRADE_STATUS_INVALID",
        "REASON_ILLEGAL_STATUS",
        "TRADE_HAS_SUCCESS",  # these three are not on the page of close; they would say the same
        "TRADE_HAS_CLOSE",
        "TRADE_HAS_FINISHED",
    }
)
"""To a close: the trade is not waiting for its payer, so it is paid, closed or finished. Ask which."""
NO_SUCH_AGREEMENT = frozenset({"USER_AGREEMENT_NOT_EXIST"})
ALREADY_ENDED = frozenset({"AGREEMENT_HAS_UNSIGNED"})
PAID_BEFORE = frozenset({"TRADE_HAS_SUCCESS"})
WRONG_DATE = frozenset({"CYCLE_PAY_DATE_NOT_MATCH"})
"""To a deduction: today is not within the five days before its planned date."""
NO_BILL = frozenset({"BILL_NOT_EXIST", "NO_BILL_DATA"})

SUB_CODES: Mapping[str, ErrorType] = {
    # It may have happened.
    "SYSTEM_ERROR": Unknown,
    "REFUND_CHARGE_ERROR": Unknown,  # refund: repeat with the same number and amount
    "TRADE_HAS_SUCCESS": Unknown,  # already paid, so a query tells the rest
    "APPLY_PC_MERCHANT_CODE_ERROR": Unknown,  # precreate repeated: the QR code stands in the first, lost answer
    "DISCORDANT_REPEAT_REQUEST": Unknown,  # a refund of this number exists, with another amount: see what it came to
    "TRADE_CANCEL_TIME_OUT": Unknown,
    "CONTEXT_INCONSISTENT": Unknown,  # our number exists with other content: an earlier attempt, so see what it came to
    "NOW_TIME_AFTER_EXPIRE_TIME_ERROR": Unknown,  # too late for this request; an earlier one may have been paid
    # It did not happen, and may be tried again.
    "SELLER_BALANCE_NOT_ENOUGH": Retryable,  # refund: the merchant's balance is short today
    "SYSTEM_RATE_LIMIT": Retryable,
    "USER_RATE_LIMIT": Retryable,
    "BILL_NOT_EXIST": Retryable,  # not ready yet: bills come the next morning
    "NO_BILL_DATA": Retryable,
    # A definite no.
    "TRADE_NOT_EXIST": Declined,
    "TRADE_STATUS_ERROR": Declined,  # refund: unpaid
    "REASON_TRADE_STATUS_INVALID": Declined,
    "REASON_ILLEGAL_STATUS": Declined,
    "TRADE_HAS_CLOSE": Declined,
    "TRADE_HAS_FINISHED": Declined,  # refund: its window is over
    "TRADE_NOT_ALLOW_REFUND": Declined,
    "NOT_ALLOW_PARTIAL_REFUND": Declined,
    "REASON_TRADE_REFUND_FEE_ERR": Declined,  # refund: more than is left
    "REFUND_AMT_NOT_EQUAL_TOTAL": Declined,
    "REASON_TRADE_BEEN_FREEZEN": Declined,
    "BUYER_ERROR": Declined,
    "BUYER_NOT_EXIST": Declined,
    "CANCEL_NOT_ALLOWED": Declined,
    "TOTAL_FEE_EXCEED": Declined,
    "BUYER_SELLER_EQUAL": Declined,
    "EXIST_FORBIDDEN_WORD": Declined,
    "BEYOND_PAY_RESTRICTION": Declined,
    "USER_AGREEMENT_NOT_EXIST": Declined,
    "AGREEMENT_HAS_UNSIGNED": Declined,
    "AGREEMENT_NOT_EXIST": Declined,
    "AGREEMENT_INVALID": Declined,
    "AGREEMENT_STATUS_NOT_NORMAL": Declined,
    "AGREEMENT_ERROR": Declined,
    "CYCLE_PAY_DATE_NOT_MATCH": Declined,
    "CYCLE_PAY_SINGLE_FEE_EXCEED": Declined,
    "CYCLE_PAY_TOTAL_FEE_EXCEED": Declined,
    "CYCLE_PAY_TOTAL_TIMES_EXCEED": Declined,
    "BUYER_BALANCE_NOT_ENOUGH": Declined,  # a deduction: later, but under a new number
    "BUYER_BANKCARD_BALANCE_NOT_ENOUGH": Declined,
    "NO_PAYMENT_INSTRUMENTS_AVAILABLE": Declined,
    "ERROR_BALANCE_PAYMENT_DISABLE": Declined,
    "BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR": Declined,
    "BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR": Declined,
    "BEYOND_PER_RECEIPT_RESTRICTION": Declined,
    "BEYOND_PER_RECEIPT_SINGLE_RESTRICTION": Declined,
    "BEYOND_PER_RECEIPT_DAY_RESTRICTION": Declined,
    "PRODUCT_AMOUNT_LIMIT_ERROR": Declined,
    "BUYER_ENABLE_STATUS_FORBID": Declined,
    "ERROR_BUYER_CERTIFY_LEVEL_LIMIT": Declined,
    "PAYMENT_REQUEST_HAS_RISK": Declined,
    "PAYMENT_FAIL": Declined,
    "MOBILE_PAYMENT_SWITCH_OFF": Declined,
    "PULL_MOBILE_CASHIER_FAIL": Declined,
    "TRADE_BUYER_NOT_MATCH": Declined,
    "BILL_DATE_BEFORE_REGISTRATION": Declined,
    # A person has to change something.
    "ACCESS_FORBIDDEN": Misconfigured,
    "PARTNER_ERROR": Misconfigured,
    "MERCHANT_STATUS_NOT_NORMAL": Misconfigured,
    "MERCHANT_AGREEMENT_NOT_EXIST": Misconfigured,  # the merchant's own contract on the product
    "MERCHANT_AGREEMENT_INVALID": Misconfigured,
    "SELLER_BEEN_BLOCKED": Misconfigured,
    "INVALID_PARAMETER": Misconfigured,
    "RISK_MERCHANT_IP_NOT_EXIST": Misconfigured,  # this merchant has to send the payer's IP: extra.client_ip
    "TYPE_NOT_SUPPORTED": Misconfigured,
    "INVAILID_ARGUMENTS": Misconfigured,  # their spelling, on the bill page
}
"""By `sub_code` without its prefixes. Any that is not here is Unknown."""

DEDUCTION_REFUSALS: Mapping[str, Refusal] = {
    "BUYER_BALANCE_NOT_ENOUGH": Refusal.NO_MONEY,
    "BUYER_BANKCARD_BALANCE_NOT_ENOUGH": Refusal.NO_MONEY,
    "NO_PAYMENT_INSTRUMENTS_AVAILABLE": Refusal.NO_MONEY,
    "ERROR_BALANCE_PAYMENT_DISABLE": Refusal.NO_MONEY,  # the payer switched paying from the balance off
    "CYCLE_PAY_SINGLE_FEE_EXCEED": Refusal.OVER_LIMIT,
    "CYCLE_PAY_TOTAL_FEE_EXCEED": Refusal.OVER_LIMIT,
    "CYCLE_PAY_TOTAL_TIMES_EXCEED": Refusal.OVER_LIMIT,
    "TOTAL_FEE_EXCEED": Refusal.OVER_LIMIT,
    "BEYOND_PAY_RESTRICTION": Refusal.OVER_LIMIT,
    "BEYOND_PER_RECEIPT_RESTRICTION": Refusal.OVER_LIMIT,
    "BEYOND_PER_RECEIPT_SINGLE_RESTRICTION": Refusal.OVER_LIMIT,
    "BEYOND_PER_RECEIPT_DAY_RESTRICTION": Refusal.OVER_LIMIT,
    "BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR": Refusal.OVER_LIMIT,
    "BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR": Refusal.OVER_LIMIT,
    "PRODUCT_AMOUNT_LIMIT_ERROR": Refusal.OVER_LIMIT,
    "CYCLE_PAY_DATE_NOT_MATCH": Refusal.NOT_NOW,
    "AGREEMENT_NOT_EXIST": Refusal.AGREEMENT_GONE,
    "AGREEMENT_INVALID": Refusal.AGREEMENT_GONE,
    "AGREEMENT_STATUS_NOT_NORMAL": Refusal.AGREEMENT_GONE,
    "AGREEMENT_ERROR": Refusal.AGREEMENT_GONE,
    "USER_AGREEMENT_NOT_EXIST": Refusal.AGREEMENT_GONE,
}
"""Why a charge under an agreement was refused, by `sub_code` without its prefixes; OTHER for the rest."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)
_LONGEST = 64
_PREFIXES = ("aop.", "ACQ.", "AQC.")
"""`AQC.` is a misspelling in one of Alipay's enumerations; some methods add `aop.`, some leave `ACQ.` away."""


def reason(sub_code: str) -> str:
    """The sub code without its prefixes."""
    for prefix in _PREFIXES:
        sub_code = sub_code.removeprefix(prefix)
    return sub_code


def business_reason(answer: Answer) -> str:
    """The sub code of a business failure, without its prefixes; empty for every other answer."""
    return reason(answer.sub_code) if answer.code == BUSINESS_FAILURE else ""


def error_type(code: str, sub_code: str, *, signed: bool) -> ErrorType:
    """Which error an answer without success is.

    An unsigned answer could come from anybody, so it proves nothing about the payment: it may only alarm a person.
    """
    kind = SUB_CODES.get(reason(sub_code), Unknown) if code == BUSINESS_FAILURE else CODES.get(code, Unknown)
    return kind if signed or (kind is Misconfigured and code != BUSINESS_FAILURE) else Unknown


def failure(answer: Answer) -> ProviderError:
    """The error that the answer stands for. Its text names codes only: `sub_msg` may repeat a person's data."""
    kind = error_type(answer.code, answer.sub_code, signed=answer.signed)
    code, sub_code = (_UNSAFE.sub("?", text)[:_LONGEST] for text in (answer.code, answer.sub_code))
    text = f"the gateway answers {code} {sub_code}".rstrip()
    if kind is Declined:
        return Declined(text, code=sub_code or code, refusal=DEDUCTION_REFUSALS.get(reason(answer.sub_code)))
    return kind(text, code=sub_code or code)
