"""Journal entries are booked once, by two persons where the rules ask for it, and whoever forges one is found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from app.domain.chart import FinanceRules
from app.domain.journal import JournalEntry, JournalLine
from app.services.base.errors import KeyReused, NotFound
from app.services.finance import journal
from app.services.finance.journal import EntryRequest
from tests.services.finance.conftest import NOON, Shop
from tests.support.database_console import edit

ENTRY = JournalEntry("DOC-1", "belongs to the bank", "CNY", [JournalLine("suspense", 40), JournalLine("bank:a", 0, 40)])
MEI, LI = "operator:mei", "operator:li"


def _asked(key: str, actor: str = MEI) -> EntryRequest:
    return EntryRequest(actor, key, actor)


def test_an_entry_waits_for_a_second_person_and_is_booked_once(shop: Shop) -> None:
    core = shop.world.core
    row = journal.propose_entry(core, replace(ENTRY, effective_at=NOON.replace(day=1)), _asked("1"))
    assert (row.status, row.booked) == ("proposed", 0)
    assert journal.propose_entry(core, replace(ENTRY, effective_at=NOON.replace(day=1)), _asked("1")).id == row.id
    with pytest.raises(journal.NeedsAnother):
        journal.confirm_entry(core, row.id, actor="backend:shop/Mei")
    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(journal.confirm_entry, core, row.id, actor=LI) for _ in "123"]
        assert {each.result().status for each in done} == {"posted"}
    with pytest.raises(journal.EntryEnded):
        journal.confirm_entry(core, row.id, actor="operator:wu")
    with pytest.raises(journal.EntryEnded):
        journal.withdraw_entry(core, row.id, actor=LI)
    assert shop.balances(NOON) == {"suspense": -40, "bank:a": 40}
    assert shop.world.money("suspense") == -40
    shop.world.assert_balanced()


def test_below_the_limit_one_person_is_enough_but_never_for_a_write_off(shop: Shop) -> None:
    shop.world.core = replace(shop.world.core, rules=replace(shop.world.core.rules, finance=FinanceRules(40)))
    core = shop.world.core
    assert journal.propose_entry(core, ENTRY, _asked("1")).status == "posted"
    off = replace(ENTRY, lines=[JournalLine("writeoff", 1), JournalLine("clearing:sandbox", 0, 1)])
    row = journal.propose_entry(core, off, _asked("2"))
    assert row.status == "proposed"
    assert journal.withdraw_entry(core, row.id, actor=MEI).status == "withdrawn"
    with pytest.raises(journal.EntryEnded):
        journal.confirm_entry(core, row.id, actor=LI)
    assert shop.transfers() == 1
    with pytest.raises(journal.EntryRefused):
        journal.propose_entry(core, replace(ENTRY, document=""), _asked("3"))
    for change in ({"document": "DOC-2"}, {"reason": "other"}, {"lines": off.lines}):
        with pytest.raises(KeyReused) as reused:
            journal.propose_entry(core, replace(ENTRY, **change), _asked("1"))
        assert reused.value.members == {"field": next(iter(change))}
    with pytest.raises(NotFound):
        journal.confirm_entry(core, 12345, actor=LI)
    shop.world.assert_balanced()


def test_an_entry_is_taken_back_by_one_other_entry(shop: Shop) -> None:
    shop.world.core = replace(shop.world.core, rules=replace(shop.world.core.rules, finance=FinanceRules(40)))
    core = shop.world.core
    row = journal.propose_entry(core, ENTRY, _asked("1"))
    back = journal.propose_reversal(core, row.id, "DOC-9", "wrong bank", _asked("2"))
    assert (back.status, back.reverses) == ("posted", row.id)
    assert journal.propose_reversal(core, row.id, "DOC-9", "wrong bank", _asked("2")).id == back.id
    with pytest.raises(journal.TakenBack):
        journal.propose_reversal(core, row.id, "DOC-10", "again", _asked("3"))
    assert shop.world.money("suspense") == 0
    listed = journal.list_entries(core, None, 1)
    assert [entry.id for entry in listed.rows] == [back.id]
    assert [entry.id for entry in journal.list_entries(core, listed.next, 1).rows] == [row.id]
    shop.world.assert_balanced()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whoever_writes_the_journal_behind_our_back_is_found(shop: Shop, engine: Engine) -> None:
    core = shop.world.core
    row = journal.propose_entry(core, ENTRY, _asked("1"))
    journal.confirm_entry(core, row.id, actor=LI)
    other = journal.propose_entry(core, ENTRY, _asked("2"))
    shop.world.assert_balanced()
    changes = {
        f"UPDATE journal_entries SET document = 'x' WHERE id = {row.id}": "seal",
        f"UPDATE journal_entries SET ended_by = 'operator:wu' WHERE id = {row.id}": "seal",
        f"UPDATE journal_entries SET status='posted', ended_at=created_at, booked=1 WHERE id={other.id}": "journal",
        "UPDATE transfers SET effective_at = '2025-01-01' WHERE kind = 'journal'": "journal",
        f"DELETE FROM journal_entries WHERE id = {row.id}": "journal",
    }
    for change, what in changes.items():
        edit(engine, change)
        assert what in shop.audited(), change
