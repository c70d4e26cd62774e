"""`tillbook audit`, and what shows how far it is: a bar on a terminal, lines elsewhere, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from app.cli import anchor_files
from app.cli.house import house
from app.services.audit import run as books
from app.services.audit.ledger import SILENT, AsOf, AuditState, Watch

Tell = Callable[[str], None]


@click.command()
@click.option("--quiet", is_flag=True, help="Only the verdict and the findings.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the state here, and go on from it if it is there.",
)
@click.option(
    "--anchor",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write into this new file what is there now. Keep it where nobody who has the database can change it.",
)
@click.option(
    "--against",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also prove that everything that this anchor names is there, unchanged. May be given more than once.",
)
@click.option("--replica", is_flag=True, help="Prove the database of `reports_database_url`, and only that one.")
def audit(quiet: bool, state: Path | None, anchor: Path | None, against: tuple[Path, ...], replica: bool) -> None:
    """Recompute balances from postings and orders from facts. Exits 1 and lists what differs.

    The seal stands for all chains of the ledger: keep it elsewhere to prove later that nothing was rewritten since.
    An anchor goes on proving so while the books are in use. A file that is no anchor: exits 2.
    """
    core = house().core
    if replica and core.replica is None:
        raise click.UsageError("--replica: the settings name no `reports_database_url`")
    if replica and len(house().engines) > 1:
        raise click.UsageError("--replica: of several, each would be proved as of another moment")
    core = core.for_reports() if replica else core
    if anchor:
        anchor_files.refuse_to_replace(anchor)
    if (anchor or against) and not core.rules.ledger.seals.key:
        click.echo(anchor_files.NO_KEY, err=True)
    headers = {file: anchor_files.header_of(file, core.rules.ledger.seals) for file in against}
    try:
        ledger = kept_in(state) or AuditState()
    except ValueError as error:
        raise click.ClickException(f"{state} holds no state of an audit: {error}") from None
    as_of = AsOf(core.rules.ledger, core.clock.now, core.registry.bill_rules)
    with shown_progress(quiet=quiet, keep=keep_in(state)) as (watch, tell):
        findings = books.audit(core.whole.sessions, as_of, tell, ledger=ledger, watch=watch)
    for file, header in headers.items():
        findings += anchor_files.compare(core, file, header, books.MOST_FINDINGS)
    for finding in findings:
        click.echo(f"{finding.what}: {finding.detail}")
    if state:
        state.unlink(missing_ok=True)
    if anchor:
        anchor_files.write_anchor(core, anchor)
    if not quiet:
        click.echo(f"ledger: {ledger.transfers} transfers in {ledger.accounts} books, seal {ledger.seal or 'none'}")
    click.echo("audit: balanced" if not findings else f"audit: {len(findings)} findings")
    if findings:
        raise SystemExit(1)


@dataclass(slots=True)
class _Bar:
    """On a terminal. The bar counts transfers: slots may be of any size."""

    stack: ExitStack
    bar: Any = None

    def begun(self, transfers: int) -> None:
        shown = click.progressbar(length=transfers, label="ledger", show_pos=True, file=sys.stderr)
        self.bar = self.stack.enter_context(shown)

    def proved(self, transfers: int) -> None:
        self.bar.update(transfers)

    def orders(self, text: str) -> None:
        self.stack.close()
        click.echo(f"\r{text}", nl=False, err=True)


@dataclass(slots=True)
class _Lines:
    """Into a file or a pipe: one line for each tenth of the ledger."""

    total: int = 0
    done: int = 0
    told: int = field(default=0)

    def begun(self, transfers: int) -> None:
        self.total = transfers
        click.echo(f"ledger: {transfers} transfers to prove", err=True)

    def proved(self, transfers: int) -> None:
        self.done += transfers
        tenth = min(10, 10 * self.done // self.total) if self.total else 0
        if tenth > self.told:
            self.told = tenth
            click.echo(f"ledger: {self.done} of {self.total} transfers", err=True)

    def orders(self, text: str) -> None:
        click.echo(text, err=True)


@contextmanager
def shown_progress(*, quiet: bool, keep: Callable[[AuditState], None]) -> Iterator[tuple[Watch, Tell | None]]:
    """Whom the audit shall tell of the ledger and of the orders. `keep` gets the state after each slot in any case."""
    if quiet:
        yield Watch(slot=keep), None
        return
    with ExitStack() as stack:
        on_terminal = sys.stderr.isatty()
        view = _Bar(stack) if on_terminal else _Lines()
        yield Watch(view.begun, view.proved, keep), view.orders
    if on_terminal:
        click.echo(err=True)


def keep_in(file: Path | None) -> Callable[[AuditState], None]:
    """Replaces the file as a whole: whenever the audit is stopped, a readable state is there."""
    if file is None:
        return SILENT.slot

    def keep(state: AuditState) -> None:
        fresh = file.with_name(f"{file.name}.new")
        fresh.write_text(state.to_json(), encoding="utf-8")
        fresh.replace(file)

    return keep


def kept_in(file: Path | None) -> AuditState | None:
    """The state that an audit left there. Raises ValueError if the file holds something else."""
    if file is None or not file.exists():
        return None
    try:
        return AuditState.from_json(file.read_text(encoding="utf-8"))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(str(error)) from None
