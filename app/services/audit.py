"""The whole proof: the ledger in itself, then orders and payments against their facts and the ledger."""

from __future__ import annotations

from app.services.order_audit import Finding, Progress, audit_orders
from app.services.transaction import Sessions

MOST_FINDINGS = 1000


def audit(sessions: Sessions, progress: Progress | None = None) -> list[Finding]:
    """What differs, at most the first 1000; empty if the books are balanced."""
    findings: list[Finding] = []
    for finding in audit_orders(sessions, progress):
        findings.append(finding)
        if len(findings) >= MOST_FINDINGS:
            break
    return findings
