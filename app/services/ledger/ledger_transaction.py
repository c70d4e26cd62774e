"""One change of the books: lock the accounts, change them in memory, write everything at once.

Whatever is not the plain spend goes through here: posting, grants, batches, holds, reversals, expiry. The number of
statements does not depend on how many transfers there are.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any

from app.domain import account_events, coin_events, representations
from app.domain.account_events import REFUSED, Mark, refusal_content
from app.domain.books import Book, Entry
from app.domain.debts import repayment
from app.domain.event_types import EventType
from app.domain.ledger import AccountName, Posted, Refused, Transfer, debt_of, microseconds, moment_of
from app.domain.limits import periods
from app.domain.lots import NEVER, LotLeft
from app.domain.opening import SEALED_KINDS
from app.models.ledger import ACCOUNTS, GRANT_SEALS, LOTS, MARKS, REFUSALS, TRANSFERS
from app.services.base.context import Tx
from app.services.base.outbox import Event, events_of, write_events
from app.services.base.statements import RowInsert, write_rows
from app.services.ledger import accounts, hold_rows, idempotency, lot_rows
from app.services.ledger.hold_rows import Held
from app.services.ledger.idempotency import Raced

_MARKS = {
    hold_rows.OPEN: account_events.LOWERED,
    hold_rows.CAPTURED: account_events.FINISHED,
    hold_rows.RELEASED: account_events.RELEASED,
    hold_rows.EXPIRED: account_events.EXPIRED,
}
"""The mark that a hold leaves when it lets go of coins and is in that state then."""
_Row = dict[str, Any]
_ENDS = {hold_rows.RELEASED: EventType.HOLD_RELEASED, hold_rows.EXPIRED: EventType.HOLD_EXPIRED}
_ADD_TRANSFERS = RowInsert(TRANSFERS, lambda insert: insert.on_conflict_do_nothing())
_ADD_LOTS, _ADD_MARKS = RowInsert(LOTS), RowInsert(MARKS)
_ADD_SEALS = RowInsert(GRANT_SEALS)
_ADD_REFUSALS = RowInsert(REFUSALS, lambda insert: insert.on_conflict_do_nothing())


class LedgerTransaction:
    """Accounts that are locked in this transaction.

        with LedgerTransaction(tx, places) as books: books.post(slot, transfer)

    Everything is written when the block ends, nothing if it raises; the locks last until the transaction ends. With a
    wallet the account of what its user owes is locked too, if there is one. `ids` are those of the transfers that are
    to be booked: `known` has those that are booked already. Raises Raced if another transaction has booked one of them
    meanwhile. `key` is that of a caller's request (its owner and its text). `with_lots` reads the lots of the wallets
    in the statement that locks: for changes that nearly always need the lots. `ask` asks for what else is to be read
    under the locks, in one flight with them. What is booked bears the time of the transaction, unless `at` says
    another.
    """

    def __init__(
        self,
        tx: Tx,
        places: Iterable[accounts.AccountPlace],
        *,
        at: datetime | None = None,
        ids: Iterable[tuple[int, uuid.UUID]] = (),
        key: tuple[str, str] = accounts.NO_KEY,
        with_lots: bool = False,
        ask: Callable[[], object] | None = None,
    ) -> None:
        self.tx = tx
        self.rules = tx.core.rules.ledger
        self.at = at or tx.now
        self.at_us = microseconds(self.at)
        wanted, by_slot = set(places), defaultdict(list)
        for slot, transfer_id in ids:
            by_slot[slot].append(transfer_id)
        owed = {(slot, name): (slot, debt_of(name)) for slot, name in wanted if name.is_wallet}
        debts = owed.values()
        locked = accounts.lock_accounts(tx, wanted, if_there=debts, ids=by_slot, key=key, with_lots=with_lots, ask=ask)
        self._books = locked.books
        self._lots_left = locked.lots or {}
        self._debts = {owing: locked.books[debt] for owing, debt in owed.items() if debt in locked.books}
        self._numbers = locked.numbers
        self.known: set[tuple[int, uuid.UUID]] = set()
        for slot in locked.known:
            self.known |= {(slot, found) for found in idempotency.find_ids(tx, slot, by_slot[slot])}
        self.is_claimed = key != accounts.NO_KEY and idempotency.is_claimed(tx, locked.known, key)
        self._changed: dict[accounts.AccountPlace, Book] = {}
        self._transfers, self._lots = list[_Row](), list[_Row]()
        self._refusals, self._marks, self._seals = list[_Row](), list[_Row](), list[_Row]()
        self._told: dict[int, tuple[int, list[Event]]] = {}
        self._holds: dict[uuid.UUID, Held] = {}
        self._seen_holds: dict[uuid.UUID, Held | None] = {}

    def __enter__(self) -> LedgerTransaction:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        """Write everything with what is sent next, unless the block raised. Rows come before those that refer to them.
        Raised then: LostRace, and Raced."""
        if kind is not None:
            return
        books = list(self._changed.values())
        for book in books:
            if book.lots is not None:
                book.settle(self.rules.spend_order, self.at_us)
        tx = self.tx
        write_rows(tx, map(hold_rows.change_of, self._holds.values()))
        tx.later(accounts.WRITE, list(map(accounts.row_of, books)))
        tx.later(_ADD_TRANSFERS, self._transfers, wrong=Raced)
        inserts = {_ADD_LOTS: self._lots, _ADD_MARKS: self._marks, _ADD_SEALS: self._seals}
        for insert, rows in inserts.items():
            if rows:
                tx.later(insert, rows)
        if self._refusals:
            tx.later(_ADD_REFUSALS, self._refusals, wrong=Raced)
        for book in books:
            if book.written:
                for values in lot_rows.remaining_values(book):
                    tx.later(lot_rows.WRITE_REMAINING.of((len(values) - 2) // 2), values)
        for slot, (account, events) in self._told.items():
            write_events(tx, ACCOUNTS, slot, account, events)

    def book(self, slot: int, name: AccountName) -> Book:
        """The account, to read it or to change what is no posting (`touch` it then)."""
        return self._books[slot, name]

    def touch(self, book: Book) -> None:
        """Write this account at the end."""
        self._changed[book.slot, book.name] = book

    def available(self, slot: int, name: AccountName, amount: int) -> int:
        """What the account could give now. Expires what is due first, unless the open lot has `amount` anyway."""
        book = self._books[slot, name]
        if not name.is_wallet:
            return book.available - book.floor
        self.end_holds(slot, name)
        if not book.covers(amount, self.rules.spend_order, self.at_us):
            self.expire(slot, name)
        return book.available

    def post(self, slot: int, transfer: Transfer, *, prefer: int | None = None) -> Posted:
        """Book it. Whether the coins are there, and whether the key is new, the caller has checked."""
        book = self._books[slot, transfer.book]
        fingerprint, at_us = transfer.fingerprint(slot), self.at_us
        if transfer.debit.is_wallet:
            if not book.covers(transfer.amount, self.rules.spend_order, at_us) or prefer is not None:
                self.load_lots(book)
            entry = book.take(transfer.amount, fingerprint, at_us, self.rules.spend_order, prefer)
        elif transfer.lot_made is not None:
            entry = self._make_lot(book, transfer, fingerprint)
        elif transfer.debit.user_id:
            entry = book.debit(transfer.amount, fingerprint, at_us)
        elif transfer.credit.user_id:
            entry = book.credit(transfer.amount, fingerprint, at_us)
        else:
            entry = book.note(fingerprint, at_us)
        posted = self._enter(book, transfer, entry)
        if transfer.kind in SEALED_KINDS:
            seal = self.rules.seals.of_grant(posted.id, fingerprint)
            self._seals.append({"slot": slot, "transfer_id": posted.id, "seal": seal})
        if self._debts:
            self.repay(slot, transfer.credit, lot=entry.lot)
        return posted

    def capture(self, slot: int, transfer: Transfer) -> Posted:
        """Book what a hold had reserved; the caller lowers `held` by as much."""
        book = self._books[slot, transfer.book]
        self.expire(slot, transfer.debit)
        fingerprint = transfer.fingerprint(slot)
        entry = book.take_held(transfer.amount, fingerprint, self.at_us, self.rules.spend_order)
        return self._enter(book, transfer, entry)

    def tell(self, book: Book, kind: EventType, data: Mapping[str, Any], actor: str = "") -> None:
        """An event about this account's user, written at the end."""
        self.tell_of(book, events_of(self.tx, kind, book.name.user_id, data, actor))

    def tell_of(self, book: Book, events: Iterable[Event]) -> None:
        """Events of what this change of the books is made for, written at the end beside that account; those of one
        slot beside the account that was named first."""
        self._told.setdefault(book.slot, (book.id, []))[1].extend(events)

    def give_back(self, slot: int, transfer: Transfer, uses: Sequence[tuple[int, int]]) -> Posted:
        """Book a credit that restores lots instead of making one."""
        book = self._books[slot, transfer.book]
        self.load_lots(book, [lot for lot, _ in uses])
        posted = self._enter(book, transfer, book.give_back(uses, transfer.fingerprint(slot), self.at_us))
        self._repay_returned(slot, transfer.credit, [lot for lot, _ in uses], transfer.amount)
        self.repay(slot, transfer.credit)
        return posted

    def _repay_returned(self, slot: int, wallet: AccountName, lots: Sequence[int], returned: int) -> None:
        """Coins that come back repay before they expire: they were taken in time, by the spend that is undone."""
        debt = self.debt(slot, wallet)
        book = self.book(slot, wallet)
        amount = 0 if debt is None else min(debt.balance, returned, book.available)
        if amount > 0:
            coins, ended = repayment(book.id, book.version, wallet, amount)
            self.take_back(slot, coins, lots)
            self.post(slot, ended)

    def take_back(self, slot: int, transfer: Transfer, first: Sequence[int]) -> Posted:
        """Book a clawback: out of these lots first. The caller has checked `available`."""
        book = self._books[slot, transfer.book]
        self.load_lots(book)
        fingerprint, order = transfer.fingerprint(slot), self.rules.spend_order
        return self._enter(book, transfer, book.take_back(transfer.amount, first, fingerprint, self.at_us, order))

    def debt(self, slot: int, wallet: AccountName, *, make: bool = False) -> Book | None:
        """What the user of that wallet owes in its asset; None if nothing was ever owed (and it is not to be made)."""
        if make and (slot, wallet) not in self._debts:
            place = (slot, debt_of(wallet))
            self._books |= accounts.lock_accounts(self.tx, [place]).books
            self._debts[slot, wallet] = self._books[place]
        return self._debts.get((slot, wallet))

    def repay(self, slot: int, wallet: AccountName, *, lot: int = 0) -> None:
        """Pay back as much as the wallet has, coins of that lot first: nobody who owes coins has any to spend."""
        debt = self._debts.get((slot, wallet))
        if debt is None or debt.balance == 0:
            return
        amount = min(debt.balance, self.available(slot, wallet, debt.balance))
        if amount <= 0:
            return
        book = self.book(slot, wallet)
        coins, ended = repayment(book.id, book.version, wallet, amount)
        self.post(slot, coins, prefer=lot or None)
        self.post(slot, ended)

    def expire(self, slot: int, name: AccountName) -> list[Posted]:
        """Move what has expired, and is not kept by a hold, out of the wallet: a transfer for each lot."""
        book = self._books[slot, name]
        self.end_holds(slot, name)
        self.load_lots(book)
        gone = []
        for lot, amount in book.expiring(self.rules.spend_order, self.at_us):
            transfer = book.expiry(lot, amount)
            gone.append(self._enter(book, transfer, book.take_lot(lot, amount, transfer.fingerprint(slot), self.at_us)))
        return gone

    def end_holds(self, slot: int, name: AccountName) -> None:
        """Let go of what is held beyond its time: a hold ends for whoever looks, not only when the worker comes."""
        book = self._books[slot, name]
        if book.held == 0:
            return
        known = self._seen_holds | self._holds
        rows = [held for held in known.values() if held and held.account == name and held.state == hold_rows.OPEN]
        if sum(held.rest for held in rows) != book.held:  # there are others
            rows = hold_rows.over(self.tx, slot, book.id, self.at)
        over = hold_rows.over_among((self._holds.get(held.id, held) for held in rows), self.at)
        for held in over:
            self.end_hold(held, hold_rows.EXPIRED)
        if over:
            self.expire(slot, name)
            self.repay(slot, name)

    def end_hold(self, held: Held, state: str) -> Held:
        """End a hold: nothing of it stays reserved, and its rest counts no more against the user's limits."""
        book = self.book(held.slot, held.account)
        if held.limited:
            book.uncount_spent(held.rest, periods(held.created_at, self.rules.zone))
        done = self.lower_hold(held, held.rest, state)
        if held.limited and state in _ENDS:
            self.tell_of_hold(_ENDS[state], done)
        return done

    def tell_of_hold(self, kind: EventType, held: Held, actor: str = "") -> None:
        """An event about a hold of a caller, as the hold stands now."""
        shown = {"wallet": representations.wallet_data(held.account), "hold": representations.hold_data(held)}
        self.tell(self.book(held.slot, held.account), kind, shown, actor)

    def lower_hold(self, held: Held, amount: int, state: str) -> Held:
        """Reserve less: so much of the hold is let go of, and that is its state then."""
        book = self.book(held.slot, held.account)
        book.held -= amount
        self.mark(book, _MARKS[state], held.id, amount, held.fingerprint)
        done = replace(held, released=held.released + amount, state=state)
        self.write_hold(done)
        return done

    def find_hold(self, slot: int, hold_id: uuid.UUID) -> Held | None:
        """A hold as it stands here."""
        known = self._seen_holds | self._holds
        return known[hold_id] if hold_id in known else hold_rows.find_hold(self.tx, slot, hold_id)

    def know_holds(self, holds: Mapping[uuid.UUID, Held | None]) -> None:
        """Holds that this will be about, as they were read under the lock of their wallet."""
        self._seen_holds = dict(holds)

    def write_hold(self, held: Held) -> None:
        """Write how far this hold has come at the end."""
        self._holds[held.id] = held

    def refuse(self, book: Book, refused: Refused, fingerprint: bytes) -> Refused:
        """Record what this account refuses, so that the same request gets the same answer for ever."""
        self._refusals.append(idempotency.refusal_row(book.slot, refused, fingerprint, self.at))
        content = refusal_content(fingerprint, refused.code, dict(refused.details))
        self.mark(book, REFUSED, refused.id, 0, content)
        return refused

    def mark(self, book: Book, kind: str, subject: uuid.UUID, amount: int, content: bytes) -> None:
        """Write down what happens to this account without moving coins (see `app.domain.account_events`)."""
        head = book.mark(Mark(kind, subject, amount, self.at_us, content))
        self.touch(book)
        self._marks.append(
            {"slot": book.slot, "account_id": book.id, "number": book.marks, "kind": kind, "subject": subject}
            | {"amount": amount, "at": self.at, "content": content, "hash": head}
        )

    def load_lots(self, book: Book, also: Sequence[int] = ()) -> None:
        """Read the lots with something left, and those named, unless they are there already."""
        if book.lots is None:
            # Lots that were made in this block are not in the database yet.
            made = [lot for lot in self._lots if (lot["slot"], lot["account_id"]) == (book.slot, book.id)]
            new = [lot_rows.lot_left(*(lot[name] for name in lot_rows.LOT_STATE)) for lot in made]
            rows = self._lots_left.pop((book.slot, book.name), None)
            left = lot_rows.lots_left(self.tx, book) if rows is None else lot_rows.read_lots(rows)
            book.load([*left, *new])
            self.touch(book)
        loaded = book.lots or {}
        for version in also:
            lot = None if version in loaded else lot_rows.one_lot(self.tx, book, version)
            if lot is not None:
                loaded[version] = lot
        book.lots = loaded

    def _make_lot(self, book: Book, transfer: Transfer, fingerprint: bytes) -> Entry:
        lot = transfer.lot_made
        if lot is None:
            raise RuntimeError("this transfer makes no lot")
        expires_us = NEVER if lot.expires_at is None else microseconds(lot.expires_at)
        left = LotLeft(0, 0, lot.bonus, expires_us)
        entry = book.credit_lot(transfer.amount, left, fingerprint, self.rules.spend_order, self.at_us)
        at = self.at if entry.at_us == self.at_us else moment_of(entry.at_us)
        self._lots.append(lot_rows.made(book, lot, transfer.amount, entry.version, at))
        return entry

    def _enter(self, book: Book, transfer: Transfer, entry: Entry) -> Posted:
        self._changed[book.slot, book.name] = book
        at = self.at if entry.at_us == self.at_us else moment_of(entry.at_us)
        posted = Posted(transfer.id_in(book.slot), transfer.amount, entry.balance, entry.version, at)
        told = transfer.effective_at
        self._transfers.append(
            {
                "slot": book.slot,
                "id": posted.id,
                "book_id": book.id,
                "version": entry.version,
                "balance": entry.balance,
                "debit_id": self._number(book.slot, transfer.debit),
                "credit_id": self._number(book.slot, transfer.credit),
                "amount": transfer.amount,
                "lot": entry.lot,
                "created_at": posted.at,
                "effective_at": told if told is not None and told < posted.at else None,
                "cause_id": transfer.cause,
                "hash": entry.hash,
                "kind": transfer.kind,
                "reference": transfer.reference,
                "note": transfer.note,
                "actor": transfer.actor,
                "uses": entry.uses or None,
            }
        )
        kind = coin_events.event_of(transfer)
        if kind in self.rules.events:
            self.tell(book, kind, coin_events.coins_data(transfer, posted), transfer.actor)
        return posted

    def _number(self, slot: int, name: AccountName) -> int:
        """A system account may turn out to be needed only now (`expired`)."""
        book = self._books.get((slot, name))
        if book is not None:
            return book.id
        if (slot, name) not in self._numbers:
            self._numbers |= accounts.lock_accounts(self.tx, [(slot, name)]).numbers
        return self._numbers[slot, name]


def places_of(slot: int, transfers: Iterable[Transfer]) -> set[accounts.AccountPlace]:
    """Every account that these transfers touch."""
    places = set[accounts.AccountPlace]()
    for transfer in transfers:
        places |= {(slot, transfer.debit), (slot, transfer.credit), (slot, transfer.book)}
    return places
