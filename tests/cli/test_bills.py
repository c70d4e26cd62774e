"""Providers' bills are kept as they came, can be taken out byte for byte, and are read again for days that a person
names."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update
from structlog.testing import capture_logs

from app.cli import main
from app.domain.money import Money
from app.models.bills import BILLS
from app.providers.errors import Retryable
from app.providers.facts import Fact, Kind, Page, Ref
from app.services.audit.ledger import AsOf
from app.services.audit.run import audit
from app.services.bills.kept_bills import BillWindow, list_bills
from app.services.calls import scans
from tests.promises.test_odd_rows import Feed
from tests.support.world import World

FIRST, ANEW = b"PK\x03\x04 the bill" * 1000, b"PK\x03\x04 the bill, made anew"


def read(world: World, *pages: Page | Exception) -> list[str]:
    """The lines that are logged while the worker reads these pages of one window."""
    cursors = [None, *(str(number) for number in range(1, len(pages)))]
    feed = Feed(world.account.provider, dict(zip(cursors, pages, strict=True)))  # type: ignore[arg-type]
    account = type(world.account)("sandbox", "sandbox", False, feed)
    with capture_logs() as lines:
        scans.scan_due(world.core, account, "bill", timedelta(hours=1))
    world.clock.advance(86_400)
    return [line["event"] for line in lines]


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["bills", *words])


@pytest.fixture(autouse=True)
def settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)


def test_a_bill_is_kept_once_and_one_that_is_made_anew_beside_it(world: World, tmp_path: Path) -> None:
    assert "bill_kept" in read(world, Page((), None, (("2026-01-01.zip", FIRST),)))
    assert "bill_kept" not in read(world, Page((), None, (("2026-01-01.zip", FIRST),)))
    assert "bill_made_anew" in read(world, Page((), None, (("2026-01-01.zip", ANEW),)))
    [first, anew] = run("list", "--account", "sandbox").output.splitlines()
    assert first.endswith(hashlib.sha256(FIRST).hexdigest())
    assert anew.endswith(hashlib.sha256(ANEW).hexdigest())
    done = run("export", str(tmp_path / "out"))
    assert done.output == f"{tmp_path / 'out'}: 2 bills\n"
    files = {hashlib.sha256(file.read_bytes()).hexdigest(): file.name for file in (tmp_path / "out").glob("sandbox_*")}
    assert set(files) == {hashlib.sha256(FIRST).hexdigest(), hashlib.sha256(ANEW).hexdigest()}
    sums = (tmp_path / "out" / "SHA256SUMS").read_text(encoding="utf-8")
    assert {tuple(line.split("  ")) for line in sums.splitlines()} == set(files.items())


def test_a_name_of_a_bill_is_no_path(world: World, tmp_path: Path) -> None:
    read(world, Page((), None, (("../../etc/passwd", FIRST),)))
    run("export", str(tmp_path / "out"))
    assert sorted(file.name for file in (tmp_path / "out").iterdir())[1].endswith("_.._etc_passwd")


def test_a_bill_that_was_changed_in_the_database_is_found(world: World, tmp_path: Path) -> None:
    read(world, Page((), None, (("2026-01-01.zip", FIRST),)))
    world.core.whole.transact(lambda tx: tx.execute(update(BILLS).values(content=b"something else")))
    findings = audit(world.core.whole.sessions, AsOf(world.core.rules.ledger, world.clock.now))
    assert [found.what for found in findings] == ["bill"]
    done = run("export", str(tmp_path / "out"))
    assert (done.exit_code, "not the bytes that came" in done.output) == (1, True)


def test_days_that_a_person_names_are_read_page_by_page_and_the_worker_goes_on_where_it_was(world: World) -> None:
    read(world, Page((), None))
    before = world.core.whole.read(scans.list_feeds)
    at = datetime(2026, 1, 1, 4, tzinfo=UTC)
    paid = Fact(
        Kind.PAID, Ref(ours="shop-1", theirs="T-1"), at, Money(600, "CNY"), account=world.account.provider.account
    )
    pages = {None: Page((paid,), "1", (("a.zip", FIRST),)), "1": Page((), None, (("b.zip", ANEW),), ("row 3: odd",))}
    account = type(world.account)("sandbox", "sandbox", False, Feed(world.account.provider, pages))  # type: ignore[arg-type]
    window = BillWindow("sandbox", "bill", at - timedelta(hours=12), at + timedelta(hours=12))
    told: list[str] = []
    assert scans.read_range(world.core, account, window, told.append) == 1
    assert told == ["the start: 1 facts, 1 new bills, 0 odd rows", "1: 0 facts, 1 new bills, 1 odd rows"]
    assert [bill.name for bill in world.core.whole.read(list_bills)] == ["a.zip", "b.zip"]
    assert world.core.whole.read(scans.list_feeds) == before
    stopped = {None: Retryable("the bill is not made yet")}
    account = type(world.account)("sandbox", "sandbox", False, Feed(world.account.provider, stopped))  # type: ignore[arg-type]
    with pytest.raises(scans.NotRead, match="not made yet"):
        scans.read_range(world.core, account, window, told.append)


def test_days_that_are_none_are_refused_and_so_is_a_feed_that_is_none(world: World) -> None:
    for days in ("yesterday", "2026-01-02..2026-01-01", "2024-01-01..2026-01-01", "9999-12-31"):
        assert run("fetch", "sandbox", "payments", days).exit_code == 2
    done = run("fetch", "nobody", "payments", "2026-01-01")
    assert (done.exit_code, "no provider account 'nobody'" in done.output) == (1, True)
