"""Asks a provider to shut a payment: one that is not paid yet, or one whose money is only reserved."""

from __future__ import annotations

from app.domain.facts import Ref
from app.providers.verbs import Cancels
from app.services.base.context import Core
from app.services.calls import payment_queries
from app.services.calls.payment_queries import ASK_SECONDS, Answer, Asked
from app.services.calls.provider_call import call_provider


def cancel(core: Core, asked: Asked) -> Asked:
    """Ask the provider to shut the payment. A provider that cannot is treated as one that knows nothing of it."""
    row = asked.row
    account = core.registry.get(row.provider_account)
    if account is None or not isinstance(account.provider, Cancels):
        return Asked(Answer.NO_SUCH, row)
    shutter, ref = account.provider, Ref(ours=str(row.id), theirs=row.theirs)
    subject = payment_queries.call_subject(row)
    called = call_provider(core, account, "cancel", lambda: shutter.cancel(ref), seconds=ASK_SECONDS, subject=subject)
    return payment_queries.apply_answer(core, account, row, called, "reply")
