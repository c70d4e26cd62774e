"""Every row of the sandbox's tables, and what is too odd to be read."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.money import Money
from app.providers import Declined, Fact, Kind, Misconfigured, ProviderError, Ref, Retryable, Unknown
from plugins.sandbox.client import Answer
from plugins.sandbox.mapping import ERRORS, PAYMENT_STATUS, REFUND_STATUS, Unreadable, facts_of, moment, parsed, written

PAYMENT: dict[str, Any] = {
    "id": "sbx_1",
    "number": "42",
    "status": "PAID",
    "amount": 600,
    "currency": "CNY",
    "owner": "",
    "at": "2026-01-02T03:04:05Z",
}
REFUND: dict[str, Any] = {
    "number": "43",
    "payment_id": "sbx_1",
    "payment_number": "42",
    "status": "DONE",
    "amount": 100,
    "currency": "CNY",
    "at": "2026-01-03T00:00:00Z",
}


def facts(**document: Any) -> tuple[Fact, ...]:
    return facts_of({"merchant": "m-1", "live": False, **document})


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("WAITING", Kind.PENDING),
        ("PAID", Kind.PAID),
        ("FAILED", Kind.FAILED),
        ("CLOSED", Kind.CLOSED),
        ("TOMORROWS_WORD", Kind.PENDING),
    ],
)
def test_each_status_of_a_payment(word: str, kind: Kind) -> None:
    (fact,) = facts(payment=PAYMENT | {"status": word})
    assert fact.kind is kind
    assert fact.ref == Ref(ours="42", theirs="sbx_1")
    assert (fact.money, fact.at) == (Money(600, "CNY"), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert (fact.account, fact.live, fact.owner) == ("m-1", False, None)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("WAITING", Kind.REFUND_PENDING),
        ("DONE", Kind.REFUNDED),
        ("FAILED", Kind.REFUND_FAILED),
        ("REVERSED", Kind.REFUND_UNDONE),
        ("TOMORROWS_WORD", Kind.REFUND_PENDING),
    ],
)
def test_each_status_of_a_refund(word: str, kind: Kind) -> None:
    (fact,) = facts(refund=REFUND | {"status": word})
    assert (fact.kind, fact.money, fact.total, fact.share) == (kind, Money(100, "CNY"), None, None)
    assert fact.ref == Ref(ours="42", theirs="sbx_1", refund="43")


def test_the_tables_have_no_row_that_is_not_tested() -> None:
    assert set(PAYMENT_STATUS) == {"WAITING", "AUTHORIZED", "PAID", "FAILED", "CLOSED"}
    assert set(REFUND_STATUS) == {"WAITING", "DONE", "FAILED", "REVERSED"}
    assert set(ERRORS.values()) == {Declined, Retryable, Misconfigured, Unknown}


def test_a_payment_brings_its_refunds() -> None:
    assert [fact.kind for fact in facts(payment=PAYMENT | {"refunds": [REFUND]})] == [Kind.PAID, Kind.REFUNDED]


def test_another_event_says_nothing() -> None:
    assert facts(event="ping") == ()


@pytest.mark.parametrize(
    ("code", "error"),
    [("TOO_MUCH", Declined), ("BUSY", Retryable), ("NOT_AUTHENTIC", Misconfigured), ("TOMORROWS_CODE", Unknown)],
)
def test_an_error_code_is_raised_as_the_table_says(code: str, error: type[ProviderError]) -> None:
    with pytest.raises(error) as raised:
        Answer({}, error=code).document_or_raise()
    assert raised.value.code == code


@pytest.mark.parametrize(
    "body",
    [b'{"a":1,"a":1}', b'{"a":NaN}', b'{"a":-Infinity}', b"[]", b"", b"\xff", b'{"a":' * 100_000, b"9" * 5_000],
)
def test_an_ambiguous_document_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parsed(body)


@pytest.mark.parametrize("member", ["id", "number", "status", "amount", "currency", "at"])
def test_a_payment_without_a_member_is_unreadable(member: str) -> None:
    with pytest.raises(Unreadable, match=f"payment.{member}"):
        facts(payment={name: value for name, value in PAYMENT.items() if name != member})


def test_an_unreadable_document_is_not_quoted() -> None:
    with pytest.raises(Unreadable) as raised:
        facts(payment=PAYMENT | {"owner": "\x00 a private person"})
    assert "private" not in str(raised.value)
    assert raised.value.__cause__ is None
    json.dumps(str(raised.value))


@pytest.mark.parametrize("text", [0, "0", "2026-01-02", "2026-01-02T03:04:05+08:00", "2026-02-30T00:00:00Z", None])
def test_only_one_spelling_of_a_moment_is_read(text: object) -> None:
    with pytest.raises(ValueError, match=r"moment|day|does not match"):
        moment(text)


def test_a_moment_written_is_read_again() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert moment(written(now)) == now
