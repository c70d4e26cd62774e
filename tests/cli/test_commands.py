"""The `tillbook` command, as operators run it: over a real database, with its exit codes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import bindparam, create_engine, text

from app.cli import main
from app.domain.facts import content_of
from app.domain.money import Money
from app.models import schema
from app.models.base import Json
from app.providers.facts import Message, Ref
from app.services.facts import inbox
from tests.support.clean_environment import forget_our_variables
from tests.support.facts import paid_fact, told
from tests.support.world import CATALOGUE, World

SETTINGS = """
env = "test"
database_url = "sqlite:///books.sqlite3"
[provider_accounts.box]
plugin = "sandbox"
live = false
base_url = "http://127.0.0.1:1"
merchant = "m-1"
secret = "a secret that is long enough here"
"""
UNKNOWN_PAYMENT = {
    "id": "sbx_77",
    "number": "12345678",
    "status": "PAID",
    "amount": 600,
    "currency": "CNY",
    "owner": "",
    "at": "2026-01-02T03:04:05Z",
}


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory with a configuration, and no database yet."""
    forget_our_variables(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tillbook.toml").write_text(SETTINGS)
    (tmp_path / "products.toml").write_text(CATALOGUE)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_from_an_empty_folder_to_balanced_books(shop: Path) -> None:
    assert run("check").exit_code == 1, "there is no schema yet"
    for _ in range(2):
        done = run("migrate")
        assert (done.exit_code, done.output.strip()) == (0, f"schema: {schema.newest()}")
    checked = run("check")
    assert checked.exit_code == 0
    assert "provider account box: sandbox, sandbox" in checked.output
    assert run("products", "import", "products.toml").output.strip() == "added 1, changed 0, unchanged 0, retired 0"
    assert run("products", "import", "products.toml").output.strip() == "added 0, changed 0, unchanged 1, retired 0"
    assert "done:" in run("worker", "--once").output
    assert run("messages", "list").output == ""
    audited = run("audit", "--quiet")
    assert (audited.exit_code, audited.output.strip()) == (0, "audit: balanced")


def test_a_bad_catalogue_changes_nothing_and_says_why(shop: Path) -> None:
    run("migrate")
    (shop / "bad.toml").write_text(CATALOGUE + CATALOGUE)
    done = run("products", "import", "bad.toml")
    assert done.exit_code == 1
    assert "coins-60" in done.output
    assert run("products", "import", "nowhere.toml").exit_code == 2
    (shop / "bad.toml").write_bytes(b"\xff\xfe")
    assert run("products", "import", "bad.toml").exit_code == 1


def test_the_audit_exits_with_one_and_lists_what_differs(shop: Path) -> None:
    run("migrate")
    engine = create_engine(f"sqlite:///{shop}/books.sqlite3")
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO users (slot, id, token, created_at)"
            " VALUES (175, 'alice', '00000000000000000000000000000000', '2026-01-01')",
            "INSERT INTO orders (slot, id, user_id, environment, sku, title, quantity, grants, status, paid_payment_id,"
            " created_at, expires_at, paid_at) VALUES (175, 175, 'alice', 'live', 'x', 'x', 1, '[]', 'paid', 1,"
            " '2026-01-01 00:00:00', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
        ):
            connection.execute(text(statement))
    engine.dispose()
    audited = run("audit", "--quiet")
    assert audited.exit_code == 1
    assert "order_status: order 175 is paid with 0 applied payments" in audited.output
    assert "findings" in audited.output


def test_a_new_key_is_shown_once_with_what_belongs_into_the_settings(shop: Path) -> None:
    made = run("keys", "new", "backend", "--scope", "read", "--scope", "spend")
    key = made.output.split("(give it to the backend): ")[1].split()[0]
    assert key.startswith("tbk_")
    assert len(key) > 40
    assert f'sha256 = "{hashlib.sha256(key.encode()).hexdigest()}"' in made.output
    assert "[api_keys.backend]" in made.output
    assert run("keys", "new", "backend").exit_code == 2
    assert run("keys", "new", "backend", "--scope", "everything").exit_code == 2


def test_wrong_settings_end_every_command_with_the_field_and_without_the_secret(shop: Path) -> None:
    (shop / "tillbook.toml").write_text('env = "test"\n[user_jwt]\nsecret = "hunter2"\n[more]\n')
    for words in (["check"], ["migrate"], ["audit"], ["worker", "--once"]):
        done = run(*words)
        assert done.exit_code == 1
        assert "user_jwt" in done.output
        assert "more" in done.output
        assert "hunter2" not in done.output


