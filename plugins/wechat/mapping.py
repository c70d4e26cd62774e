"""WeChat Pay's words as data. Source of the words: the official tables of both generations, as of 2026-03.

The same code is spelt differently by different endpoints and over the years (`ORDER_CLOSED`, `ORDERCLOSED`); both
spellings are listed.
"""

from __future__ import annotations

from app.providers import Declined, Ending, Kind, Misconfigured, ProviderError, Refusal, Retryable, Unknown

TRADE_STATES: dict[str, Kind] = {
    "SUCCESS": Kind.PAID,
    # Paid, and refunded at least in part since: `says_refunded`. Still a paid order; refunds are facts of their own.
    "REFUND": Kind.PAID,
    # A payer may be in the cashier at this moment, even after time_expire: only CLOSED is final.
    "NOTPAY": Kind.PENDING,
    "CLOSED": Kind.CLOSED,
    # The next three belong to bar code payments, which we never make. Revoked ones can never be paid again.
    "REVOKED": Kind.CLOSED,
    "USERPAYING": Kind.PENDING,
    # The number may be paid by another attempt as long as the order is not closed, so nothing is final about it.
    "PAYERROR": Kind.PENDING,
    # v2 only: a deduction was accepted and waits.
    "ACCEPT": Kind.PENDING,
}
"""`trade_state`. A word that is not here means PENDING."""

DEDUCTION_TRADE_TYPE = "PAP"
DEDUCTION_STATES: dict[str, Kind] = TRADE_STATES | {
    # A deduction is tried by WeChat Pay alone: there is no cashier in which somebody could try again.
    "PAYERROR": Kind.FAILED,
}
"""`trade_state` of a deduction under an auto-debit agreement."""

CONTRACT_ENDINGS: dict[str, Ending] = {
    "1": Ending.TIME,
    "2": Ending.PAYER,
    "3": Ending.US,  # by our call
    "4": Ending.US,  # on the merchant site
    "5": Ending.PROVIDER,  # the payer's WeChat account was closed
    # v3's words for them.
    "OVERDUE_TERMINATE": Ending.TIME,
    "USER_TERMINATE": Ending.PAYER,
    "MERCHANT_TERMINATE": Ending.US,
    "MERCHANT_API_TERMINATE": Ending.US,
    "MERCHANT_PLATFORM_TERMINATE": Ending.US,
    "USER_ACCOUNT_TERMINATE": Ending.PROVIDER,
}
"""`contract_termination_mode`. A word that is not here says nothing."""
CONTRACT_CHANGES: dict[str, Kind] = {"ADD": Kind.SIGNED, "DELETE": Kind.ENDED}
"""`change_type` of v2's notification of a contract."""
CONTRACT_STATES: dict[str, Kind] = {
    "0": Kind.SIGNED,  # v2; "1" is ended or never signed: the times tell
    "SIGNED": Kind.SIGNED,
    "TO_BE_RENEWED": Kind.SIGNED,
    "TERMINATED": Kind.ENDED,
    "SIGN_FAILED": Kind.FAILED,
}
"""`contract_state`. A word that is not here means PENDING."""

REFUND_STATES: dict[str, Kind] = {
    "PROCESSING": Kind.REFUND_PENDING,
    "SUCCESS": Kind.REFUNDED,
    "CLOSED": Kind.REFUND_FAILED,
    "REFUNDCLOSE": Kind.REFUND_FAILED,  # v2's word for CLOSED
    # The payer's card cannot take it, and the money is with the merchant: failed by now, but not for good. A person may
    # send it on, days later, under the same number and often without a notification (wechatpay-go #275, WxJava #2737).
    # The core asks about failed refunds for a month, and a later SUCCESS counts; see `v3.reading.failed_at` for when.
    "ABNORMAL": Kind.REFUND_FAILED,
    "CHANGE": Kind.REFUND_FAILED,  # v2's word for ABNORMAL
}
"""`status`, `refund_status`, `refund_status_$n`. A word that is not here means REFUND_PENDING."""

BILL_REFUND = "REFUND"
"""交易状态 of the row of a refund. In a query the same word is the state of a payment that was refunded since."""
BILL_STATES: dict[str, Kind] = {
    "SUCCESS": Kind.PAID,
    "REVOKED": Kind.CLOSED,  # bar code payments, which we never make
}
"""交易状态 of the other rows. A word that is not here means PENDING."""
BILL_REFUND_STATES: dict[str, Kind] = REFUND_STATES | {
    "FAIL": Kind.REFUND_FAILED,  # bills' word for CLOSED
}
"""退款状态. A word that is not here means REFUND_PENDING."""

PAID_CODES = frozenset({"ORDERPAID", "ORDER_PAID", "OUT_TRADE_NO_USED"})
"""The number is taken by a payment that went through: ask what happened to it."""
CLOSED_CODES = frozenset({"ORDER_CLOSED", "ORDERCLOSED"})
MISSING_CODES = frozenset({"ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS", "REFUNDNOTEXIST"})

