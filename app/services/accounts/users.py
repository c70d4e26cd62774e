"""Users, known by the id that the app gives them, and the opaque token by which providers know them."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, exists, or_, select, update

from app.domain.numbers import SLOTS, slot_of_user, slot_of_uuid
from app.models.base import AnyRow
from app.models.ledger import ACCOUNTS
from app.models.orders import User
from app.services.base.context import Tx
from app.services.base.errors import DomainError, Invalid
from app.services.base.upsert import insert_if_new

LONGEST_USER_ID = 128
_USER_ID = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_u, _a = User.__table__.c, ACCOUNTS.c
_IS_KNOWN = select(
    or_(
        exists().where(_u.slot == bindparam("p_slot"), _u.id == bindparam("p_user")),
        exists().where(_a.slot == bindparam("p_slot"), _a.user_id == bindparam("p_user")),
    )
)


class UnknownUser(DomainError):
    """Nobody has seen this user: the name may be mistyped."""

    code = "unknown_user"
    remembered = False


def check_user_id(user_id: str) -> str:
    """The id, if it is 1 to 128 printable ASCII characters without blanks. Raises Invalid."""
    if not _USER_ID.fullmatch(user_id):
        raise Invalid("a user id is 1 to 128 printable ASCII characters without blanks", field="user")
    return user_id


def ensure_user(tx: Tx, user_id: str) -> AnyRow:
    """The user's row, made on first sight."""
    slot = slot_of_user(user_id)
    known = find_user(tx, user_id)
    if known is not None:
        return known
    add_user(tx, user_id)
    return tx.execute(select(*_u).where(_u.slot == slot, _u.id == user_id)).one()


def lock_user(tx: Tx, user_id: str) -> None:
    """Make the user's row on first sight, and lock it: until the end of the transaction nobody else counts what this
    user has going on, so that requests at the same time cannot pass a limit together."""
    locked = select(_u.id).where(_u.slot == slot_of_user(user_id), _u.id == user_id).with_for_update(key_share=True)
    if tx.execute(locked).one_or_none() is None:
        add_user(tx, user_id)
        tx.execute(locked)


def add_user(tx: Tx, user_id: str) -> None:
    """Make the user's row, unless another request has made it meanwhile."""
    slot = slot_of_user(user_id)
    row = {"slot": slot, "id": user_id, "token": new_token(slot), "consented_at": None, "created_at": tx.now}
    insert_if_new(tx, User.__table__, row)


def find_user(tx: Tx, user_id: str) -> AnyRow | None:
    slot = slot_of_user(user_id)
    return tx.execute(select(*_u).where(_u.slot == slot, _u.id == user_id)).one_or_none()


def check_known(tx: Tx, user_ids: Iterable[str]) -> None:
    """Raises UnknownUser for the first who never ordered, handed in no receipt, and has no account in the books."""
    for user_id in sorted(set(user_ids)):
        if not tx.scalar(_IS_KNOWN, {"p_slot": slot_of_user(user_id), "p_user": user_id}):
            raise UnknownUser(user=user_id)


def uuid_of(token: str | None) -> uuid.UUID | None:
    """The token as it is kept: its low 12 bits are the user's slot. None for what is no UUID, and so nobody's."""
    try:
        return None if token is None else uuid.UUID(token)
    except ValueError:
        return None


def user_of_token(tx: Tx, token: uuid.UUID) -> str | None:
    """The user whom providers know by this token of ours."""
    found = tx.execute(select(_u.id).where(_u.slot == slot_of_uuid(token), _u.token == token)).one_or_none()
    return None if found is None else str(found.id)


def new_token(slot: int) -> uuid.UUID:
    """A random UUID (version 4 by its bits) whose low 12 bits are the slot."""
    value = secrets.randbits(128)
    value = (value & ~(0xF << 76)) | (4 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return uuid.UUID(int=(value & ~(SLOTS - 1)) | slot)


def record_consent(tx: Tx, user_id: str, moment: datetime | None) -> None:
    """Since when the user agrees that providers are told how much of a purchase was used; None takes it back."""
    slot = slot_of_user(user_id)
    tx.execute(update(User).where(_u.slot == slot, _u.id == user_id).values(consented_at=moment))
