"""The command line over `[[databases]]`: the main job, and every way to mean another map than the databases bear."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.composition import build_house, map_is_current
from app.config import load
from app.domain.facts import Fact, Kind, Ref
from app.domain.money import Money
from app.domain.numbers import slot_of_number
from app.models import schema
from app.providers.facts import Message
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.base.errors import SlotsFrozen
from app.services.base.reported_fact import ReportedFact
from app.services.base.slot_maps import SlotMapDiffers
from app.services.facts import inbox
from app.services.facts.apply import apply_fact
from app.worker import Worker
from tests.support.clean_environment import forget_our_variables
from tests.support.world import CATALOGUE, START

BASE = """
env = "test"
[provider_accounts.box]
plugin = "sandbox"
live = false
base_url = "http://127.0.0.1:1"
merchant = "m-1"
secret = "a secret that is long enough here"
"""


def databases(**slots: str) -> str:
    """The settings of databases with these slots, in files of their names."""
    tables = (
        f'[[databases]]\nname = "{name}"\nslots = "{text}"\nurl = "sqlite:///{name}.sqlite3"\n'
        for name, text in slots.items()
    )
    return BASE + "".join(tables)


def one(file: str) -> str:
    return f'database_url = "sqlite:///{file}.sqlite3"\n{BASE}'


NONSENSE = Message("notification", b"what nobody understands")
HALVES = databases(first="0-2047", second="2048-4095")


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_template: Path) -> Path:
    """A working directory with two databases that have the schema, for that takes a second, and bear no map."""
    forget_our_variables(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "products.toml").write_text(CATALOGUE)
    for name in ("first", "second", "third"):
        shutil.copyfile(sqlite_template, tmp_path / f"{name}.sqlite3")
    return tmp_path


def run(*words: str, settings: str | None = None) -> Result:
    if settings is not None:
        Path("tillbook.toml").write_text(settings)
    return CliRunner().invoke(main, list(words))


def migrated(settings: str) -> None:
    done = run("migrate", settings=settings)
    assert done.exit_code == 0, done.output


def query(file: str, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"{file}.sqlite3", isolation_level=None)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_from_an_empty_folder_to_balanced_books_in_two_databases() -> None:
    Path("second.sqlite3").unlink()
    for _ in range(2):
        done = run("migrate", settings=HALVES)
        assert done.exit_code == 0, done.output
        assert done.output.splitlines() == [
            f"first: schema: {schema.newest()}",
            f"second: schema: {schema.newest()}",
            'slots: first "0-2047", second "2048-4095" (version 1 of the map)',
        ]
    checked = run("check")
    assert checked.exit_code == 0, checked.output
    for name, slots in (("first", "0-2047"), ("second", "2048-4095")):
        line = f"ok       database {name}: sqlite, schema {schema.newest()} (newest {schema.newest()}), slots {slots}"
        assert line in checked.output
    assert run("products", "import", "products.toml").output.strip() == "added 1, changed 0, unchanged 0, retired 0"
    assert [query(file, "SELECT count(*) FROM products") for file in ("first", "second")] == [[(1,)], [(1,)]]
    worked = run("worker", "--once")
    assert (worked.exit_code, "done:" in worked.output) == (0, True), worked.output
    audited = run("audit", "--quiet")
    assert (audited.exit_code, audited.output.strip()) == (0, "audit: balanced")
    assert run("distribute").output.splitlines() == [
        f"{name}: the database is no cluster: nothing to distribute" for name in ("first", "second")
    ]


def test_what_waits_for_a_person_is_listed_and_found_wherever_it_lies() -> None:
    migrated(HALVES)
    core = build_house(load()).core
    account = core.registry.get("box")
    assert account is not None
    numbers = [core.numbers.next(slot) for slot in (7, 4000)]
    for number in numbers:
        slot = slot_of_number(number)
        money = Fact(Kind.PAID, Ref(ours=str(number), theirs=f"T-{slot}"), START, Money(600, "CNY"), live=False)
        reported = ReportedFact(account, money, "notification", f"m-{slot}")
        core.at(slot).transact(partial(apply_fact, reported=reported))
        kept = {"slot": slot, "account": "box", "message": NONSENSE, "reason": "note", "detail": "of no use"}
        core.at(slot).transact(partial(inbox.keep_message, **kept))
    assert len(run("messages", "list").output.splitlines()) == 2
    for number in numbers:
        found = run("facts", "find", str(number))
        assert (found.exit_code, f"ours={number}" in found.output) == (0, True), found.output


def test_a_database_that_is_down_fails_the_check_by_its_name_and_home_stops_it() -> None:
    migrated(HALVES)
    Path("second.sqlite3").unlink()
    Path("second.sqlite3").mkdir()
    done = run("check")
    assert (done.exit_code, "FAIL     database second: it does not answer" in done.output) == (1, True), done.output
    assert "ok       database first" in done.output
    Path("first.sqlite3").unlink()
    Path("first.sqlite3").mkdir()
    assert "the database 'first' cannot be used" in run("check").output


LISTS = (
    *("orders list", "orders list --csv", "refunds overdue", "messages list", "facts list", "fulfilments waiting"),
    *("gifts waiting", "payments overdue", "endpoints list", "scans list", "events tail --after oldest --no-follow"),
    *("find a-number-of-nobody", "facts find a-number-of-nobody"),
)


def test_what_is_listed_without_a_database_that_is_down_names_it_and_exits_1() -> None:
    migrated(HALVES)
    kept = {"slot": 7, "account": "box", "message": NONSENSE, "reason": "note", "detail": "of no use"}
    build_house(load()).core.at(7).transact(partial(inbox.keep_message, **kept))
    Path("second.sqlite3").unlink()
    Path("second.sqlite3").mkdir()
    told = "Error: not everything is here: second does not answer, or slots are being moved from there"
    for command in LISTS:
        done = run(*command.split())
        assert (done.exit_code, told in done.stderr) == (1, True), done.output
        assert ("of no use" in done.stdout) is (command == "messages list"), "what answers is listed"
    done = run("report", "trial-balance")
    assert (done.exit_code, "the database 'second' cannot be used" in done.output) == (1, True), done.output


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (HALVES, databases(first="0-2046", second="2047-4095"), 'since version 1 of the map: first "0-2047"'),
        (HALVES, one("first"), "the database 'first' says, since version 1 of the map: first \"0-2047\", second"),
        (HALVES, one("second"), "what the settings call the database 'first' is the database 'second'"),
        (one("first"), HALVES, 'since version 1 of the map: first "0-4095". Write the settings'),
        (one("second"), HALVES, "what the settings call the database 'second' is the database 'first'"),
        (
            HALVES,
            HALVES.replace("second.sq", "third.sq").replace("first.sq", "second.sq"),
            "what the settings call the database 'first' is the database 'second'",
        ),
    ],
)
def test_settings_that_mean_another_map_than_a_database_bears_start_nothing(before: str, after: str, told: str) -> None:
    migrated(before)
    assert told in run("migrate", settings=after).output
    for words in (["migrate"], ["check"], ["products", "import", "products.toml"], ["worker", "--once"], ["audit"]):
        done = run(*words)
        assert (done.exit_code, type(done.exception)) == (1, SystemExit), words
        assert done.output.startswith("Error: "), words
    assert [query(file, "SELECT count(*) FROM products") for file in ("first", "second")] == [[(0,)], [(0,)]]


def test_a_database_without_slots_may_be_added_and_bears_the_version_of_the_others() -> None:
    migrated(HALVES)
    for file in ("first", "second"):
        query(file, "UPDATE slot_map SET version = 7")
    migrated(databases(first="0-2047", third="", second="2048-4095"))
    assert query("third", "SELECT name, version FROM slot_map") == [("third", 7)]
    assert run("audit", "--quiet").exit_code == 0
    assert run("check", settings=HALVES).exit_code == 0, "a database that holds no slots need not be known"


def test_several_databases_that_were_not_migrated_start_nothing() -> None:
    migrated(HALVES)
    query("second", "DELETE FROM slot_map")
    assert "'second' bears no map of the slots yet: run `tillbook migrate`" in run("audit").output
    migrated(HALVES)
    assert run("audit", "--quiet").exit_code == 0


def test_a_database_with_rows_of_slots_that_are_not_its_own_gets_no_map() -> None:
    migrated(one("first"))
    user = "INSERT INTO users (slot, id, token, created_at) VALUES (2048, 'u', '%s', '2026-01-01')" % ("0" * 32)
    query("first", user)
    query("first", "DELETE FROM slot_map")
    done = run("migrate", settings=HALVES)
    assert done.exit_code == 1
    assert "the database 'first' has rows of the slot 2048 in the table users" in done.output
    assert [query(file, "SELECT count(*) FROM slot_map") for file in ("first", "second")] == [[(0,)], [(0,)]]
    migrated(one("first"))


def test_a_process_learns_of_a_newer_map_and_connects_to_nothing_with_the_old_one() -> None:
    migrated(HALVES)
    house = build_house(load())
    try:
        assert map_is_current(house)
        assert house.maps is not None
        moved = build_house(load()).maps
        assert moved is not None
        assert import_products(house.core, parse_catalogue(CATALOGUE))["added"] == 1
        document = (
            '{"databases": [{"name": "first", "slots": [[0, 2000]]}, {"name": "second", "slots": [[2001, 4095]]}]}'
        )
        for file in ("first", "second"):
            query(file, f"UPDATE slot_map SET version = 2, document = '{document}'")
        house.maps._look_at = float("inf")
        assert map_is_current(house), "it looks every second"
        house.maps._look_at = 0
        assert not map_is_current(house)
        for engine in house.engines.values():
            engine.dispose()
            with pytest.raises(SlotMapDiffers, match="since version 2 of the map"):
                engine.connect()
    finally:
        house.close()


AS_THEY_SAY = HALVES.replace('slots = "0-2047"\n', "").replace('slots = "2048-4095"\n', "")
MOVED = '{"databases": [{"name": "first", "slots": [[0, 2000]]}, {"name": "second", "slots": [[2001, 4095]]}]%s}'


def changed_map(version: int, beside: str = "", files: tuple[str, ...] = ("first", "second")) -> None:
    for file in files:
        query(file, f"UPDATE slot_map SET version = {version}, document = '{MOVED % beside}'")


def test_settings_that_leave_the_slots_out_go_by_the_newest_map_that_a_database_bears() -> None:
    assert "no database bears a map of the slots yet: write `slots`" in run("migrate", settings=AS_THEY_SAY).output
    migrated(HALVES)
    migrated(AS_THEY_SAY)
    assert run("check").exit_code == 0
    changed_map(2, files=("second",))
    checked = run("check")
    assert (checked.exit_code, "slots 2001-4095" in checked.output) == (0, True), checked.output
    half = HALVES.replace('slots = "0-2047"\n', "")
    assert "for all databases, or for none" in run("check", settings=half).output
    third = AS_THEY_SAY.replace("second", "third")
    refused = run("products", "import", "products.toml", settings=third)
    assert "The settings name first, third: name all of them" in refused.output


def test_a_process_without_slots_takes_over_a_newer_map_and_leaves_frozen_slots_alone() -> None:
    migrated(HALVES)
    Path("tillbook.toml").write_text(AS_THEY_SAY)
    house = build_house(load())
    try:
        assert house.maps is not None
        databases = house.core.databases
        assert (databases.number_of(2001), house.maps.version) == (0, 1)
        changed_map(2, ', "frozen": [[2001, 2047]]')
        house.maps._look_at = 0
        assert map_is_current(house)
        for use in (lambda: house.core.at(2001), lambda: house.core.whole):
            with pytest.raises(SlotsFrozen):
                use()
        house.core.at(2000)
        changed_map(3)
        house.engines["second"].dispose()
        with house.engines["second"].connect():
            assert (databases.number_of(2001), house.maps.version) == (1, 3), "who connects anew need not wait"
        assert house.core.whole
        changed_map(3, ', "frozen": [[1, 1]]', files=("second",))
        house.engines["second"].dispose()
        with pytest.raises(SlotMapDiffers):
            house.engines["second"].connect()
    finally:
        house.close()


def test_a_worker_ends_when_its_settings_say_another_map_than_the_databases() -> None:
    migrated(HALVES)
    house = build_house(load())
    try:
        assert house.maps is not None
        changed_map(2)
        house.maps._look_at = 0
        Worker(house.core, is_current=lambda: map_is_current(house)).run()
    finally:
        house.close()


def test_a_worker_that_meets_what_nobody_thought_of_ends_whole() -> None:
    migrated(HALVES)
    house = build_house(load())
    try:
        worker = Worker(house.core, is_current=lambda: bool(1 // 0))
        with pytest.raises(ZeroDivisionError):
            worker.run()
        assert {lane.name for lane in worker.lanes} & {thread.name for thread in threading.enumerate()} == set()
    finally:
        house.close()


def test_slots_are_moved_and_a_move_that_has_not_ended_is_told() -> None:
    migrated(HALVES)
    assert "leave `slots` out of the settings" in run("slots", "move", "1024-1279", "--to", "second").output
    assert "slots are written as" in run("slots", "move", "all", "--to", "second", settings=AS_THEY_SAY).output
    done = run("slots", "move", "1024-1025,7", "--to", "second", "--at-once", "2", "--wait", "0")
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "done: 1024-1025,7 in second"), done.output
    assert "moved 7,1024 from first to second: 0 rows, version 3 of the map" in done.output
    assert 'first "0-6,8-1023,1026-2047", second "7,1024-1025,2048-4095" (version 5' in run("migrate").output
    user = "INSERT INTO users (slot, id, token, created_at) VALUES (%d, 'u', '%s', '2026-01-01')"
    with pytest.raises(sqlite3.IntegrityError, match="this slot is being moved"):
        query("first", user % (7, "0" * 32))
    query("first", user % (8, "0" * 32))
    query("first", "UPDATE slot_moves SET running = 1, ended_at = NULL")
    checked = run("check")
    assert "the move of 7,1024-1025 to second has not ended (frozen: none)" in checked.output
    assert run("slots", "move", "9", "--to", "second", "--resume", "--wait", "0").exit_code == 1
    assert run("slots", "move", "7,1024-1025", "--to", "second", "--resume", "--wait", "0").exit_code == 0
    assert "has not ended" not in run("check").output
    assert run("audit", "--quiet").exit_code == 0


def test_reports_are_read_at_a_replica_of_each_and_the_audit_is_not() -> None:
    settings = HALVES.replace('first.sqlite3"\n', 'first.sqlite3"\nreports_url = "sqlite:///first-copy.sqlite3"\n')
    migrated(settings + '[reports_database_urls]\nsecond = "sqlite:///second-copy.sqlite3"\n')
    assert "the replica of 'first' does not answer" in run("report", "trial-balance").output
    for name in ("first", "second"):
        Path(f"{name}-copy.sqlite3").write_bytes(b"")
        query(name, f"VACUUM INTO '{name}-copy.sqlite3'")
    assert "database for reports: sqlite, sqlite, how far it is behind cannot be seen" in run("check").output
    done = run("report", "trial-balance")
    assert done.exit_code == 0, done.output
    assert run("audit", "--quiet").output == "audit: balanced\n"
    refused = run("audit", "--replica")
    assert (refused.exit_code, "each would be proved as of another moment" in refused.output) == (2, True)
