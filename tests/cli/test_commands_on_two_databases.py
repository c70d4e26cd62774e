"""Each command says over two databases what it says over one with the same rows: none reads one of them alone.

The same service is kept three times: whole in one database, shared by two, and without the rows of the second, so that
a command which would read home alone would say another thing.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, delete, insert

from app.cli import main
from app.domain.numbers import SLOTS, slot_of_user
from app.domain.slot_map import SlotMap, map_of
from app.domain.spending import HoldRequest
from app.models.catalogue import Product
from app.models.slot_map import SLOT_MAP
from app.providers.facts import Message, Ref
from app.services.base.context import Tx
from app.services.base.reported_fact import ReportedFact
from app.services.calls import refund_calls
from app.services.events import deliveries, endpoints, feed
from app.services.facts import inbox
from app.services.facts.owner import tell
from app.services.ledger import freezes, holds
from app.services.moves.slot_rows import carry_slots, rows_by_slot
from tests.promises.test_odd_rows import others
from tests.support.agreement_house import agreement_house
from tests.support.backend_wallets import ExternalBuyer, sell_externally
from tests.support.buyer import Buyer
from tests.support.clean_environment import forget_our_variables
from tests.support.databases import engine_for, sessions_for
from tests.support.facts import told
from tests.support.friends import friends_in
from tests.support.settling_house import SettlingHouse, alien_line, line_of, settling_house
from tests.support.two_databases import HALF
from tests.support.world import SECRET, World, build_world

SETTINGS = f"""
env = "test"
[provider_accounts.sandbox]
plugin = "sandbox"
live = false
base_url = "http://127.0.0.1:1"
merchant = "m-1"
secret = "{SECRET}"
"""
ONE = map_of([("first", [(0, SLOTS - 1)])])
TWO = map_of([("first", [(0, HALF - 1)]), ("second", [(HALF, SLOTS - 1)])])
LOW, HIGH = "alice", "carol"
"""Users of the first and of the second database."""
DAYS = "--from 2026-01-01 --to 2026-01-31"

# What reads. Of most of them something is said about both users, so home alone would say less.
OF_BOTH = (
    "agreements list",
    "agreements list --csv",
    "agreements show {agreement}",
    "endpoints list",
    "endpoints deliveries game",
    "events tail --after oldest --no-follow",
    "facts find {theirs}",
    "facts find {payment}",
    "facts list",
    "facts list --outcome surplus",
    "facts list --outcome not_ours --theirs {alien}",
    "find {theirs}",
    "find {order} --timeline",
    f"find {HIGH}",
    "fulfilments waiting",
    "gifts waiting",
    "messages list",
    "orders list",
    "orders list --csv",
    f"orders list --user {HIGH}",
    "payments overdue",
    "refunds list",
    "refunds list --csv",
    "refunds overdue",
    "scans list",
    "wallets history {frozen}",
    f"wallets holds {HIGH}",
    "report deferred-revenue",
    "report unspent",
    "report clearing sandbox 2026-01-02",
    f"report sales {DAYS}",
    f"report refunds {DAYS}",
    "report trial-balance --at 2026-01-31",
)
# What lies at home, and reports for which the worker has worked out no day.
OF_HOME = (
    "audit --quiet",
    "bills list --account sandbox",
    "bills lines sandbox",
    "bills readings",
    "callers list",
    "closings",
    "differences list",
    "differences show {difference}",
    "journal list",
    "keys list",
    "operators list",
    "report chart",
    f"report adjustments {DAYS}",
    f"report contract-liability {DAYS}",
    f"report fees {DAYS}",
    f"report journal {DAYS}",
    f"report revenue {DAYS}",
    f"report settlement {DAYS}",
    f"report store-sales {DAYS}",
)
# What changes something, in an order in which each has something to do.
CHANGES = (
    "differences repair {difference}",
    "differences run sandbox 2026-01-01..2026-01-03 --actor mei",
    "book-bills sandbox 2026-01-01 2026-01-03",
    "archive write kept.jsonl --before 2026-06-01",
    "archive prove kept.jsonl",
    "facts reexamine {parked}",
    "facts assign {parked} --order {order}",
    "facts end {parked}",
    "messages resolve {message}",
    "messages replay {message}",
    "payments close {overdue} --actor mei --reason asked",
    "fulfilments end {fulfilment} --by mei --reason asked",
    "refunds end {refund} --by mei --reason asked",
    "agreements cancel {agreement} --by mei",
    f"wallets freeze {HIGH} --environment sandbox --reason asked --actor mei",
    f"wallets unfreeze {HIGH} --environment sandbox --reason asked --actor mei",
    "wallets import openings.csv --actor mei",
    "endpoints pause game --reason asked",
    "endpoints resume game",
    "endpoints resend game --since 2026-01-01T00:00:00Z",
    "recount-checkpoints 2026-01-01",
    "messages list",
    "facts list",
    "payments overdue",
    "fulfilments waiting",
    "refunds overdue",
    f"wallets history {HIGH}",
    "audit --quiet",
)
ELSEWHERE = {
    "agreements import": "needs a provider that charges; tests of services run over two databases",
    "owners import": "needs a store; tests of services run over two databases",
    "agreements charge-now": "calls a provider",
    "bills export": "tests/cli/test_bills.py: bills lie at home",
    "bills fetch": "calls a provider",
    "bills import": "bills lie at home",
    "bills read-again": "bills lie at home",
    "callers cap": "callers lie at home",
    "callers new": "callers lie at home",
    "check": "tests/cli/test_several_databases.py",
    "close": "waits for days that the worker adds up",
    "differences match": "differences lie at home",
    "differences note": "differences lie at home",
    "differences reopen": "differences lie at home",
    "differences resolve": "differences lie at home",
    "differences take": "differences lie at home",
    "differences write-off": "differences lie at home",
    "distribute": "tests/cli/test_several_databases.py",
    "endpoints add": "makes a secret of chance",
    "endpoints give-up": "of one event",
    "endpoints remove": "endpoints lie at home",
    "endpoints rotate": "makes a secret of chance",
    "endpoints test": "calls an endpoint",
    "events catalogue": "reads no database",
    "events trigger": "of one event",
    "journal confirm": "the journal lies at home",
    "journal payout": "the journal lies at home",
    "journal post": "the journal lies at home",
    "journal reverse": "the journal lies at home",
    "journal show": "the journal lies at home",
    "journal withdraw": "the journal lies at home",
    "keys new": "makes a key of chance",
    "keys revoke": "keys lie at home",
    "migrate": "tests/cli/test_several_databases.py",
    "operators end": "operators lie at home",
    "operators new": "operators lie at home",
    "operators renew": "operators lie at home",
    "products import": "tests/cli/test_several_databases.py",
    "scans skip": "histories lie at home",
    "slots move": "tests/cli/test_several_databases.py",
    "worker": "tests/cli/test_several_databases.py",
}


UNORDERED = ("endpoints deliveries game", "events tail --after oldest --no-follow")
"""Each database orders its own events."""
_OF_ITS_OWN = re.compile(
    r"[0-9-]{10} [0-9:]{8}(?=.*: asked)|\b[0-9]{15,}\b|[0-9:]{8}\.[0-9]+"
    r"|\(place [0-9]+ in the feed\)|[0-9]+ events are gone"
)
"""What each service gives of its own: numbers, moments, places in feeds, and how many places these are."""
_NONSENSE = Message("notification", b"what nobody understands")


@dataclass(frozen=True)
class Kept:
    """Folders in which the same service is kept, and the numbers by which commands name things of it."""

    folders: Mapping[str, Path]
    names: Mapping[str, str]

    def says(self, folder: str, command: str) -> list[str]:
        """What a command says there: its exit code, and its lines but for those of the log."""
        with pytest.MonkeyPatch.context() as patch:
            forget_our_variables(patch)
            patch.chdir(self.folders[folder])
            done = CliRunner().invoke(main, command.format(**self.names).split())
        assert done.exception is None or isinstance(done.exception, SystemExit), (command, done.exception)
        errors = [line for line in done.stderr.splitlines() if line.startswith(("Error", "Usage"))]
        lines = [_OF_ITS_OWN.sub("…", line) for line in (*done.stdout.splitlines(), *errors)]
        return [f"exit {done.exit_code}", *(sorted(lines) if command in UNORDERED else lines)]


@pytest.fixture
def kept(tmp_path: Path, sqlite_template: Path) -> Kept:
    folders = {name: tmp_path / name for name in ("one", "two", "half")}
    for folder in folders.values():
        folder.mkdir()
    file = folders["one"] / "first.sqlite3"
    shutil.copyfile(sqlite_template, file)
    with engine_for(f"sqlite:///{file}") as engine:
        names = _filled(build_world(engine, sessions_for(engine)))
        _bear(engine, "first", ONE)
    shutil.copyfile(file, folders["two"] / "first.sqlite3")
    shutil.copyfile(sqlite_template, folders["two"] / "second.sqlite3")
    _divide(folders["two"])
    shutil.copyfile(folders["two"] / "first.sqlite3", folders["half"] / "first.sqlite3")
    with engine_for(f"sqlite:///{folders['half']}/first.sqlite3") as engine:
        _bear(engine, "first", ONE)
    for name, maps in (("one", ONE), ("half", ONE), ("two", TWO)):
        _write_settings(folders[name], maps)
    return Kept(folders, names)


def _bear(engine: Engine, name: str, wanted: SlotMap) -> None:
    with engine.begin() as connection:
        connection.execute(delete(SLOT_MAP))
        connection.execute(insert(SLOT_MAP).values(id=1, name=name, version=1, document=wanted.document))


def _divide(folder: Path) -> None:
    """The second database gets the rows of its slots, and no longer are they in the first."""
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(engine_for(f"sqlite:///{folder}/{name}.sqlite3")) for name in ("first", "second")
        )
        _bear(second, "second", TWO)
        with first.connect() as reading, second.begin() as writing:
            products = [dict(row) for row in reading.execute(Product.__table__.select()).mappings()]
            writing.execute(insert(Product.__table__), products)
        carry_slots(first, second, rows_by_slot(first, range(HALF, SLOTS)), version=1)
        _bear(first, "first", TWO)


def _write_settings(folder: Path, maps: SlotMap) -> None:
    databases = "".join(
        f'[[databases]]\nname = "{name}"\nurl = "sqlite:///{folder}/{name}.sqlite3"\n' for name in maps.names
    )
    (folder / "tillbook.toml").write_text(SETTINGS + databases, encoding="utf-8")
    (folder / "openings.csv").write_text(
        "id,user,asset,amount,bonus\n" + "".join(f"o-{user},{user},coin,5,true\n" for user in (LOW, HIGH))
    )


def _filled(world: World) -> dict[str, str]:
    """A service of which something of each kind lies in both halves; the names by which commands ask for it, of what
    lies in the second."""
    names: dict[str, str] = {}
    friends = friends_in(world)
    house = settling_house(friends.world)
    wanted = endpoints.NewEndpoint("game", "https://game.test/", (), endpoints.BY_API, "a test")
    world.core.house.transact(lambda tx: endpoints.add_endpoint(tx, wanted))
    for user, other in ((LOW, HIGH), (HIGH, LOW)):
        names = _of_user(house, user)
        friends.send_only(user, other, 10)
        house.world.clock.advance(60)
    for number in map(str, range(8)):
        told_there = tell(world.core, ReportedFact(world.account, others(number), "scan"))
        if told_there.slot >= HALF:
            names["alien"] = f"T-{number}"
    house.compare()
    names["difference"] = str(next(row.id for row in house.listed() if row.theirs == f"T-shop-{HIGH}"))
    for user in (LOW, HIGH):
        names["agreement"] = str(agreement_house(world).signed(user))
    sell_externally(world)
    for user in (f"outside-{number}" for number in (1, 0)):
        buyer = ExternalBuyer(world, user)
        buyer.pay()
        if slot_of_user(user) >= HALF:
            names["fulfilment"] = str(buyer.order_id)
    feed.place_events(world.core)
    (row,) = world.core.home.read(endpoints.all_endpoints)
    while deliveries.plan_deliveries(world.core.everywhere()[0], row):
        pass
    return names


def _of_user(house: SettlingHouse, user: str) -> dict[str, str]:
    world, slot = house.world, slot_of_user(user)
    buyer = Buyer(world, user)
    buyer.pay()
    refund_calls.work_on_refund(world.core, buyer.ask(100))
    refund = buyer.ask(100)
    told(world, replace(buyer.paid(), ref=replace(buyer.paid().ref, theirs=f"second-{user}")))
    parked = replace(buyer.paid(), ref=Ref(str(world.core.numbers.next(slot)), f"parked-{user}"), owner=None)
    paid = house.paid(f"{user}-settles")
    house.bring(f"bill-{user}", [line_of(paid), alien_line(f"T-shop-{user}", f"shop-{user}")])
    message = {"account": "sandbox", "message": _NONSENSE, "reason": "note", "detail": f"of {user}"}
    request = HoldRequest(user, "coin", 5, "h", 60, environment="sandbox", reference="room-1")
    freezing = freezes.Change(user, "sandbox", None, False, "a test", "operator:mei")

    def work(tx: Tx) -> int:
        holds.hold(tx, slot, request)
        freezes.apply(tx, slot, freezing)
        return inbox.keep_message(tx, slot, **message)

    return {
        "order": str(buyer.order_id),
        "payment": str(buyer.payment_id),
        "theirs": buyer.theirs,
        "refund": str(refund),
        "parked": str(told(world, parked).fact_id),
        "overdue": str(house.ordered(user)),
        "message": str(world.core.at(slot).transact(work)),
        "frozen": user,
    }


def _names_of(commands: Iterable[str]) -> set[str]:
    """The commands themselves, without what they are given."""
    found = set()
    for words in map(str.split, commands):
        group = main.commands[words[0]]
        found.add(" ".join(words[:2]) if isinstance(group, click.Group) else words[0])
    return found


def test_every_command_is_compared_or_it_is_said_why_not() -> None:
    every = {
        f"{name} {each}" if isinstance(command, click.Group) else name
        for name, command in main.commands.items()
        for each in (command.commands if isinstance(command, click.Group) else [""])
    }
    assert every == _names_of((*OF_BOTH, *OF_HOME, *CHANGES)) | ELSEWHERE.keys()


def test_each_command_says_over_two_databases_what_it_says_over_one(kept: Kept) -> None:
    """In one test, for the service takes seconds to fill: what reads first, then what changes."""
    one = {command: kept.says("one", command) for command in (*OF_HOME, *OF_BOTH)}
    other = [command for command, said in one.items() if kept.says("two", command) != said]
    too_little = [command for command in OF_BOTH if kept.says("half", command) == one[command]]
    other += [command for command in CHANGES if kept.says("two", command) != kept.says("one", command)]
    assert other == [], "these read one of the databases alone"
    assert too_little == [], "of these nothing lies in the second, so the test would not see it"