def test_a_named_file_that_is_not_there_is_named(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_CONFIG", "other.toml")
    done = run("check")
    assert (done.exit_code, "other.toml" in done.output) == (1, True)


def test_kept_messages_are_listed_replayed_and_resolved(operator: World) -> None:
    world = operator
    payment_id = world.order().payments[0].id
    world.pay(payment_id)
    world.deliver()
    for trade in ("second", "third"):
        world.at_provider(payment_id).id = trade
        world.receive(world.notification(payment_id))
    listed = run("messages", "list").output.splitlines()
    assert [line.split("  ")[2:] for line in listed] == [["sandbox", "surplus: second_trade_of_one_number"]] * 2
    first, second = (line.split()[0] for line in listed)
    replayed = run("messages", "replay", first)
    assert (replayed.exit_code, replayed.stdout.strip()) == (0, "duplicate surplus")
    assert run("messages", "resolve", second).exit_code == 0
    assert run("messages", "list").output == ""


@pytest.fixture
def operator(world: World, shop: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The command, over the database of the world."""
    url = world.core.whole.sessions.kw["bind"].url.render_as_string(hide_password=False)
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", url)
    monkeypatch.setenv("TILLBOOK_PROVIDER_ACCOUNTS__SANDBOX", _account())
    return world


def test_a_replay_that_is_refused_exits_with_one_and_says_why(operator: World) -> None:
    def keep(message: Message) -> int:
        work = partial(inbox.keep_message, slot=7, account="sandbox", message=message)
        return operator.core.whole.transact(lambda tx: work(tx, reason="parked", detail=""))

    unknown = operator.simulator.notification("m-1", {"event": "payment", "payment": UNKNOWN_PAYMENT})
    cases = {
        12345: "there is no such message",
        keep(Message("notification", b"{}")): "refused: ",
        keep(unknown): "still to be looked at: parked unknown_number",
    }
    for number, why in cases.items():
        done = run("messages", "replay", str(number))
        assert done.exit_code == 1
        assert why in done.output
    assert len(run("messages", "list").output.splitlines()) == 2


def test_parked_facts_are_listed_and_reexamined(operator: World) -> None:
    fact = paid_fact(operator, operator.order().payments[0].id, money=Money(599, "CNY"))
    held = told(operator, fact).fact_id
    unknown = told(operator, replace(fact, ref=Ref(ours="12345678", theirs="T-2"))).fact_id
    lines = {line.split("  ")[0]: line for line in run("facts", "list").output.splitlines()}
    assert set(lines) == {str(held), str(unknown)}
    assert "sandbox  paid  other_amount  5.99 CNY" in lines[str(held)]
    assert lines[str(unknown)].endswith("ours=12345678 theirs=T-2")
    assert "  user=alice product=coins-60  another amount was paid than asked: give it back" in lines[str(held)]
    assert "  user=alice product=None  looked at again for 30 days; restore the order" in lines[str(unknown)]
    assert run("facts", "find", "T-2").output.splitlines() == [f"parked  {lines[str(unknown)]}"]
    assert "no fact names T-3" in run("facts", "find", "T-3").output
    assert run("facts", "list", "--outcome", "surplus").output == ""
    assert run("facts", "list", "--outcome", "applied").exit_code == 2
    for number, why in ((held, "that is decided"), (unknown, "parked unknown_number"), (1, "no such fact")):
        done = run("facts", "reexamine", str(number))
        assert done.exit_code == 1
        assert why in done.output


def test_money_that_matches_nothing_is_assigned_to_an_order(operator: World) -> None:
    view = operator.order()
    ref = Ref(ours="12345678", theirs="T-2")
    number = told(operator, paid_fact(operator, view.payments[0].id, owner=None, ref=ref)).fact_id
    words = ("facts", "assign", str(number), "--order", str(view.order.id))
    shown = run(*words)
    said = f"would give 6.00 CNY of T-2 to order {view.order.id} of user alice"
    assert (shown.exit_code, shown.output.startswith(said), operator.coins()) == (0, True, 0)
    assert run(*words, "--yes", "--actor", "jo").exit_code == 2, "who and why are asked for"
    done = run(*words, "--yes", "--actor", "jo", "--reason", "the receipt")
    assert (done.exit_code, done.stdout.strip(), operator.coins()) == (0, "applied", 66)
    again = run(*words, "--yes", "--actor", "jo", "--reason", "the receipt")
    assert (again.exit_code, "it is assigned already" in again.output) == (1, True)


def test_a_fact_whose_cause_has_come_is_applied_by_hand(operator: World) -> None:
    payment_id = operator.order().payments[0].id
    number = told(operator, paid_fact(operator, payment_id, account="m-9")).fact_id
    change = text("UPDATE facts SET content = :content WHERE slot = :slot AND id = :id").bindparams(
        bindparam("content", type_=Json)
    )
    content = content_of(paid_fact(operator, payment_id))
    values = {"content": content, "slot": number & 4095, "id": number}
    operator.core.whole.transact(lambda tx: tx.execute(change, values))
    done = run("facts", "reexamine", str(number))
    assert (done.exit_code, done.stdout.strip()) == (0, "applied")
    assert operator.coins() == 66


def test_overdue_payments_are_listed_and_closed_by_hand(operator: World) -> None:
    """The command goes by the real clock, long after the world's: everything open is overdue."""
    view = operator.order()
    number = str(view.payments[0].id)
    [line] = run("payments", "overdue").output.splitlines()
    assert line.startswith(f"{number}  2026-01-02 03:34:05  sandbox  pending  theirs=sbx_1")
    assert run("payments", "close", number).exit_code == 2, "who and why are asked for"
    done = run("payments", "close", number, "--actor", "jo", "--reason", "the console says no")
    assert (done.exit_code, done.stdout.strip()) == (0, f"payment {number}: closed")
    assert operator.payment(view.payments[0].id).problem == "closed by hand: operator:jo: the console says no"
    assert operator.order_row(view.order.id).status == "expired"
    assert run("payments", "overdue").output == ""
    again = run("payments", "close", number, "--actor", "jo", "--reason", "again")
    assert (again.exit_code, "it is closed already" in again.output) == (1, True)


def _account() -> str:
    import json

    from tests.support.world import SECRET

    return json.dumps(
        {"plugin": "sandbox", "live": False, "base_url": "http://127.0.0.1:1", "merchant": "m-1", "secret": SECRET}
    )
