"""Who owns a store purchase. One row per purchase for the whole service, written before anything is credited.

The row of a purchase, or of one period of an agreement, never changes hands. The row of an agreement follows its newest
period: one account at the store may serve two users of the app, one after the other.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from app.domain.numbers import slot_of_reference, slot_of_user
from app.models.catalogue import Claim
from app.services.base.context import Core, Tx
from app.services.base.sanitize import name_of
from app.services.base.upsert import insert_if_new

_c = Claim.__table__.c


def agreement_reference(agreement: str) -> str:
    """The name under which a whole subscription is claimed: by whoever owns its newest period."""
    return name_of(f"agreement:{agreement}")


def owner_of(core: Core, provider_account: str, environment: str, reference: str) -> str | None:
    """The user who owns the purchase; None if nobody does yet."""
    return core.read(lambda tx: _owner(tx, provider_account, environment, reference))


def claim(core: Core, provider_account: str, environment: str, reference: str, user_id: str) -> str:
    """Claim the purchase for the user, in a transaction of its own; its owner, who may be somebody else.

    The same user claiming again changes nothing, so a process that dies after this and before the credit loses nothing:
    the next telling of the purchase goes on from here.
    """
    row = _row(core, provider_account, environment, reference, user_id)

    def work(tx: Tx) -> str:
        if insert_if_new(tx, Claim.__table__, row):
            return user_id
        return _owner(tx, provider_account, environment, reference) or user_id

    return core.transact(work)


def claim_agreement(
    core: Core, provider_account: str, environment: str, agreement: str, user_id: str, *, paid_at: datetime
) -> None:
    """Note that the user has claimed a period of the agreement, paid at that moment: the agreement is whose newest
    period it is. An older period that is told late leaves it where it is."""
    reference = agreement_reference(agreement)
    row = {**_row(core, provider_account, environment, reference, user_id), "newest_at": paid_at}
    known = (
        _c.cslot == row["cslot"],
        _c.provider_account == provider_account,
        _c.environment == environment,
        _c.reference == reference,
    )
    newer = func.coalesce(_c.newest_at, _c.claimed_at) < paid_at

    def work(tx: Tx) -> None:
        if not insert_if_new(tx, Claim.__table__, row):
            changes = {name: row[name] for name in ("slot", "user_id", "newest_at")}
            tx.execute(update(Claim).where(*known, newer).values(**changes))

    core.transact(work)


def _row(core: Core, provider_account: str, environment: str, reference: str, user_id: str) -> dict[str, Any]:
    return {
        "cslot": slot_of_claim(provider_account, environment, reference),
        "provider_account": provider_account,
        "environment": environment,
        "reference": reference,
        "slot": slot_of_user(user_id),
        "user_id": user_id,
        "claimed_at": core.clock.now(),
        "newest_at": None,
    }


def _owner(tx: Tx, provider_account: str, environment: str, reference: str) -> str | None:
    wanted = select(_c.user_id).where(
        _c.cslot == slot_of_claim(provider_account, environment, reference),
        _c.provider_account == provider_account,
        _c.environment == environment,
        _c.reference == reference,
    )
    return tx.execute(wanted).scalar_one_or_none()


def slot_of_claim(provider_account: str, environment: str, reference: str) -> int:
    """Where the claim lies: `claims` is divided by the hash of its own reference."""
    return slot_of_reference(f"{provider_account}:{environment}:{reference}")
