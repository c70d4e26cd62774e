"""What an `Idempotency-Key` stands for: one request of one caller, decided once.

A key keeps the resource that the request made, or the refusal that it met. A repeat gets the first answer again, even
where another one would be given now: a no does not become a yes, and a yes does not happen twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Uuid, and_, bindparam, exists, literal, or_, outerjoin, select

from app.domain.numbers import HOLD, KEYED, KEYED_TRANSFERS, ids_of_key
from app.domain.request_digests import DIGEST_LENGTH, differing_field, packed_digests
from app.models.ledger import HOLDS, REFUSALS, TRANSFERS
from app.models.orders import IdempotencyKey
from app.services.base.context import Core, Place, Tx
from app.services.base.errors import DomainError, KeyReused, remembered_refusal
from app.services.base.statements import Statement, make_row_type, with_names
from app.services.base.upsert import AskedMeanwhile, insertion_if_new

NO_RESOURCE = 0
"""The resource of a refusal, and of a request whose parts have keys of their own (a batch)."""
VERB = "request"
"""Named as the field that differs where the key was used for another kind of request."""

OPTIONAL = ("actor",)
"""Fields that requests of one kind have or have not."""

T = TypeVar("T")
S = TypeVar("S")
_k = IdempotencyKey.__table__.c
_IDS = {kind: bindparam(f"id_of_{kind}", type_=Uuid) for kind in KEYED}


def _booked(table: Any, *kinds: str) -> ColumnElement[bool]:
    return exists().where(table.c.slot == bindparam("slot"), table.c.id.in_([_IDS[kind] for kind in kinds]))


KEPT = (
    _k.fingerprint,
    _k.fields,
    _k.resource_id,
    _k.refusal,
    or_(_booked(TRANSFERS, *KEYED_TRANSFERS), _booked(REFUSALS, *KEYED), _booked(HOLDS, HOLD)).label("is_booked"),
)
"""What a key stands for, as `resource_of` reads it: of the row of the key, and whether the ledger knows the key, of a
spend, a grant, a debit or a hold. The values are `key_values`."""
_Kept = make_row_type("Kept", KEPT)
_REQUEST = select(literal(1).label("one")).subquery("request")
_OF_KEY = and_(_k.slot == bindparam("slot"), _k.caller == bindparam("caller"), _k.key == bindparam("key"))
_FIND = Statement(select(*KEPT).select_from(outerjoin(_REQUEST, IdempotencyKey.__table__, _OF_KEY)))
_CLAIM = insertion_if_new(IdempotencyKey.__table__)
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode
"""Made once: `json.dumps` would make it for each of a request's fields."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A caller's request with its key. The fingerprint covers everything that the request asks for."""

    caller: str
    """Whose key it is. A caller may use several API keys: a repeat under a new one is the same request."""
    key: str
    fingerprint: str
    fields: Mapping[str, str]
    """A short hash of each field, so that a conflict can say which one differs."""


class _Refused(Exception):
    """Undo what this transaction began, and keep the refusal for the key that was found in it."""

    def __init__(self, request: Keyed, error: DomainError, subject: Any) -> None:
        super().__init__()
        self.request, self.error, self.subject = request, error, subject


def keyed(caller: str, key: str, what: str, content: Mapping[str, Any]) -> Keyed:
    fields = {VERB: _digest(what)[:DIGEST_LENGTH]}
    fields |= {name: _digest(value)[:DIGEST_LENGTH] for name, value in content.items()}
    return Keyed(caller, key, _digest([what, content]), fields)


def decided_once(
    core: Core, slot: int, request: Keyed, decide: Callable[[Tx], int], *, where: Place | None = None
) -> int:
    """The resource that the request makes, or has made; `decide` runs only for a new key. Raises the refusal that
    `decide` raises or once raised, and KeyReused where the key stands for another request."""

    def work(tx: Tx) -> int:
        known = find_key(tx, slot, request)
        if known is not None:
            return known
        resource_id = decide(tx)
        claim_key(tx, slot, request, resource_id)
        return resource_id

    return remembering(core, slot, request, work, lambda resource_id: resource_id, where=where)


def decided_for_owner(
    core: Core, slot: int, lock: Callable[[Tx], tuple[Keyed, S]], decide: Callable[[Tx, Keyed, S], int]
) -> tuple[int, S]:
    """Decide once a request whose key belongs to caller and user, where only the request's subject tells who the user
    is: `lock` locks the subject and names the key, in the transaction that decides. The resource, and the subject as
    `decide` left it. Raises like `decided_once`."""

    def work(tx: Tx) -> tuple[int, S]:
        request, subject = lock(tx)
        resource_id = find_key(tx, slot, request)
        if resource_id is None:
            try:
                resource_id = decide(tx, request, subject)
            except DomainError as error:
                raise _Refused(request, error, subject) from error
            claim_key(tx, slot, request, resource_id)
        return resource_id, subject

    try:
        return core.at(slot).transact(work)
    except _Refused as refused:
        return _refusal_kept(core, slot, refused.request, refused.error), refused.subject


def remembering(
    core: Core,
    slot: int,
    request: Keyed,
    work: Callable[[Tx], T],
    repeated: Callable[[int], T],
    *,
    where: Place | None = None,
) -> T:
    """Run work that looks for its key and claims it; its refusal, if it meets one, is kept for the key.

    `repeated` shows the resource of a request with this key that was faster than the refusal. `where` is for work that
    needs more than the key's slot.
    """
    try:
        return (where or core.at(slot)).transact(work)
    except DomainError as error:
        return repeated(_refusal_kept(core, slot, request, error))


def find_key(tx: Tx, slot: int, request: Keyed) -> int | None:
    """The resource that the key stands for; None if the key is new. Raises the refusal that the key stands for, and
    KeyReused if the key stands for another request."""
    return resource_of(with_names(_Kept, _FIND.row(tx, key_values(slot, request))), request)


def key_values(slot: int, request: Keyed) -> dict[str, Any]:
    """The values of a statement that reads KEPT."""
    ids = {f"id_of_{kind}": each for kind, each in ids_of_key(slot, request.caller, request.key).items()}
    return {"slot": slot, "caller": request.caller, "key": request.key, **ids}


def resource_of(known: Any, request: Keyed) -> int | None:
    """What was read about the key (KEPT); None if the key is new. Raises like find_key."""
    if known.fingerprint is None:
        if known.is_booked:
            raise KeyReused(field=VERB)
        return None
    if known.fingerprint != request.fingerprint:
        raise KeyReused(field=differing_field(known.fields, request.fields, first=VERB, optional=OPTIONAL))
    if known.refusal is not None:
        raise remembered_refusal(known.refusal["code"], known.refusal["detail"], known.refusal["members"])
    return int(known.resource_id)


def claim_key(tx: Tx, slot: int, request: Keyed, resource_id: int) -> None:
    """Bind the key to the resource, with what is sent next, in the transaction that makes the resource and that has
    looked for the key (`find_key`). A second request at the same time waits there for the first; where the other one
    was faster, the transaction runs again and finds what that one made."""
    tx.later(_CLAIM, [_row(tx, slot, request, resource_id, None)], wrong=AskedMeanwhile)


def _refusal_kept(core: Core, slot: int, request: Keyed, error: DomainError) -> int:
    """Keep the refusal for the key, and raise it. If another request with the key was faster, that one's answer
    stands: its resource."""
    if not error.remembered:
        raise error
    kept = {"code": error.code, "detail": error.detail, "members": error.members}

    def work(tx: Tx) -> int | None:
        (claimed,) = _CLAIM.run(tx, [_row(tx, slot, request, NO_RESOURCE, kept)])
        return None if claimed.count == 1 else find_key(tx, slot, request)

    known = core.at(slot).transact(work)
    if known is None:
        raise error
    return known


def _row(tx: Tx, slot: int, request: Keyed, resource_id: int, kept: dict[str, Any] | None) -> dict[str, Any]:
    row = {
        "slot": slot,
        "caller": request.caller,
        "key": request.key,
        "fingerprint": request.fingerprint,
        "fields": packed_digests(request.fields),
        "resource_id": resource_id,
        "refusal": kept,
        "created_at": tx.now,
    }
    row["seal"] = tx.core.rules.ledger.seals.of_row("idempotency", row)
    return row


def _digest(content: Any) -> str:
    return hashlib.sha256(_canonical(content).encode()).hexdigest()
