"""Taking coins of a refunded purchase back, and giving them back when the refund is undone.

What was done about a grant so far is in the ledger itself: every transfer made here names the grant's own transfer as
its cause. So a clawback is booked as the difference to a target, under the wallet's lock, and repeating it books
nothing. Coins of the purchase that a refund of ours has reserved are used before anything becomes a debt. The caller
opens the books (`places_of_claims`), asks what was booked once nothing is left to expire, and takes back in one block.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    CompoundSelect,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)

from app.domain import refunding
from app.domain.clawback import Step, Taken, step_to, taken_from
from app.domain.debts import OWED_BY_USERS
from app.domain.gifts import TRANSIT
from app.domain.ledger import EXPIRY, ISSUANCE, JOURNAL, AccountName, Lot, Transfer, debt_of, system
from app.domain.refunding import Clawback
from app.domain.spending import LONGEST_HOLD_SECONDS, HoldRequest
from app.models.base import AnyRow
from app.models.ledger import LOTS, TRANSFERS
from app.services.base.context import Tx
from app.services.base.statements import Sized, Statement, make_row_type
from app.services.base.transaction import Transaction
from app.services.ledger import hold_rows, holds
from app.services.ledger.accounts import AccountPlace, account_keys
from app.services.ledger.given_coins import GIVEN, OF_WALLET
from app.services.ledger.ledger_transaction import LedgerTransaction

LOSSES = "losses"
"""The system account that stands for coins which were refunded in money, spent, and forgiven."""
_T, _L = TRANSFERS.c, LOTS.c
_GRANT = TRANSFERS.alias("grant_")
_OF_GRANT = case((_GRANT.c.kind == refunding.RETURNED, _GRANT.c.cause_id), else_=_GRANT.c.id)
CAUSES_AT_ONCE = (4, 64)
"""One statement asks what was booked because of so many transfers: of one purchase, or of a page of them."""


def _booked(size: int) -> CompoundSelect[Any]:
    """What each of so many transfers caused; and coins of a grant that expired: out of the lot that the grant made, or
    out of one in which its coins were given back."""
    causes = [bindparam(f"p_cause_{i}", type_=Uuid) for i in range(size)]
    total = cast(func.sum(_T.amount), BigInteger)
    by_cause = (
        select(_T.cause_id, _T.kind, func.count().label("times"), total.label("total"))
        .where(_T.slot == bindparam("p_slot"), _T.cause_id.in_(causes))
        .group_by(_T.cause_id, _T.kind)
    )
    expired_unused = (
        select(_OF_GRANT.label("grant_id"), literal(EXPIRY).label("kind"), literal(0).label("times"), total)
        .select_from(_GRANT)
        .join(TRANSFERS, and_(_T.slot == _GRANT.c.slot, _T.book_id == _GRANT.c.book_id, _T.lot == _GRANT.c.version))
        .where(
            _GRANT.c.slot == bindparam("p_slot"),
            or_(
                _GRANT.c.id.in_(causes),
                and_(_GRANT.c.kind == refunding.RETURNED, _GRANT.c.cause_id.in_(causes)),
            ),
            _GRANT.c.lot == _GRANT.c.version,
            _T.kind == EXPIRY,
            _T.version > _GRANT.c.version,
        )
        .group_by(_OF_GRANT)
    )
    return union_all(by_cause, expired_unused)


_BOOKED = Sized(_booked, CAUSES_AT_ONCE[-1])
_BookedRow: Any = make_row_type("_BookedRow", _booked(1).exported_columns)
_LOTS_OF_PAYMENT = Statement(
    select(_L.version, _L.bonus, GIVEN.label("given"))
    .where(_L.slot == bindparam("p_slot"), _L.payment == bindparam("p_payment"), _L.account_id == OF_WALLET)
    .order_by(_L.version)
)
_LotRow: Any = make_row_type("_LotRow", (_L.version, _L.bonus, GIVEN.label("given")))
LotsOfPurchase = Mapping[AccountName, Callable[[], Sequence[Any]]]
"""What gives the lots that a purchase made, by wallet, oldest first (`ask_lots`)."""


@dataclass(frozen=True, slots=True)
class ClawbackTarget:
    """One grant of a purchase, and how many of its coins are to be gone."""

    grant: uuid.UUID
    """The transfer that credited it."""
    wallet: AccountName
    granted: int
    lot: Lot
    target: int


@dataclass(frozen=True, slots=True)
class ClawbackResult:
    """What was booked in one asset."""

    asset: str
    step: Step

    @property
    def changed(self) -> bool:
        return self.step != Step()


@dataclass(frozen=True, slots=True)
class StatementText:
    """What the statement shows with the coins."""

    reference: str
    note: str


@dataclass(frozen=True, slots=True)
class Booked:
    """What the ledger holds under one cause: sums, and numbers of transfers, by kind."""

    sums: Mapping[str, int]
    counts: Mapping[str, int]
    times: int
    """How many transfers of all kinds."""
    taken: Taken


def booked(tx: Transaction, slot: int, causes: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Booked]:
    """What was booked because of each of these transfers."""
    return ask_booked(tx, slot, causes)()


def ask_booked(tx: Transaction, slot: int, causes: Sequence[uuid.UUID]) -> Callable[[], Mapping[uuid.UUID, Booked]]:
    """Gives what was booked because of each of these transfers; asked for with what is sent next."""
    parts = []
    for start in range(0, len(causes), CAUSES_AT_ONCE[-1]):
        part = causes[start : start + CAUSES_AT_ONCE[-1]]
        size = next(size for size in CAUSES_AT_ONCE if len(part) <= size)
        values = {f"p_cause_{i}": part[min(i, len(part) - 1)] for i in range(size)}  # the last one fills it up
        parts.append(_BOOKED.of(size).asked(tx, {"p_slot": slot, **values}, _BookedRow))

    def found() -> Mapping[uuid.UUID, Booked]:
        sums, counts = defaultdict[uuid.UUID, dict[str, int]](dict), defaultdict[uuid.UUID, dict[str, int]](dict)
        for rows in parts:
            for row in rows():
                sums[row.cause_id][row.kind], counts[row.cause_id][row.kind] = row.total, row.times
        return {
            cause: Booked(sums[cause], counts[cause], sum(counts[cause].values()), taken_from(sums[cause]))
            for cause in causes
        }

    return found


def places_of_claims(slot: int, claims: Sequence[ClawbackTarget]) -> set[AccountPlace]:
    """The accounts that taking back may touch. Debts are locked later, after their wallets, as everybody does."""
    places: set[AccountPlace] = set()
    for claim in claims:
        places.add((slot, claim.wallet))
        for code in (ISSUANCE, LOSSES, OWED_BY_USERS, JOURNAL):
            places.add((slot, system(code, claim.wallet.asset, claim.wallet.environment)))
    return places


def expire_claimed(books: LedgerTransaction, slot: int, claims: Sequence[ClawbackTarget]) -> bool:
    """Whether anything expired: that is to be written before the books are asked what was done (`booked`), since what
    expired unused is gone already."""
    expired, seen = False, set[AccountName]()
    for claim in claims:
        if claim.wallet not in seen:
            seen.add(claim.wallet)
            book = books.book(slot, claim.wallet)
            before = book.version
            books.expire(slot, claim.wallet)
            expired |= book.version != before
    return expired


def claw(
    books: LedgerTransaction,
    slot: int,
    claims: Sequence[ClawbackTarget],
    known: Mapping[uuid.UUID, Booked],
    lots_of: LotsOfPurchase,
    *,
    policy: Clawback,
    ending: Sequence[uuid.UUID],
    spare: Sequence[uuid.UUID],
    words: StatementText,
    recall: bool = False,
) -> list[ClawbackResult]:
    """Bring the books to the targets of all claims of one purchase; what was booked, by claim.

    `known` is what was booked before, and `lots_of` the lots of the purchase, both read under the locks of `books`.
    `ending` are the holds of the refund that this is about: they are let go of, and their coins used. `spare` are the
    holds of other refunds of the same purchase: used as far as coins are missing. With `recall`, coins that were given
    away are asked back from where they are: they count as gone at once, and the caller writes down that they are asked
    for (`Step.recall`).
    """
    lots = {wallet: rows() for wallet, rows in lots_of.items()}
    given = Counter[AccountName]()
    for wallet, rows in lots.items() if recall else ():
        given[wallet] = int(rows[0].given) if rows else 0
    for claim in claims:
        if given[claim.wallet]:
            given[claim.wallet] -= known[claim.grant].taken.recalled
    for number in ending:
        _let_go_of(books, slot, number)
    results = []
    for claim in claims:
        result = _settle(
            books, slot, claim, known[claim.grant], policy, spare, words, lots, max(0, given[claim.wallet])
        )
        given[claim.wallet] -= result.step.recall
        results.append(result)
    for wallet in lots:  # what a hold kept from expiring, and coins that were let go of while something is owed
        books.expire(slot, wallet)
        books.repay(slot, wallet)
    return results


def _settle(
    books: LedgerTransaction,
    slot: int,
    claim: ClawbackTarget,
    known: Booked,
    policy: Clawback,
    spare: Sequence[uuid.UUID],
    words: StatementText,
    lots: Mapping[AccountName, Sequence[AnyRow]],
    given: int,
) -> ClawbackResult:
    wallet, taken = books.book(slot, claim.wallet), known.taken
    missing = claim.target - taken.accounted - given - wallet.available
    if missing > 0:
        _draw(books, slot, claim.wallet, spare, missing)
    debt = books.debt(slot, claim.wallet)
    owing = debt.balance if debt is not None else 0
    own = 0
    if given:
        books.load_lots(wallet)
        left = wallet.lots or {}
        own = sum(left[row.version].remaining for row in lots[claim.wallet] if row.version in left)
    step = step_to(claim.target, taken, available=wallet.available, debt=owing, policy=policy, own=own, elsewhere=given)
    for transfer in _transfers(claim, step, words, known.times):
        if transfer.kind == refunding.CLAWBACK:
            # Lots of one kind with the grant (paid or bonus) first, then the purchase's others.
            rows = sorted(lots[claim.wallet], key=lambda row: bool(row.bonus) != claim.lot.bonus)
            books.take_back(slot, transfer, [row.version for row in rows])
        else:
            if transfer.kind in (refunding.DEBT, refunding.DEBT_CANCELLED):
                books.debt(slot, claim.wallet, make=True)
            books.post(slot, transfer)
    return ClawbackResult(claim.wallet.asset, step)


def _transfers(claim: ClawbackTarget, step: Step, words: StatementText, times: int) -> list[Transfer]:
    """The transfers of a step. Their keys count the transfers that this grant has already caused."""
    wallet, debt = claim.wallet, debt_of(claim.wallet)
    issuance = system(ISSUANCE, wallet.asset, wallet.environment)
    losses = system(LOSSES, wallet.asset, wallet.environment)
    house = system(OWED_BY_USERS, wallet.asset, wallet.environment)
    transit = system(TRANSIT, wallet.asset, wallet.environment)
    transfers: list[Transfer] = []
    for kind, debit, credit, amount in (
        (refunding.CLAWBACK, wallet, issuance, step.take),
        (refunding.DEBT, house, debt, step.owe),
        (refunding.FORGIVEN, losses, issuance, step.forgive),
        (refunding.UNFORGIVEN, issuance, losses, step.unforgive),
        (refunding.DEBT_CANCELLED, debt, house, step.cancel),
        (refunding.RETURNED, issuance, wallet, step.give_back),
        (refunding.RECALLED, transit, issuance, step.recall),
    ):
        if amount:
            transfers.append(
                Transfer(
                    scope=f"clawback:{claim.grant.hex}",
                    key=str(times + len(transfers)),
                    debit=debit,
                    credit=credit,
                    amount=amount,
                    kind=kind,
                    reference=words.reference,
                    note=words.note,
                    cause=claim.grant,
                    lot=_returned_lot(claim, amount) if kind == refunding.RETURNED else None,
                )
            )
    return transfers


def ask_lots(tx: Transaction, slot: int, claims: Sequence[ClawbackTarget]) -> LotsOfPurchase:
    """The lots that the purchase made in each wallet; asked for with what is sent next."""
    lots: dict[AccountName, Callable[[], Sequence[Any]]] = {}
    for claim in claims:
        if claim.wallet not in lots:
            values = {"p_payment": claim.lot.payment, **account_keys((slot, claim.wallet), "p_")}
            lots[claim.wallet] = _LOTS_OF_PAYMENT.asked(tx, values, _LotRow)
    return lots


def _returned_lot(claim: ClawbackTarget, amount: int) -> Lot:
    """Coins that come back are a lot of their own, with what the first one said and its share of the value."""
    value = (2 * claim.lot.value_minor * amount + claim.granted) // (2 * claim.granted)
    return replace(claim.lot, value_minor=value, currency=claim.lot.currency if value else "")


# --- reservations: the coins of a refund that is under way ---


def reserve(tx: Tx, slot: int, wallet: AccountName, most: int, refund_id: int) -> int:
    """Reserve up to that many coins of the wallet for that refund; how many there were. A frozen wallet is no obstacle:
    the coins go back to where they came from. It counts for no spend limit."""
    with LedgerTransaction(tx, [(slot, wallet)], with_lots=True) as books:
        books.expire(slot, wallet)
        book = books.book(slot, wallet)
        amount = min(most, book.available)
        if amount <= 0:
            return 0
        holds.make(books, slot, _reservation(wallet, amount, refund_id), limited=False)
    return amount


def _reservation(wallet: AccountName, amount: int, refund_id: int) -> HoldRequest:
    user, asset, environment = wallet.user_id, wallet.asset, wallet.environment
    key, lasts = f"{refund_id}:{asset}", LONGEST_HOLD_SECONDS
    return HoldRequest(user, asset, amount, key, lasts, "refund", environment, str(refund_id))


def hold_of_refund(slot: int, wallet: AccountName, refund_id: int) -> uuid.UUID:
    """The name of the hold with which that refund may have reserved coins of the wallet."""
    return _reservation(wallet, 1, refund_id).id_in(slot)


def release_reserved(tx: Tx, slot: int, wallet: AccountName, refund_id: int) -> None:
    """Let the reserved coins of one wallet go: the refund was declined. A debt made meanwhile is repaid first."""
    with LedgerTransaction(tx, [(slot, wallet)], with_lots=True) as books:
        _let_go_of(books, slot, hold_of_refund(slot, wallet, refund_id))
        books.expire(slot, wallet)
        books.repay(slot, wallet)


def _let_go_of(books: LedgerTransaction, slot: int, number: uuid.UUID) -> None:
    held = books.find_hold(slot, number)
    if held is not None and held.state == hold_rows.OPEN:
        books.lower_hold(held, held.rest, hold_rows.RELEASED)


def _draw(books: LedgerTransaction, slot: int, wallet: AccountName, numbers: Sequence[uuid.UUID], missing: int) -> None:
    """Use what other refunds of the purchase have reserved in that wallet, as far as it is needed."""
    for number in numbers:
        held = books.find_hold(slot, number)
        if held is not None and held.state == hold_rows.OPEN and held.account == wallet and missing > 0:
            amount = min(missing, held.rest)
            books.lower_hold(held, amount, hold_rows.OPEN if amount < held.rest else hold_rows.RELEASED)
            missing -= amount
