"""Who owns a store purchase. One row per purchase for the whole service, written before anything is credited."""

from __future__ import annotations

from sqlalchemy import select

from app.domain.numbers import slot_of_reference, slot_of_user
from app.models.catalogue import Claim
from app.services.base.context import Core, Tx
from app.services.base.sanitize import name_of
from app.services.base.upsert import insert_if_new

_c = Claim.__table__.c


def agreement_reference(agreement: str) -> str:
    """The name under which a whole subscription is claimed: whoever owns it owns each of its periods."""
    return name_of(f"agreement:{agreement}")


def owner_of(core: Core, provider_account: str, environment: str, reference: str) -> str | None:
    """The user who owns the purchase; None if nobody does yet."""
    return core.read(lambda tx: _owner(tx, provider_account, environment, reference))


def claim(core: Core, provider_account: str, environment: str, reference: str, user_id: str) -> str:
    """Claim the purchase for the user, in a transaction of its own; its owner, who may be somebody else.

    The same user claiming again changes nothing, so a process that dies after this and before the credit loses nothing:
    the next telling of the purchase goes on from here.
    """
    row = {
        "cslot": _cslot(provider_account, environment, reference),
        "provider_account": provider_account,
        "environment": environment,
        "reference": reference,
        "slot": slot_of_user(user_id),
        "user_id": user_id,
        "claimed_at": core.clock.now(),
    }

    def work(tx: Tx) -> str:
        if insert_if_new(tx, Claim.__table__, row):
            return user_id
        return _owner(tx, provider_account, environment, reference) or user_id

    return core.transact(work)


def _owner(tx: Tx, provider_account: str, environment: str, reference: str) -> str | None:
    wanted = select(_c.user_id).where(
        _c.cslot == _cslot(provider_account, environment, reference),
        _c.provider_account == provider_account,
        _c.environment == environment,
        _c.reference == reference,
    )
    return tx.execute(wanted).scalar_one_or_none()


def _cslot(provider_account: str, environment: str, reference: str) -> int:
    return slot_of_reference(f"{provider_account}:{environment}:{reference}")
