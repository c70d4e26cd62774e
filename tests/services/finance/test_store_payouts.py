"""The example of both finance pages, run: what a store pays out is one journal entry, after which it owes nothing."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from app.cli import main
from app.services.base.transaction import Sessions
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
