"""A fact as it is stored: only what was told, and the same fact again when it is read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from app.domain.facts import Fact, Kind, Ref, Told, completed, content_of, contradictions, fact_of, told_by
from app.domain.money import Money

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FACT = Fact(Kind.PAID, Ref(ours="4097", theirs="T-1"), NOW, Money(600, "CNY"), account="m-1", live=False)
WHOLE = replace(
    FACT,
    ref=Ref("4097", "T-1", "R-1", "A-1", "8193"),
    total=Money(900, "CNY"),
    share=0,
    product="",
    quantity=0,
    fee=Money(0, "CNY"),
    occurrence="2",
    refunds_unknown=True,
    renews=False,
    cause="why",
    period_end=NOW,
    price=Money(0, "JPY"),
    storefront="JP",
)


def test_what_is_stored_is_what_was_told_and_nothing_else() -> None:
    told = {"ours": "4097", "theirs": "T-1", "amount_minor": 600, "currency": "CNY", "account": "m-1", "live": False}
    assert told_by(FACT) == told
    assert told_by(FACT)["refund"] is None


def test_the_fact_that_is_read_is_the_one_that_was_told_whether_nothing_is_left_out_or_null() -> None:
    for fact in (FACT, WHOLE):
        assert fact_of(fact.kind, NOW, told_by(fact), {}) == fact == fact_of(fact.kind, NOW, content_of(fact), {})
    assert {"share": 0, "product": "", "quantity": 0, "fee_minor": 0, "renews": False}.items() <= told_by(WHOLE).items()


def test_a_later_telling_adds_what_it_says_and_leaves_an_older_row_as_it_is_spelt() -> None:
    for first in (told_by(FACT), Told(content_of(FACT))):
        again = content_of(replace(FACT, product="coins-60", account=None))
        assert contradictions(first, again) == []
        assert completed(first, again, is_booked=True) == {**first, "product": "coins-60"}
        assert completed(first, content_of(FACT), is_booked=True) == first
    assert contradictions(told_by(FACT), content_of(replace(FACT, account="m-2"))) == ["account"]
