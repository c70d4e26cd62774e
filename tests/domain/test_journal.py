"""Journal entries: what is refused, and that an entry of any shape comes to transfers that book each line exactly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.chart import CHART, FinanceRules, Nature, OwnAccount, chart_account, own_account
from app.domain.journal import (
    BadEntry,
    JournalEntry,
    JournalLine,
    check_entry,
    person_of,
    reversal_of,
    transfers_of_entry,
)

GOOD = JournalEntry("INV-7", "found its owner", "CNY", [JournalLine("suspense", 600), JournalLine("bank:ali", 0, 600)])
ACCOUNTS = [account.code.replace("*", "ali") for account in CHART if account.by_hand]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (replace(GOOD, lines=[JournalLine("suspense", 600), JournalLine("bank:ali", 0, 599)]), "balanced"),
        (replace(GOOD, lines=[JournalLine("wallet", 600), JournalLine("suspense", 0, 600)]), "not an account of money"),
        (replace(GOOD, lines=[JournalLine("issuance", 600), JournalLine("suspense", 0, 600)]), "not an account"),
        (replace(GOOD, lines=[JournalLine("bank:*", 600), JournalLine("suspense", 0, 600)]), "not an account"),
        (replace(GOOD, lines=[JournalLine("bank:", 600), JournalLine("suspense", 0, 600)]), "not an account"),
        (replace(GOOD, lines=[JournalLine("suspense", 600), JournalLine("sales", 0, 600)]), "derived"),
        (replace(GOOD, lines=[JournalLine("suspense", 600), JournalLine("suspense", 0, 600)]), "one line"),
        (replace(GOOD, lines=[JournalLine("suspense", 600, 600), JournalLine("bank:ali", 0, 0)]), "one positive"),
        (replace(GOOD, lines=[JournalLine("suspense", -600), JournalLine("bank:ali", 0, -600)]), "one positive"),
        (replace(GOOD, lines=[JournalLine("suspense", True), JournalLine("bank:ali", 0, 1)]), "one positive"),
        (replace(GOOD, lines=[JournalLine("suspense", 600)]), "2 to 100"),
        (replace(GOOD, currency="coin"), "currency"),
        (replace(GOOD, environment="test"), "environment"),
        (replace(GOOD, document=" "), "document"),
        (replace(GOOD, reason="x" * 256), "reason"),
    ],
)
def test_what_is_no_entry_is_refused(wrong: JournalEntry, said: str) -> None:
    check_entry(GOOD)
    with pytest.raises(BadEntry, match=said):
        check_entry(wrong)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=6), st.data())
def test_the_transfers_of_an_entry_book_each_line_exactly(debits: list[int], data: st.DataObject) -> None:
    credits_, left = [], sum(debits)
    while left:
        credits_.append(data.draw(st.integers(1, left)) if len(credits_) < 5 else left)
        left -= credits_[-1]
    lines = [JournalLine(ACCOUNTS[n], minor) for n, minor in enumerate(debits)]
    lines += [JournalLine(ACCOUNTS[6 + n], 0, minor) for n, minor in enumerate(credits_)]
    entry = replace(GOOD, lines=lines)
    check_entry(entry)
    moved = Counter[str]()
    transfers = transfers_of_entry(7, entry, "operator:mei")
    for transfer in transfers:
        moved[transfer.debit.code] -= transfer.amount
        moved[transfer.credit.code] += transfer.amount
    assert moved == {line.account: line.credit - line.debit for line in lines}
    assert len({transfer.key for transfer in transfers}) == len(transfers) < len(lines)
    back = reversal_of(entry, 7, "INV-8", "wrong account")
    assert [line.debit - line.credit for line in back.lines] == [line.credit - line.debit for line in lines]


def test_write_offs_always_need_a_second_person_and_others_above_a_limit() -> None:
    assert not GOOD.needs_a_second(600)
    assert GOOD.needs_a_second(599)
    written_off = replace(GOOD, lines=[JournalLine("writeoff", 1), JournalLine("suspense", 0, 1)])
    assert written_off.needs_a_second(10**9)


def test_a_person_is_the_same_by_every_way() -> None:
    assert person_of("operator:Mei") == person_of("backend:shop/mei") == "mei"
    assert person_of("operator:mei") != person_of("operator:li")


def test_each_account_has_its_side_and_the_number_that_the_company_gave_it() -> None:
    clearing, sales = chart_account("clearing:ali"), chart_account("sales")
    assert clearing is not None
    assert sales is not None
    assert (clearing.nature, clearing.nature.normal(-600)) == (Nature.ASSET, 600)
    assert (sales.nature, sales.nature.normal(600)) == (Nature.LIABILITY, 600)
    rules = FinanceRules(own={"clearing:*": OwnAccount("1122"), "clearing:ali": OwnAccount("1122.01", "支付宝")})
    assert own_account(rules, "clearing:ali").number == "1122.01"
    assert own_account(rules, "clearing:wx").number == "1122"
    assert own_account(rules, "sales") == OwnAccount()
