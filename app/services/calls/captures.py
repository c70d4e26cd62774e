"""Takes the money that is reserved for a payment, or gives it up: asked of the provider until that is settled.

One payment is captured under its own number, so a repeat after a lost answer, or after this process died, captures
nothing twice. What became of a call without an answer is found out by the next query.
"""

from __future__ import annotations

import structlog

from app.domain.facts import Ref
from app.domain.money import Money
from app.domain.status import UNPAID_END, PaymentStatus
from app.models.base import AnyRow
from app.providers.registry import ProviderAccount
from app.providers.verbs import Captures
from app.services.base.context import Core, Tx
from app.services.base.sanitize import problem_text
from app.services.calls import payment_queries
from app.services.calls.payment_cancels import cancel
from app.services.calls.payment_queries import ASK_SECONDS, Answer, Asked
from app.services.calls.provider_call import call_provider
from app.services.payments import authorizations, payment_rows

CANNOT_CAPTURE = "authorized, and the plugin cannot capture: a person has to"
NOT_CAPTURED = "not captured yet: "
"""Followed by the provider's words."""
_log = structlog.get_logger(__name__)


def may_be_reserved(row: AnyRow) -> bool:
    """Whether it is worth a look: an authorisation that was told of an ended payment has brought its query forward."""
    ended = row.status in UNPAID_END and row.hinted_at is not None
    return ended or row.status == PaymentStatus.AUTHORIZED


def capture_or_give_up(core: Core, asked: Asked) -> tuple[Asked, bool]:
    """Go on with a payment about which the provider has just been asked; and whether money is reserved for it still,
    though it has ended here. Without an answer nothing is done: it may be captured already."""
    row, account = asked.row, core.registry.get(asked.row.provider_account)

    def look(tx: Tx) -> tuple[bool, Money | None]:
        return authorizations.is_reserved(tx, row), authorizations.to_capture(tx, row)

    is_reserved, money = core.at(row.slot).read(look)
    if asked.answer is Answer.NONE or account is None or not is_reserved:
        return asked, is_reserved
    after = cancel(core, asked) if money is None else _capture(core, account, asked, money)
    ended = after.row.status in UNPAID_END
    return after, ended and core.at(after.row.slot).read(lambda tx: authorizations.is_reserved(tx, after.row))


def _capture(core: Core, account: ProviderAccount, asked: Asked, money: Money) -> Asked:
    row, provider = asked.row, account.provider
    if not isinstance(provider, Captures):
        if row.problem != CANNOT_CAPTURE:
            _log.error("payment_cannot_be_captured", payment=row.id, provider_account=account.name)
        return _noted(core, asked, CANNOT_CAPTURE)
    ref = Ref(ours=str(row.id), theirs=row.theirs)
    subject = payment_queries.call_subject(row)
    called = call_provider(
        core, account, "capture", lambda: provider.capture(ref, money), seconds=ASK_SECONDS, subject=subject
    )
    after = payment_queries.apply_answer(core, account, row, called, "reply")
    return _noted(core, after, "" if called.answered else f"{NOT_CAPTURED}{called.problem}")


def _noted(core: Core, asked: Asked, problem: str) -> Asked:
    """Keep beside the payment, for people, why its money is not here."""
    row: AnyRow = asked.row
    if row.problem != problem:
        core.at(row.slot).transact(lambda tx: payment_rows.set_problem(tx, row.slot, row.id, problem_text(problem)))
    return Asked(asked.answer, payment_queries.reread(core, row))
