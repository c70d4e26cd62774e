"""What a store paid out, as journal entries that a person proposes: from the store's own statement, which a person
downloads where no bill tells of payouts. The statement says how much, and the bank's statement says when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from app.domain.chart import PER_ACCOUNT
from app.domain.journal import JournalEntry, JournalLine
from app.domain.payouts import StorePayout
from app.domain.report_tables import Amount
from app.models.base import AnyRow
from app.providers.errors import UnreadableBill
from app.providers.registry import ProviderAccount
from app.providers.verbs import ReadsPayouts
from app.services.base.context import Core, environment_of
from app.services.finance.journal import EntryRefused, EntryRequest, effective_day, propose_entry


def propose_payouts(
    core: Core, account: ProviderAccount, content: bytes, *, paid_at: datetime, others: Mapping[str, int], actor: str
) -> list[AnyRow]:
    """An entry for each payout and currency of the statement, each as if a person had written it: above the limit it
    waits for a second one. The same statement again finds the entries that are there, whoever brings it. `others`: how
    much of the money, in minor units by currency, was earned by what is not sold here, for a vendor's statement is of
    all that the vendor sells. Raises EntryRefused, and KeyReused where it is there with another day or other parts."""
    provider = account.provider
    if not isinstance(provider, ReadsPayouts):
        raise EntryRefused(f"{account.name} has no such statement: its bills tell of payouts")
    try:
        payouts = provider.read_payout(content)
    except UnreadableBill as error:
        raise EntryRefused(str(error)) from None
    known = {part.currency for payout in payouts for part in payout.parts}
    if len(payouts) > 1 and others:
        raise EntryRefused("it tells of several payouts: write the part of other systems by an entry of its own")
    if unknown := sorted(others.keys() - known):
        raise EntryRefused(f"nothing of it is in {unknown[0]}")
    effective_at = effective_day(paid_at, core.clock.now())
    caller = f"payout:{account.name}"
    rows = list[AnyRow]()
    for place, payout in enumerate(payouts):
        name = f"{payout.digest}:{payouts[:place].count(payout)}"
        for entry in _entries(account, payout, effective_at, others):
            rows.append(propose_entry(core, entry, EntryRequest(caller, f"{name}:{entry.currency}", actor)))
    return rows


def _entries(
    account: ProviderAccount, payout: StorePayout, paid_at: datetime | None, others: Mapping[str, int]
) -> Iterator[JournalEntry]:
    """For each currency: what came to the bank, was withheld and corrected, and what the store does not owe any
    more."""
    for part in payout.parts:
        foreign = others.get(part.currency, 0)
        debits = {
            "bank": part.paid_minor,
            "store_tax": part.withheld_minor,
            "adjustments": -part.adjusted_minor,
            "others": -foreign,
            "clearing": foreign - part.settled_minor,
        }
        lines = [
            JournalLine(f"{kind}{PER_ACCOUNT}{account.name}", max(minor, 0), max(-minor, 0))
            for kind, minor in debits.items()
            if minor
        ]
        if lines:
            document, reason = f"payout of {payout.period}", f"by the payments table of {account.name}"
            if part.currency != payout.bank_currency:
                paid, came = Amount(part.paid_minor, part.currency), Amount(part.bank_minor, payout.bank_currency)
                reason += f": {paid.written()} came to the bank as {came.written()}"
            environment = environment_of(account.live)
            yield JournalEntry(document, reason, part.currency, lines, paid_at, environment)
