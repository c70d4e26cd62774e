"""The whole proof: the ledger in itself, then orders and payments against their facts and the ledger."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.numbers import SLOTS
from app.services import ledger_audit
from app.services.ledger_audit import AuditState
from app.services.order_audit import Finding, Progress, audit_orders
from app.services.transaction import Sessions

MOST_FINDINGS = 1000


def audit(
    sessions: Sessions,
    progress: Progress | None = None,
    *,
    ledger: AuditState | None = None,
    keep: Callable[[AuditState], None] = lambda _: None,
) -> list[Finding]:
    """What differs, at most the first 1000; empty if the books are balanced.

    The ledger goes on from `ledger`, and `keep` gets its state after each slot: on millions of postings that is where
    an audit that was stopped is taken up again.
    """

    def watch(state: AuditState) -> None:
        keep(state)
        if progress is not None:
            progress(f"ledger: slot {min(state.next_slot, SLOTS)} of {SLOTS}, {state.transfers} transfers")

    proved = ledger_audit.audit(sessions, state=ledger, watch=watch)
    findings = [
        Finding(f"ledger_{found.table}", f"slot {found.slot}, {found.row}: {found.what}") for found in proved.findings
    ]
    for finding in audit_orders(sessions, progress):
        findings.append(finding)
        if len(findings) >= MOST_FINDINGS:
            break
    return findings
