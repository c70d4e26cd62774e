"""Bills as the providers made them: kept beside what was read from them, so that the books can be compared with them in
ten years, and what was misread can be read again."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import delete, func, select, update

from app.models.base import AnyRow
from app.models.bills import BILL_LINES, BILL_READINGS, BILLS, Bill
from app.services.base.context import Core, Tx
from app.services.base.sanitize import storable_text
from app.services.base.statements import Transaction
from app.services.base.upsert import insert_if_new

LONGEST_BILL_NAME = 128
_b = BILLS.c
_SHOWN = (_b.provider_account, _b.feed, _b.name, _b.sha256, _b.size, _b.since, _b.until, _b.fetched_at)
_log = structlog.get_logger(__name__)


class BillDamaged(ValueError):
    """The bytes that are kept are not those that came. The text says of which bill."""


@dataclass(frozen=True, slots=True)
class BillWindow:
    """What was asked for when the bill came, and where a reader is in it."""

    provider_account: str
    feed: str
    since: datetime
    until: datetime
    cursor: str | None = None
    """None: at the start."""


def keep_bills(core: Core, window: BillWindow, files: Sequence[tuple[str, bytes]]) -> int:
    """Keep the documents of one page; how many of them are new. Windows overlap, so most come more than once."""
    return sum(core.home.transact(partial(_keep, window=window, name=name, content=content)) for name, content in files)


def _keep(tx: Tx, *, window: BillWindow, name: str, content: bytes) -> bool:
    row: dict[str, Any] = {
        "provider_account": window.provider_account,
        "feed": window.feed,
        "name": storable_text(name, LONGEST_BILL_NAME),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    same = [BILLS.c[column] == value for column, value in row.items()]
    known = tx.scalar(select(_b.fetched_at).where(*same))
    if known is not None:
        if tx.scalar(select(func.count()).select_from(BILLS).where(*same[:3], _b.fetched_at > known)):
            _tell_once_more(tx, row)
        return False
    others = tx.scalar(select(func.count()).select_from(BILLS).where(*same[:3]))
    row |= {
        "size": len(content),
        "content": zlib.compress(content),
        "since": window.since,
        "until": window.until,
        "fetched_at": tx.now,
    }
    if not insert_if_new(tx, BILLS, row):
        return False
    said = {column: row[column] for column in ("provider_account", "feed", "name", "sha256", "size")}
    say, event = (_log.warning, "bill_made_anew") if others else (_log.info, "bill_kept")
    tx.once_committed(say, event, **said)
    return True


def _tell_once_more(tx: Tx, document: dict[str, Any]) -> None:
    """The provider went back to an earlier version: that one is to be read anew, and counts as the newest."""
    tx.execute(update(Bill).where(*(_b[name] == value for name, value in document.items())).values(fetched_at=tx.now))
    readings = [BILL_READINGS.c[name] == value for name, value in document.items()]
    of_them = select(BILL_READINGS.c.id).where(*readings).scalar_subquery()
    lines = (BILL_LINES.c.provider_account == document["provider_account"], BILL_LINES.c.reading_id.in_(of_them))
    tx.execute(delete(BILL_LINES).where(*lines))
    tx.execute(delete(BILL_READINGS).where(*readings))
    tx.once_committed(_log.warning, "bill_told_again", **document)


def list_bills(
    tx: Transaction, account: str | None = None, since: datetime | None = None, until: datetime | None = None
) -> Sequence[AnyRow]:
    """The bills that are kept, without their bytes, in the order of account, feed, name and time: those of one account,
    whose windows reach into that time."""
    wanted = select(*_SHOWN).order_by(_b.provider_account, _b.feed, _b.name, _b.fetched_at)
    if account is not None:
        wanted = wanted.where(_b.provider_account == account)
    if since is not None:
        wanted = wanted.where(_b.until > since)
    if until is not None:
        wanted = wanted.where(_b.since < until)
    return tx.execute(wanted).all()


def bill_bytes(tx: Transaction, bill: AnyRow) -> bytes:
    """The bytes as they came. Raises BillDamaged if they are not."""
    keys = ("provider_account", "feed", "name", "sha256")
    kept = tx.scalar(select(_b.content).where(*[BILLS.c[key] == getattr(bill, key) for key in keys]))
    try:
        content = zlib.decompress(kept)
    except (zlib.error, TypeError):
        content = b""
    if hashlib.sha256(content).hexdigest() != bill.sha256:
        raise BillDamaged(f"the bill {bill.name} of {bill.provider_account}, fetched at {bill.fetched_at}")
    return content
