"""`tillbook wallets import`: each line once, whatever interrupts it; the books prove it, and the reports know it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select, text

from app.cli import main
from app.domain.ledger import wallet
from app.domain.numbers import slot_of_user
from app.models.events import EVENTS
from app.models.ledger import TRANSFERS
from app.models.slot_guard import sweep
from app.services import ledger
from app.services.audit.ledger import AsOf
from app.services.audit.run import audit
from app.services.ledger.deferred import deferred_revenue
from tests.support.world import World

HEAD = "id,user,asset,amount,bonus,value,currency,product,expires_at\n"


@pytest.fixture
def file(world: World, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    made = tmp_path / "wallets.csv"
    lines = [f"{number},user-{number % 30},coin,60,false,6.00,CNY,coins-60," for number in range(510)]
    lines += ["b1,user-1,coin,6,true,,,coins-60,2099-01-01T00:00:00Z", 'q,"ann, the first",coin,1,false,,,,']
    made.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["wallets", "import", *words, "--actor", "ann"])


def balance(world: World, user: str) -> int:
    found = world.core.whole.read(lambda tx: ledger.balance(tx, slot_of_user(user), wallet(user, "coin")))
    return found.balance


def findings(world: World) -> list[object]:
    return list(audit(world.core.whole.sessions, AsOf(world.core.rules.ledger, world.clock.now)))


def test_every_line_is_booked_once_with_its_origin_and_value_and_nobody_is_told(world: World, file: Path) -> None:
    done = run(str(file))
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("booked: 512 lines; booked before: 0\n")
    assert (balance(world, "user-1"), balance(world, "user-29"), balance(world, "ann, the first")) == (
        17 * 60 + 6,
        17 * 60,
        1,
    )
    again = run(str(file))
    assert again.stdout.endswith("booked: 0 lines; booked before: 512\n")
    assert balance(world, "user-1") == 17 * 60 + 6
    assert findings(world) == []
    (about, sums), *others = world.core.whole.read(lambda tx: list(deferred_revenue(tx).items()))
    assert others == []
    assert (about.product, about.currency, sums.coins, sums.value_minor) == ("coins-60", "CNY", 30_600, 306_000)
    counted = select(func.count()).select_from(EVENTS).prefix_with(sweep("events"))
    assert world.core.whole.read(lambda tx: tx.scalar(counted)) == 0


def test_a_faulty_file_books_nothing_and_names_the_lines(world: World, file: Path) -> None:
    good = file.read_text(encoding="utf-8")
    file.write_text(good + "x,user-1,coin,1.5,false,,,,\ny,,coin,1,false,,,,\n", encoding="utf-8")
    done = run(str(file))
    assert done.exit_code == 1
    assert "line 514: amount: not a whole number of coins" in done.output
    assert "line 515: user: empty" in done.output
    for wrong, said in (
        (good + "5,user-9,coin,1,false,,,,\n", "the id '5' is used twice"),
        (good.replace("coin,6,true", "gem,6,true"), "no product grants the asset 'gem'"),
        ("id,user\n1,ann\n", "the first line has to name the columns amount, asset, bonus, id, user"),
        (HEAD + '1,"ann,coin,1,false,,,,\n', "no CSV in UTF-8"),
        (HEAD + "1,ann,coin,1,false,,,,,9\n", "more cells than columns"),
    ):
        file.write_text(wrong, encoding="utf-8")
        done = run(str(file))
        assert (done.exit_code, said in done.output) == (1, True), done.output
    assert balance(world, "user-1") == 0


def test_a_check_books_nothing(world: World, file: Path) -> None:
    done = run(str(file), "--check")
    assert done.stdout == "512 lines can be booked; nothing was\n"
    assert balance(world, "user-1") == 0


def test_an_interrupted_import_goes_on_and_a_line_that_moved_to_another_user_is_refused(
    world: World, file: Path
) -> None:
    whole = file.read_text(encoding="utf-8")
    file.write_text("".join(whole.splitlines(keepends=True)[:501]), encoding="utf-8")  # as after its first batch
    run(str(file))
    file.write_text(whole, encoding="utf-8")
    assert run(str(file)).stdout.endswith("booked: 12 lines; booked before: 500\n")
    file.write_text(whole.replace("\n7,user-7,", "\n7,user-8,"), encoding="utf-8")
    assert "the line '7' was imported before, for another user" in run(str(file)).output
    file.write_text(whole.replace("\n7,user-7,coin,60", "\n7,user-7,coin,61"), encoding="utf-8")
    assert "the line '7' was imported before, with 60 coins" in run(str(file), "--check").output
    file.write_text(whole.replace("\n7,user-7,coin,60,false,6.00", "\n7,user-7,coin,60,false,7.00"), encoding="utf-8")
    assert (
        "the line '7' of user 'user-7' is refused: it was imported before with another value" in run(str(file)).output
    )
    assert (balance(world, "user-7"), balance(world, "user-8")) == (17 * 60, 17 * 60)
    assert findings(world) == []


def test_coins_that_somebody_adds_to_the_books_as_an_opening_are_found(world: World, file: Path) -> None:
    run(str(file))
    (seal,) = world.core.whole.read(
        lambda tx: tx.execute(
            select(TRANSFERS.c.slot, TRANSFERS.c.id).prefix_with(sweep("audit")).where(TRANSFERS.c.reference == "b1")
        ).all()
    )
    with world.core.whole.sessions.kw["bind"].begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER grant_seals_no_delete")
        else:
            connection.exec_driver_sql("ALTER TABLE grant_seals DISABLE TRIGGER USER")
        gone = text("DELETE FROM grant_seals WHERE slot = :slot AND transfer_id = :id")
        name = seal.id.hex if connection.dialect.name == "sqlite" else seal.id
        connection.execute(gone, {"slot": seal.slot, "id": name})
    assert ["was not made by the service" in str(found) for found in findings(world)] == [True]
