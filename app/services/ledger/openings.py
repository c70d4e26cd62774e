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
_WHY = {
    "key_conflict": "it was imported before with another value or expiry, or by another person",
    "balance_overflow": "the wallet would have more coins than can be counted",
}
"""For people, why the books refuse a line."""


class OpeningRefused(ValueError):
    """The import as a whole cannot be booked. The text says why, for people; nothing of it was booked by this call,
    or, for a line that the books refuse, the lines before its batch were."""


def check_lines(core: Core, lines: Iterable[OpeningLine]) -> int:
    """How many lines there are. Raises OpeningRefused for a name that is used twice, and for a line that was imported
    before for another user, or with another amount: its coins are there already.

    Every earlier import is read: that takes a while only where there was one.
    """
    places: dict[str, tuple[int, int]] = {}
    for number, line in enumerate(lines, 1):
        if number > MOST_LINES:
            raise OpeningRefused(f"more than {MOST_LINES} lines: divide the file")
        if line.id in places:
            raise OpeningRefused(f"the id {line.id!r} is used twice")
        places[line.id] = (line.transfer("check").id_in(slot_of_user(line.user_id)).int, line.amount)
    for name, number, amount in core.whole.read(partial(_changed, places=places)):
        of_whom = f"with {amount} coins" if places[name][0] == number else "for another user"
        raise OpeningRefused(f"the line {name!r} was imported before, {of_whom}")
    return len(places)


def _changed(tx: Tx, *, places: dict[str, tuple[int, int]]) -> list[tuple[str, int, int]]:
    """The first line that was imported before otherwise: its name, and number and amount of what was imported."""
    wanted = select(_t.reference, _t.id, _t.amount).prefix_with(sweep("operator")).where(_t.kind == OPENING)
    rows = tx.connection().execute(wanted, execution_options={"yield_per": 1000})
    before = ((row.reference, (row.id.int, row.amount)) for row in rows)
    return [(name, *there) for name, there in before if places.get(name, there) != there][:1]


def book_lines(
    core: Core, lines: Iterable[OpeningLine], actor: str, told: Callable[[int], None] = lambda _: None
) -> tuple[int, int]:
    """Book them in batches; (booked now, booked before). `told` gets the number of lines after each batch.

    No event is written: the app's backend knows what its users had. Raises OpeningRefused for a line that the books
    refuse: one that was imported before with another content, or by another actor, or that passes 2^63 - 1 coins.
    """
    quiet = replace(core.rules, ledger=replace(core.rules.ledger, events=frozenset()))
    core, booked, before = replace(core, rules=quiet), 0, 0
    for batch in _batches(lines):
        for place, lines_there in core.by_database(batch, lambda line: slot_of_user(line.user_id)):
            result = place.transact(partial(_book, batch=lines_there, actor=actor))
            for line, answer in zip(lines_there, result.answers, strict=True):
                if not isinstance(answer, Posted):
                    why = _WHY.get(answer.code, answer.code)
                    raise OpeningRefused(f"the line {line.id!r} of user {line.user_id!r} is refused: {why}")
                booked += not answer.repeated
                before += answer.repeated
        told(len(batch))
    return booked, before


def _book(tx: Tx, *, batch: list[OpeningLine], actor: str) -> BatchResult:
    return book_batch(tx, [line.transfer(actor) for line in batch], all_or_nothing=True)


def _batches(lines: Iterable[OpeningLine]) -> Iterator[list[OpeningLine]]:
    rest = iter(lines)
    while batch := list(islice(rest, MOST)):
        yield batch
