"""Who owns a store purchase. One row per purchase for the whole service, written before anything is credited: each
statement here is a transaction of its own, in the database of the claim's own slot.

The row of a purchase, or of one period of an agreement, never changes hands. The row of an agreement follows its newest
period: one account at the store may serve two users of the app, one after the other.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, and_, bindparam, case, func, select

from app.domain.facts import Ref
from app.domain.numbers import slot_of_reference, slot_of_user
from app.models.catalogue import Claim
from app.services.base.context import Core
from app.services.base.sanitize import name_of
from app.services.base.statements import RowInsert, Statement
from app.services.base.wire import Row


@dataclass(frozen=True, slots=True)
class AgreementOwner:
    """Whose newest period an agreement is."""

    user_id: str
    imported_until: datetime | None
    """Until when an earlier system credited its periods; None: it was not imported."""
    newest_at: datetime
    """When the newest period that was claimed of it began."""


_CLAIMS = cast(Table, Claim.__table__)
_c = _CLAIMS.c
_KEY = [_c.cslot, _c.provider_account, _c.environment, _c.reference]
_NEWEST = func.coalesce(_c.newest_at, _c.claimed_at)
_OWNER = Statement(
    lambda _: select(_c.user_id, _c.imported_until, _NEWEST).where(
        *(column == bindparam(column.name) for column in _KEY)
    )
)
# A claim that is there stays as it is: written again with its own user only so that the statement says who it is.
_CLAIM = RowInsert(
    _CLAIMS,
    lambda insert: insert.on_conflict_do_update(index_elements=_KEY, set_={"user_id": _c.user_id}).returning(
        _c.user_id
    ),
)
_CLAIM_AGREEMENT = RowInsert(
    _CLAIMS,
    lambda insert: insert.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: insert.excluded[name] for name in ("slot", "user_id", "newest_at")},
        where=and_(insert.excluded.newest_at > _NEWEST, _c.user_id == insert.excluded.user_id),
    ),
)
_MOVE_AGREEMENT = RowInsert(
    _CLAIMS,
    lambda insert: insert.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: insert.excluded[name] for name in ("slot", "user_id", "newest_at")},
        where=insert.excluded.newest_at > _NEWEST,
    ),
)
# A claim of somebody else stays, and nothing is returned.
_CLAIM_IMPORTED = RowInsert(
    _CLAIMS,
    lambda insert: insert.on_conflict_do_update(
        index_elements=_KEY,
        set_={
            "imported_until": insert.excluded.imported_until,
            "newest_at": case((insert.excluded.newest_at < _NEWEST, _NEWEST), else_=insert.excluded.newest_at),
        },
        where=_c.user_id == insert.excluded.user_id,
    ).returning(_c.user_id),
)


def agreement_reference(agreement: str) -> str:
    """The name under which a whole subscription is claimed: by whoever owns its newest period."""
    return name_of(f"agreement:{agreement}")


def old_number_reference(known_as: str) -> str:
    """The name under which an imported agreement is claimed that the provider knows by an earlier system's number."""
    return name_of(f"old_number:{known_as}")


def imported_reference(ref: Ref) -> str:
    """The name under which an agreement is claimed, if it was imported: by the provider's number where that is told."""
    return agreement_reference(ref.agreement) if ref.agreement else old_number_reference(ref.our_agreement or "")


def token_reference(token: uuid.UUID) -> str:
    """The name under which a user is claimed whom an earlier system named to the store by this token."""
    return name_of(f"owner:{token}")


def owner_of(core: Core, provider_account: str, environment: str, reference: str) -> str | None:
    """The user who owns the purchase; None if nobody does yet."""
    found = _read(core, _keys(provider_account, environment, reference))
    return None if found is None else str(found[0])


def agreement_owner(core: Core, provider_account: str, environment: str, agreement: str) -> AgreementOwner | None:
    """Who owns the newest period of the agreement; None if nobody does yet."""
    found = _read(core, _keys(provider_account, environment, agreement_reference(agreement)))
    return None if found is None else AgreementOwner(str(found[0]), found[1], found[2])


def claim(core: Core, provider_account: str, environment: str, reference: str, user_id: str) -> str:
    """Claim the purchase for the user, in a transaction of its own; its owner, who may be somebody else.

    The same user claiming again changes nothing, so a process that dies after this and before the credit loses nothing:
    the next telling of the purchase goes on from here.
    """
    row = _row(core, provider_account, environment, reference, user_id)
    ((owner,),) = core.at(row["cslot"]).alone(lambda tx: _CLAIM.rows(tx, [row]))
    return str(owner)


def claim_agreement(
    core: Core, provider_account: str, environment: str, agreement: str, user_id: str, *, paid_at: datetime
) -> bool:
    """Note that the user has claimed a period of the agreement, paid at that moment. False for one that is not newer
    than what was noted, and where another user has the agreement: both leave it as it is."""
    return _claim_newest(_CLAIM_AGREEMENT, core, provider_account, environment, agreement, user_id, paid_at)


def move_agreement(
    core: Core, provider_account: str, environment: str, agreement: str, user_id: str, *, paid_at: datetime
) -> None:
    """Have the agreement go over to the user who paid its newest period, if nobody has noted a newer one."""
    _claim_newest(_MOVE_AGREEMENT, core, provider_account, environment, agreement, user_id, paid_at)


def _claim_newest(
    statement: RowInsert,
    core: Core,
    provider_account: str,
    environment: str,
    agreement: str,
    user_id: str,
    paid_at: datetime,
) -> bool:
    reference = agreement_reference(agreement)
    row = {**_row(core, provider_account, environment, reference, user_id), "newest_at": paid_at}
    (noted,) = core.at(row["cslot"]).alone(lambda tx: statement.run(tx, [row]))
    return noted.count == 1


def claim_imported(
    core: Core, provider_account: str, environment: str, agreement: str, user_id: str, *, until: datetime
) -> bool:
    """Claim an agreement that an earlier system brought for its user: its periods until that moment were credited
    there. False if somebody else has it; nothing is changed then."""
    row = _row(core, provider_account, environment, agreement_reference(agreement), user_id)
    row |= {"newest_at": until, "imported_until": until}
    return bool(core.at(row["cslot"]).alone(lambda tx: _CLAIM_IMPORTED.rows(tx, [row])))


def _read(core: Core, keys: dict[str, Any]) -> Row | None:
    return core.at(keys["cslot"]).alone(lambda tx: _OWNER.row(tx, keys))


def _row(core: Core, provider_account: str, environment: str, reference: str, user_id: str) -> dict[str, Any]:
    return {
        **_keys(provider_account, environment, reference),
        "slot": slot_of_user(user_id),
        "user_id": user_id,
        "claimed_at": core.clock.now(),
        "newest_at": None,
        "imported_until": None,
    }


def _keys(provider_account: str, environment: str, reference: str) -> dict[str, Any]:
    return {
        "cslot": slot_of_claim(provider_account, environment, reference),
        "provider_account": provider_account,
        "environment": environment,
        "reference": reference,
    }


def slot_of_claim(provider_account: str, environment: str, reference: str) -> int:
    """Where the claim lies: `claims` is divided by the hash of its own reference."""
    return slot_of_reference(f"{provider_account}:{environment}:{reference}")
