"""Every result code: what it means for whoever called."""

from __future__ import annotations

import pytest

from app.providers import Declined, Misconfigured, ProviderError, Retryable, Unknown
from plugins.alipay.codes import CODES, SUB_CODES, error_type, failure, reason
from plugins.alipay.responses import Answer

# Copied from the documented lists, so that a slip in the tables is seen.
UNKNOWN = """
    SYSTEM_ERROR REFUND_CHARGE_ERROR TRADE_HAS_SUCCESS APPLY_PC_MERCHANT_CODE_ERROR TRADE_CANCEL_TIME_OUT
    CONTEXT_INCONSISTENT NOW_TIME_AFTER_EXPIRE_TIME_ERROR DISCORDANT_REPEAT_REQUEST
"""
RETRYABLE = "SELLER_BALANCE_NOT_ENOUGH SYSTEM_RATE_LIMIT USER_RATE_LIMIT BILL_NOT_EXIST NO_BILL_DATA"
MISCONFIGURED = "ACCESS_FORBIDDEN PARTNER_ERROR INVALID_PARAMETER MERCHANT_STATUS_NOT_NORMAL TYPE_NOT_SUPPORTED"
DECLINED = """
    TRADE_HAS_FINISHED TRADE_HAS_CLOSE TRADE_STATUS_ERROR TRADE_NOT_EXIST TRADE_NOT_ALLOW_REFUND BUYER_NOT_EXIST
    NOT_ALLOW_PARTIAL_REFUND REASON_TRADE_REFUND_FEE_ERR REFUND_AMT_NOT_EQUAL_TOTAL REASON_TRADE_BEEN_FREEZEN
    BUYER_ERROR TOTAL_FEE_EXCEED BUYER_SELLER_EQUAL EXIST_FORBIDDEN_WORD CANCEL_NOT_ALLOWED
    BEYOND_PAY_RESTRICTION REASON_TRADE_STATUS_INVALID REASON_ILLEGAL_STATUS
"""
EXPECTED = [
    *((word, Unknown) for word in UNKNOWN.split()),
    *((word, Retryable) for word in RETRYABLE.split()),
    *((word, Misconfigured) for word in MISCONFIGURED.split()),
    *((word, Declined) for word in DECLINED.split()),
]


@pytest.mark.parametrize(("word", "expected"), EXPECTED)
@pytest.mark.parametrize("prefix", ["", "ACQ.", "AQC.", "aop.ACQ."])
def test_a_sub_code_means_the_same_under_every_prefix(word: str, expected: type[ProviderError], prefix: str) -> None:
    assert error_type("40004", prefix + word, signed=True) is expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("10003", Unknown),
        ("20000", Unknown),
        ("20001", Misconfigured),
        ("40001", Misconfigured),
        ("40002", Misconfigured),
        ("40003", Misconfigured),
        ("40005", Retryable),
        ("40006", Misconfigured),
        ("49999", Unknown),
        ("", Unknown),
    ],
)
def test_a_code_means_what_its_page_says(code: str, expected: type[ProviderError]) -> None:
    assert error_type(code, "isv.whatever", signed=True) is expected


def test_an_unknown_sub_code_leaves_it_unknown() -> None:
    assert error_type("40004", "ACQ.SOMETHING_NEW", signed=True) is Unknown


@pytest.mark.parametrize("word", sorted(SUB_CODES))
def test_an_unsigned_business_failure_proves_nothing(word: str) -> None:
    assert error_type("40004", f"ACQ.{word}", signed=False) is Unknown


@pytest.mark.parametrize("code", sorted(CODES))
def test_an_unsigned_refusal_may_only_alarm(code: str) -> None:
    assert error_type(code, "", signed=False) in (Unknown, Misconfigured)


def test_the_error_names_the_code_and_nothing_else_of_the_answer() -> None:
    error = failure(Answer("40004", "ACQ.TRADE_HAS_CLOSE", signed=True, content={"sub_msg": "Li Lei's account"}))
    assert (type(error), error.code) == (Declined, "ACQ.TRADE_HAS_CLOSE")
    assert "Li Lei" not in str(error)


def test_a_code_with_odd_letters_cannot_write_into_a_log() -> None:
    error = failure(Answer("40002", "x\n" + "y" * 500, signed=False, content={}))
    assert "\n" not in str(error)
    assert len(str(error)) < 200


def test_prefixes_are_removed_only_in_front() -> None:
    assert reason("TRADE_ACQ.X") == "TRADE_ACQ.X"
