"""The whole proof: the ledger in itself, its checkpoints, orders and payments against facts and ledger, that every
payment is credited once, gifts in both their slots, until when paid periods are earned, that nothing was written by
anybody else, that providers' bills are as they came, the money books, and that the contract liability is what unspent
coins are worth."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain

from app.domain.proof.rows import UNREADABLE, LedgerFinding
from app.services.audit import ledger as ledger_audit
from app.services.audit import naming
from app.services.audit.bills import audit_bills
from app.services.audit.checkpoints import audit_checkpoints
from app.services.audit.finance import audit_finance
from app.services.audit.gifts import audit_gifts
from app.services.audit.ledger import SILENT, AsOf, AuditState, Watch
from app.services.audit.once import audit_once
from app.services.audit.orders import Finding, Progress, audit_orders
from app.services.audit.plan_periods import audit_plan_periods
from app.services.audit.recognition import audit_recognition
from app.services.audit.seals import audit_seals
from app.services.base.transaction import Sessions, read

MOST_FINDINGS = 1000


def audit(
    sessions: Sessions,
    as_of: AsOf,
    progress: Progress | None = None,
    *,
    ledger: AuditState | None = None,
    watch: Watch = SILENT,
) -> list[Finding]:
    """What differs, at most the first 1000; empty if the books are balanced.

    The ledger goes on from `ledger`, and `watch.slot` gets its state after each slot: on millions of postings that is
    where an audit that was stopped is taken up again. `progress` is told of the rest.
    """
    proved = ledger_audit.audit_ledger(sessions, as_of=as_of, state=ledger, watch=watch)
    findings = [_of_ledger(sessions, found) for found in proved.findings]
    proofs = (
        audit_checkpoints(sessions, progress),
        audit_orders(sessions, progress),
        audit_once(sessions, progress),
        audit_gifts(sessions, progress),
        audit_plan_periods(sessions, progress),
        audit_seals(sessions, as_of.rules.seals, progress),
        audit_bills(sessions),
        audit_recognition(sessions, as_of.rules.zone, progress),
        audit_finance(sessions, as_of.now(), as_of.bill_rules),
    )
    for finding in chain.from_iterable(map(_as_far_as_readable, proofs)):
        findings.append(finding)
        if len(findings) >= MOST_FINDINGS:
            break
    return findings


def _of_ledger(sessions: Sessions, found: LedgerFinding) -> Finding:
    """With whose row it is, as far as that can still be read."""
    try:
        about = read(sessions, partial(naming.of_ledger, finding=found))
    except UNREADABLE:
        about = ""
    return Finding(f"ledger_{found.table}", f"slot {found.slot}, {found.row}: {found.what}{about}")


def _as_far_as_readable(proof: Iterator[Finding]) -> Iterator[Finding]:
    """A row that somebody made unreadable ends its proof, and is a finding; the other proofs go on."""
    try:
        yield from proof
    except UNREADABLE as error:
        yield Finding("unreadable", f"a row of orders, facts, refunds or keys cannot be read: {error!r}")
