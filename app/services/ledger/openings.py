"""Books what users had before: each line once, however often and however far an import ran."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

from sqlalchemy import select

from app.domain.ledger import Posted
from app.domain.numbers import slot_of_user
from app.domain.opening import OPENING, OpeningLine
from app.models.ledger import TRANSFERS
from app.models.slot_guard import sweep
from app.services.base.context import Core, Tx
from app.services.ledger.batches import MOST, BatchResult, book_batch

MOST_LINES = 200_000
"""Lines of one import: they are compared with each other, and with what was imported before, in memory."""
_t = TRANSFERS.c


class OpeningRefused(ValueError):
    """The import as a whole cannot be booked. The text says why, for people; nothing of it was booked by this call,
    or, for a line that the books refuse, the lines before its batch were."""


def check_lines(core: Core, lines: Iterable[OpeningLine]) -> int:
    """How many lines there are. Raises OpeningRefused for a name that is used twice, and for a line that was imported
    before for another user: its coins are there already.

    Every earlier import is read: that takes a while only where there was one.
    """
    places: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if number > MOST_LINES:
            raise OpeningRefused(f"more than {MOST_LINES} lines: divide the file")
        if line.id in places:
            raise OpeningRefused(f"the id {line.id!r} is used twice")
        places[line.id] = line.transfer("check").id_in(slot_of_user(line.user_id)).int
    for name in core.whole.read(partial(_moved, places=places)):
        raise OpeningRefused(f"the line {name!r} was imported before, for another user")
    return len(places)


def _moved(tx: Tx, *, places: dict[str, int]) -> list[str]:
    wanted = select(_t.reference, _t.id).prefix_with(sweep("operator")).where(_t.kind == OPENING)
    rows = tx.connection().execute(wanted, execution_options={"yield_per": 1000})
    return [row.reference for row in rows if places.get(row.reference, row.id.int) != row.id.int][:1]


def book_lines(
    core: Core, lines: Iterable[OpeningLine], actor: str, told: Callable[[int], None] = lambda _: None
) -> tuple[int, int]:
    """Book them in batches; (booked now, booked before). `told` gets the number of lines after each batch.

    No event is written: the app's backend knows what its users had. Raises OpeningRefused for a line that the books
    refuse: one that was imported before with another content, or by another actor, or that passes 2^63 - 1 coins.
    """
    booked = before = 0
    for batch in _batches(lines):
        for place, lines_there in core.by_database(batch, lambda line: slot_of_user(line.user_id)):
            result = place.transact(partial(_book, batch=lines_there, actor=actor))
            for line, answer in zip(lines_there, result.answers, strict=True):
                if not isinstance(answer, Posted):
                    raise OpeningRefused(f"the line {line.id!r} of user {line.user_id!r} is refused: {answer.code}")
                booked += not answer.repeated
                before += answer.repeated
        told(len(batch))
    return booked, before


def _book(tx: Tx, *, batch: list[OpeningLine], actor: str) -> BatchResult:
    rules = replace(tx.core.rules.ledger, events=frozenset())
    return book_batch(tx, [line.transfer(actor) for line in batch], at=tx.now, all_or_nothing=True, rules=rules)


def _batches(lines: Iterable[OpeningLine]) -> Iterator[list[OpeningLine]]:
    rest = iter(lines)
    while batch := list(islice(rest, MOST)):
        yield batch
