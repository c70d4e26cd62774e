"""The example of both finance pages, run: what a store pays out is one journal entry, after which it owes nothing."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from app.cli import main
from app.models.base import AnyRow
from app.services.base.errors import KeyReused
from app.services.base.transaction import Sessions
from app.services.finance.journal import EntryRefused, confirm_entry
from app.services.finance.store_payouts import propose_payouts
from tests.cli.test_differences import ACCOUNT
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.services.finance.test_store_sales import MONTH, Desk
from tests.support.world import build_world

DOCS = Path(__file__).resolve().parents[3] / "docs"


def commands(page: str) -> list[list[str]]:
    """Those of the page's example."""
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.S)
    [block] = [block for block in blocks if "--document APPLE-" in block]
    lines = block.replace("\\\n", " ").splitlines()
    return [words[1:] for line in lines if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("page", ["finance.md", "finance.zh-CN.md"])
def test_the_example_brings_clearing_to_nothing(
    engine: Engine, sessions: Sessions, database_url: str, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    desk = Desk(Store(build_world(engine, sessions)))
    terms = desk.store.shop.store.config.terms
    terms.commission, terms.tax = {}, {}  # 30 per cent, and no tax beside: 700.00 of 1000.00
    desk.store.device().buy(PRODUCT, price=1_000_000)
    desk.bring("finance_detail", desk.store.shop.store.reports.detail(MONTH))
    desk.book()
    assert (desk.money("store_share"), desk.money("clearing")) == (300_00, 700_00)
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    post, confirm, *reports = commands(page)
    proposed = CliRunner().invoke(main, [*post, "--environment", "sandbox"]).output
    [number] = re.findall(r"journal entry (\d+): proposed", proposed)
    done = CliRunner().invoke(main, [number if word == "NUMBER" else word for word in confirm])
    assert "posted" in done.output, done.output
    left = {code: desk.money(code) for code in ("clearing", "bank", "store_tax", "store_share")}
    assert left == {"clearing": 0, "bank": 680_00, "store_tax": 20_00, "store_share": 300_00}
    for report in reports:
        told = CliRunner().invoke(main, report).output
        assert re.search(r"bank:apple +680\.00 +0\.00 +-680\.00\b", told), told
        assert re.search(r"clearing:apple +1000\.00 +1000\.00 +0\.00\b", told), told
    assert desk.found() == []


COLUMNS = "Units Sold,Earned,Input Tax,Adjustments,Withholding Tax,Total Owed,Proceeds,Bank Account Currency"
TABLE = f""""iTunes Connect - Payments and Financial Reports\t(January, 2026)",,,,,,,,,,,,
,,,,,,,,,,,,
Country or Region (Currency),{COLUMNS}
China (CNY),2,750.00,0,0,-20.00,730.00,730.00,CNY
,,,,,,,,,,,,
,,,,,,,"730.00" CNY,
,,,,,,,Paid to SOME BANK -****1299,
"""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_stores_own_statement_is_booked_once_by_two_persons_and_brings_clearing_to_nothing(
    engine: Engine, sessions: Sessions, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The vendor has another app, which earned 50.00 of the 750.00."""
    desk = Desk(Store(build_world(engine, sessions)))
    terms = desk.store.shop.store.config.terms
    terms.commission, terms.tax = {}, {}
    desk.store.device().buy(PRODUCT, price=1_000_000)
    desk.bring("finance_detail", desk.store.shop.store.reports.detail(MONTH))
    desk.book()
    core, account = desk.store.core, desk.store.account
    paid_at = core.clock.now()

    def propose(content: str, others: dict[str, int], actor: str = "operator:mei") -> list[AnyRow]:
        return propose_payouts(core, account, content.encode(), paid_at=paid_at, others=others, actor=actor)

    [entry] = propose(TABLE, {"CNY": 50_00})
    assert (entry.status, entry.document, desk.money("bank")) == ("proposed", "payout of 2026-01", 0)
    [again] = propose(TABLE.replace("\n", "\r\n"), {"CNY": 50_00}, actor="operator:li")
    assert again.id == entry.id, "the same statement, by whomever, is the same entry"
    with pytest.raises(KeyReused):
        propose(TABLE, {})
    confirm_entry(core, entry.id, actor="operator:li")
    assert {code: desk.money(code) for code in ("clearing", "bank", "store_tax", "others")} == {
        **{"clearing": 0, "bank": 730_00, "store_tax": 20_00, "others": -50_00}
    }
    for content, others in ((TABLE.replace("Paid to", "For"), {}), (TABLE, {"USD": 1})):
        with pytest.raises(EntryRefused):
            propose(content, others)
    assert desk.found() == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_command_says_why_a_statement_is_not_booked(
    engine: Engine, sessions: Sessions, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    build_world(engine, sessions)
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(f"TILLBOOK_PROVIDER_ACCOUNTS__SANDBOX__{name.upper()}", value)
    file = tmp_path / "financial_report.csv"
    file.write_text(TABLE, encoding="utf-8")
    words = ["journal", "payout", str(file), "--paid-on", "2026-01-02", "--actor", "mei"]
    said = CliRunner().invoke(main, [*words, "--account", "sandbox"])
    assert (said.exit_code, "its bills tell of payouts" in said.output) == (1, True), said.output
    assert "no provider account" in CliRunner().invoke(main, [*words, "--account", "apple"]).output
    assert CliRunner().invoke(main, [*words, "--account", "sandbox", "--others", "CNY"]).exit_code == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_entry_in_another_currency_than_the_banks_says_what_it_was_changed_into(
    engine: Engine, sessions: Sessions, database_url: str
) -> None:
    desk = Desk(Store(build_world(engine, sessions)))
    core, account = desk.store.core, desk.store.account
    content = TABLE.replace("China (CNY)", "Americas (USD)").replace("730.00,730.00,CNY", "730.00,5183.00,CNY")
    content = content.replace('"730.00" CNY', '"5183.00" CNY')
    [entry] = propose_payouts(
        core, account, content.encode(), paid_at=core.clock.now(), others={}, actor="operator:mei"
    )
    assert entry.currency == "USD"
    assert entry.reason.endswith(": 730.00 USD came to the bank as 5183.00 CNY")
