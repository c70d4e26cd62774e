"""Takes what nobody reads any more out of old rows, without breaking what proves them.

The provider's words behind a fact go into a file, and the fact keeps their SHA-256, which its seal and all anchors
cover (`app.domain.raw_documents`). The request for a payment and the client's next step go with the payment's end since
2026-11-29; those of payments that ended before are dropped here.

Pages of rows in the order of slot and number. A page's words are on the disk before the rows lose them; stopped
anywhere, the next run goes on, and a page may then lie in two files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, FromClause, LargeBinary, bindparam, func, literal, select, tuple_, update

from app.domain.numbers import number_at, slot_of_number
from app.domain.raw_documents import COMPRESSED, DocumentUnreadable, archived, words_digest, words_text
from app.domain.status import OPEN_PAYMENT
from app.models.base import AnyRow
from app.models.orders import FactRow, Payment
from app.models.slot_guard import sweep
from app.services.base.context import Core, Tx
from app.services.payments import payment_rows

ARCHIVE_PAGE = 500
"""Rows that are read, and written into the file, at once."""
_f, _p = FactRow.__table__.c, Payment.__table__.c
_EMPTY_FACT = (
    update(FactRow).where(_f.slot == bindparam("at_slot"), _f.id == bindparam("at_id")).values(raw=bindparam("kept"))
)
_EMPTY_PAYMENT = (
    update(Payment)
    .where(_p.slot == bindparam("at_slot"), _p.id == bindparam("at_id"))
    .values(intent=bindparam("compared"), action=bindparam("no_step"))
)
KeepLines = Callable[[Sequence[bytes]], None]
"""Puts lines where they survive; it returns once they do."""


@dataclass(frozen=True, slots=True)
class ArchivedWords:
    """A line of an archive."""

    fact: int
    sha256: str
    text: str
    about: str
    """Names the fact for a person."""

    def line(self) -> bytes:
        members = {"fact": str(self.fact), "sha256": self.sha256, "about": self.about, "words": self.text}
        return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def archive_words(core: Core, before: datetime, keep: KeepLines) -> Iterator[int]:
    """Archive the words of facts that were recorded before that moment; how many, page by page. Words that cannot be
    read stay, for the audit to find."""
    has_words = func.substr(_f.raw, 1, 1) == literal(COMPRESSED, LargeBinary)
    for page in _pages(core, FactRow.__table__, before, has_words):
        lines = [(row, _words(row)) for row in page]
        keep([words.line() for _, words in lines if words is not None])
        for slot, rows in groupby((row for row, words in lines if words is not None), attrgetter("slot")):
            core.at(slot).transact(partial(_empty_facts, slot=slot, rows=list(rows)))
        yield sum(words is not None for _, words in lines)


def drop_requests(core: Core, before: datetime) -> Iterator[int]:
    """Drop the requests of payments that were made before that moment and have ended; how many, page by page."""
    for page in _pages(core, Payment.__table__, before, _p.status.not_in(sorted(OPEN_PAYMENT))):
        old = [row for row in page if row.action or len(row.intent) > 1]
        for slot, rows in groupby(old, attrgetter("slot")):
            core.at(slot).transact(partial(_empty_payments, slot=slot, rows=list(rows)))
        yield len(old)


def wrong_in_archive(core: Core, lines: Iterable[bytes]) -> Iterator[str]:
    """What is wrong with the lines of an archive: words that are not those of their fact, and facts that are gone."""
    for number, line in enumerate(lines, 1):
        try:
            members = json.loads(line)
            fact, text = int(members["fact"]), str(members["words"]).encode()
        except (ValueError, KeyError, TypeError):
            yield f"line {number}: not a line of an archive"
            continue
        row = core.of_number(fact).read(partial(_fact, number=fact))
        if row is None:
            yield f"line {number}: fact {fact} is gone"
        elif not _is_of(bytes(row.raw), text):
            yield f"line {number}: these are not the words of fact {fact}"


def _is_of(document: bytes, text: bytes) -> bool:
    try:
        return words_digest(document) == words_digest(text)
    except DocumentUnreadable:
        return False


def _fact(tx: Tx, *, number: int) -> AnyRow | None:
    return tx.execute(select(_f.raw).where(_f.slot == slot_of_number(number), _f.id == number)).one_or_none()


def _words(row: AnyRow) -> ArchivedWords | None:
    try:
        text, digest = words_text(row.raw), words_digest(row.raw)
    except DocumentUnreadable:
        return None
    about = f"{row.kind} {row.key} of {row.provider_account} ({row.environment})"
    return None if text is None else ArchivedWords(row.id, digest.hex(), text.decode(), about)


def _empty_facts(tx: Tx, *, slot: int, rows: Sequence[AnyRow]) -> None:
    for row in rows:
        tx.execute(_EMPTY_FACT, {"at_slot": slot, "at_id": row.id, "kept": archived(row.raw)})


def _empty_payments(tx: Tx, *, slot: int, rows: Sequence[AnyRow]) -> None:
    for row in rows:
        values = {"compared": payment_rows.intent_after_end(row.intent), "no_step": None if row.action is None else {}}
        tx.execute(_EMPTY_PAYMENT, {"at_slot": slot, "at_id": row.id, **values})


def _pages(
    core: Core, table: FromClause, before: datetime, *conditions: ColumnElement[bool]
) -> Iterator[Sequence[AnyRow]]:
    """Rows whose numbers were given before that moment."""
    c = table.c
    wanted = select(*c).prefix_with(sweep("operator")).where(c.id < number_at(before), *conditions)
    wanted = wanted.order_by(c.slot, c.id).limit(ARCHIVE_PAGE)
    for place in core.everywhere():
        last = (-1, -1)
        while page := place.read(partial(_page, wanted=wanted.where(tuple_(c.slot, c.id) > last))):
            last = (page[-1].slot, page[-1].id)
            yield page


def _page(tx: Tx, *, wanted: Any) -> Sequence[AnyRow]:
    return tx.execute(wanted).all()