MISSING_CONTRACT_CODES = frozenset(
    {"CONTRACT_NOT_EXIST", "CONTRACT_NOT_EXISTS", "CONTRACTNOTEXIST", "RESOURCE_NOT_EXISTS", "CONTRACT_NOT_FOUND"}
)
ENDED_CONTRACT_CODES = frozenset({"CONTRACT_TERMINATED", "CONTRACT_ALREADY_TERMINATED", "CONTRACT_HAS_TERMINATED"})

CHARGE_REFUSALS: dict[str, Refusal] = {
    "NOTENOUGH": Refusal.NO_MONEY,
    "NOT_ENOUGH": Refusal.NO_MONEY,
    "BANKERROR": Refusal.NO_MONEY,  # no card of the payer's could be charged
    "BANK_ERROR": Refusal.NO_MONEY,
    "RULELIMIT": Refusal.OVER_LIMIT,
    "RULE_LIMIT": Refusal.OVER_LIMIT,
    **dict.fromkeys(MISSING_CONTRACT_CODES - {"RESOURCE_NOT_EXISTS"}, Refusal.AGREEMENT_GONE),
    **dict.fromkeys(ENDED_CONTRACT_CODES, Refusal.AGREEMENT_GONE),
    "CONTRACTERROR": Refusal.AGREEMENT_GONE,
    "CONTRACT_ERROR": Refusal.AGREEMENT_GONE,
}
"""Why a deduction failed or was refused, by `err_code` or `code`; OTHER for the rest."""
UNDECIDED_REFUSALS = frozenset({"BANKERROR", "BANK_ERROR"})
"""In the answer to a request they leave it unknown; in the word on a deduction that failed they are the reason."""

ERRORS: dict[str, type[ProviderError]] = {
    "PARAM_ERROR": Declined,
    "OPENID_MISMATCH": Declined,
    "ORDER_CLOSED": Declined,
    "ORDERCLOSED": Declined,
    "RULE_LIMIT": Declined,
    "RULELIMIT": Declined,
    "TRADE_ERROR": Declined,
    "ACCOUNT_ERROR": Declined,
    "USER_ACCOUNT_ABNORMAL": Declined,
    "ORDER_NOT_EXIST": Declined,
    "ORDERNOTEXIST": Declined,
    "RESOURCE_NOT_EXISTS": Declined,
    "TRADE_OVERDUE": Declined,  # paid more than a year ago
    "INVALID_TRANSACTIONID": Declined,
    # The merchant's balance is short: after topping up, the same refund number goes through.
    "NOT_ENOUGH": Retryable,
    "NOTENOUGH": Retryable,
    "FREQUENCY_LIMITED": Retryable,
    "FREQUENCY_LIMIT_EXCEED": Retryable,
    "INVALID_REQ_TOO_MUCH": Retryable,  # too many wrong requests before it: shut out for a minute
    "ORDER_NOT_READY": Retryable,  # the order is being worked on and cannot be refunded right now
    "SIGN_ERROR": Misconfigured,
    "SIGNERROR": Misconfigured,
    "NO_AUTH": Misconfigured,
    "NOAUTH": Misconfigured,
    "MCH_NOT_EXISTS": Misconfigured,
    "MCHID_NOT_EXIST": Misconfigured,
    "APPID_NOT_EXIST": Misconfigured,
    "APPID_MCHID_NOT_MATCH": Misconfigured,
    "LACK_PARAMS": Misconfigured,
    "XML_FORMAT_ERROR": Misconfigured,
    "NOT_UTF8": Misconfigured,
    "REQUIRE_POST_METHOD": Misconfigured,
    "POST_DATA_EMPTY": Misconfigured,
    "CERT_ERROR": Misconfigured,
    # INVALID_REQUEST also answers a repeated number whose first request went through: it proves nothing.
    "INVALID_REQUEST": Unknown,
    "SYSTEM_ERROR": Unknown,
    "SYSTEMERROR": Unknown,
    "BANK_ERROR": Unknown,
    # v2 refunds, where the advice is to repeat the very same request, or there is none.
    "BIZERR_NEED_RETRY": Unknown,
    "REFUND_FEE_MISMATCH": Unknown,
    "ERROR": Unknown,
    "USERPAYING": Unknown,
    "USER_PAYING": Unknown,
}
"""What a refused call means. A code that is not here means Unknown."""

FINAL_TEXTS = ("订单已全额退款",)
"""v2's `ERROR` has its reason in `err_code_des` only. With one of these in it, it is a definite no."""


def kind_of_trade(state: str, trade_type: str) -> Kind:
    states = DEDUCTION_STATES if trade_type == DEDUCTION_TRADE_TYPE else TRADE_STATES
    return states.get(state, Kind.PENDING)


def says_refunded(state: str) -> bool:
    """Whether a payment's state says that money of it went back, or is on its way, without saying how much."""
    return state == "REFUND"


def kind_of_refund(status: str) -> Kind:
    return REFUND_STATES.get(status, Kind.REFUND_PENDING)


def refusal_of(code: str) -> Refusal:
    return CHARGE_REFUSALS.get(code, Refusal.OTHER)


def error_for(code: str) -> type[ProviderError]:
    return ERRORS.get(code, Unknown)
