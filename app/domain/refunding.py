"""Refunds as pure rules: their states, and how much of a purchase has been given back by what providers told so far.

Clawback is a computed target, not a sum of events: from all facts about a purchase follows the part of it that is
refunded now, from that the money and the coins that must be gone, and only the difference to what the books say is
booked. So facts may come in any order, be repeated, or be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from operator import attrgetter, itemgetter

from app.domain.facts import Kind

SHARE_PARTS = 100_000
"""A fact's `share` is in parts per this many."""
NOTHING, WHOLE = Fraction(0), Fraction(1)
_AT, _MONEY, _TOTAL, _SHARE = (attrgetter(name) for name in ("at", "money", "total", "share"))


class RefundStatus(StrEnum):
    CREATED = "created"
    """Written down, coins reserved; the provider may not have heard of it."""
    PENDING = "pending"
    """The provider has it and has not decided: accepted is not done."""
    UNKNOWN = "unknown"
    """We asked for it and got no answer that can be believed."""
    DONE = "done"
    DECLINED = "declined"
    """A definite no: nothing was given back and nothing will be."""
    UNDONE = "undone"
    """Done, and taken back later: the money is ours again."""


class RefundCause(StrEnum):
    """What we find out, or decide, by ourselves about a refund. What providers tell is folded by `refunded`."""

    UNANSWERED = "unanswered"
    """Our call ended without an answer that can be believed."""
    DECLINED = "declined"
    """Our call got a definite no."""
    ENDED = "ended"
    """A person has ended it by name."""


OPEN_REFUND = frozenset({RefundStatus.CREATED, RefundStatus.PENDING, RefundStatus.UNKNOWN})
MONEY_WENT_BACK = (RefundStatus.DONE, RefundStatus.UNDONE)
"""To the payer, even if it came back later."""

_S, _C = RefundStatus, RefundCause
REFUND_EDGES: dict[tuple[RefundStatus, RefundCause], RefundStatus] = {
    (_S.CREATED, _C.UNANSWERED): _S.UNKNOWN,
    # A «no» to a repeat proves something only after the provider, asked, knew nothing of the first call: the caller
    # of these rules asks before it repeats.
    **{(status, cause): _S.DECLINED for status in sorted(OPEN_REFUND) for cause in (_C.DECLINED, _C.ENDED)},
}


def next_refund_status(status: RefundStatus, cause: RefundCause) -> RefundStatus | None:
    """Where the cause takes the refund; None if it changes nothing."""
    return REFUND_EDGES.get((status, cause))


def status_told(current: RefundStatus, told: RefundStatus | None) -> RefundStatus:
    """The status of a refund by what its provider told, all in all. The provider's word that money went back, or did
    not, outweighs whatever we thought; «in progress» does not reopen what has ended here."""
    if told is None or (told is RefundStatus.PENDING and current not in OPEN_REFUND):
        return current
    return told


class Clawback(StrEnum):
    """What to do about refunded coins that are spent already."""

    DEBT = "debt"
    """The user owes them; whatever enters the wallet later repays first."""
    FORGIVE = "forgive"
    """Take what is there: the wallet ends at zero, and nobody owes anything."""
    FREEZE = "freeze"
    """Debt, and the wallet takes no more spends until somebody unfreezes it."""


class Origin(StrEnum):
    """Who wanted a refund."""

    ASKED = "asked"
    """The app's backend."""
    AUTOMATIC = "automatic"
    """Our own rule for surplus and late money."""
    PROVIDER = "provider"
    """The provider, or somebody in its console."""


@dataclass(frozen=True, slots=True)
class RefundFact:
    """A provider's word about one refund of one purchase. Sizes are minor units, or parts per 100 000; None: untold."""

    kind: Kind
    number: str
    at: datetime
    money: int | None = None
    total: int | None = None
    share: int | None = None
    spares: str | None = None  # the refund that a taking back of all of them leaves as it is
    occurrence: str = ""
    dispute_fee: tuple[int, str] | None = None
    """Minor units and currency."""


@dataclass(frozen=True, slots=True)
class RefundTold:
    """How one refund of a purchase stands, by all that was told about it."""

    number: str
    status: RefundStatus
    at: datetime
    """The first time that anything is told of."""
    done_at: datetime | None = None
    """When the money went back, if it ever did."""
    minor: int | None = None
    """Its size, told or worked out from the totals around it."""
    part: Fraction = NOTHING
    """What of the purchase it gave back, if it ever was done."""
    undone: Fraction = NOTHING
    """What of that part came back to us."""
    dispute_fee: tuple[int, str] | None = None
    """What the provider charges for the dispute, by its latest word."""


@dataclass(frozen=True, slots=True)
class Refunded:
    """How a purchase stands."""

    part: Fraction
    """What of it is refunded, between 0 and 1."""
    refunds: Mapping[str, RefundTold]
    """By number, in the order in which they were done."""

    @property
    def standing(self) -> frozenset[str]:
        """The numbers of the refunds that were done and not taken back as a whole."""
        return frozenset(told.number for told in self.refunds.values() if told.status is RefundStatus.DONE)


def refunded(facts: Iterable[RefundFact], paid_minor: int | None, own: Mapping[str, int] | None = None) -> Refunded:
    """What part of a purchase is refunded, and how each refund of it stands, whatever the order of telling.

    `own` are the amounts of the refunds that we asked for, by number: some roads tell no size.

    In the order in which things happened at the provider: a single amount adds to what was refunded before; a running
    total lifts it to at least that much; a share says how it stands, but never less than the single amounts. So nothing
    that two roads tell is counted twice, and a refund that only the total of a later one shows is not missed. A refund
    that fails after it was done never counts from then on, unless a later occurrence of it is told as done. What is
    taken back by a known number takes that refund back, as far as it says; by a number that nobody knows, it takes
    everything before it but a refund that it spares.
    """
    by_number: dict[str, list[RefundFact]] = {}
    for fact in facts:
        by_number.setdefault(fact.number, []).append(fact)
    histories, moments, counting = list[_History](), list[_Moment](), _Counting(paid_minor)
    for number in sorted(by_number):
        history = _History.of(number, by_number[number], (own or {}).get(number))
        histories.append(history)
        moments += history.moments()
    for moment in sorted(moments, key=_Moment.place):
        counting.count(moment)
    refunds = list[tuple[datetime, str, RefundTold]]()
    for history in histories:
        told = history.told(counting)
        if told is not None:
            refunds.append((told.done_at or told.at, told.number, told))
    refunds.sort(key=itemgetter(0, 1))
    return Refunded(min(counting.level, WHOLE), {number: told for _, number, told in refunds})


@dataclass(frozen=True, slots=True)
class _Moment:
    """One change at the provider: money went back to the payer, or came back to us. `number` None: whatever stands."""

    at: datetime
    number: str | None
    done: RefundFact | None = None
    money: int | None = None
    becomes: RefundStatus = RefundStatus.UNDONE
    spares: str | None = None

    def place(self) -> tuple[datetime, bool, str, str]:
        return self.at, self.done is None, self.number or "", self.becomes


@dataclass(frozen=True, slots=True)
class _History:
    """Everything that was told about one number."""

    number: str
    facts: Sequence[RefundFact]
    by_kind: Mapping[Kind, Sequence[RefundFact]]
    done: RefundFact | None
    """The refund itself, put together from all tellings of it."""
    minor: int | None
    is_ours: bool

    @classmethod
    def of(cls, number: str, facts: Sequence[RefundFact], own: int | None) -> _History:
        by_kind: dict[Kind, list[RefundFact]] = {}
        for fact in facts:
            by_kind.setdefault(fact.kind, []).append(fact)
        done = by_kind.get(Kind.REFUNDED, [])
        others = [*by_kind.get(Kind.REFUND_PENDING, ()), *by_kind.get(Kind.REFUND_FAILED, ())]
        minor = _largest(map(_MONEY, done))
        if minor is None:
            minor = own if own is not None else _largest(map(_MONEY, others))
        total, share = _largest(map(_TOTAL, done)), _largest(map(_SHARE, done))
        whole = RefundFact(Kind.REFUNDED, number, min(map(_AT, done)), minor, total, share) if done else None
        return cls(number, facts, by_kind, whole, minor, own is not None)

    def moments(self) -> Iterator[_Moment]:
        undone = self.by_kind.get(Kind.REFUND_UNDONE, ())
        if self.done is not None:
            yield _Moment(self.done.at, self.number, self.done)
            again = self._done_again
            for fact in undone:
                if again is None or fact.money is not None or fact.at > again:
                    yield _Moment(max(fact.at, self.done.at), self.number, money=fact.money)
            failed = max(map(_AT, self.by_kind.get(Kind.REFUND_FAILED, ())), default=self.done.at)
            if failed > (again or self.done.at):
                yield _Moment(failed, self.number, becomes=RefundStatus.DECLINED)
        elif not self._is_known:
            for fact in undone:
                yield _Moment(fact.at, None, money=fact.money, spares=fact.spares)

    def told(self, counting: _Counting) -> RefundTold | None:
        """None for a taking back whose refund nobody has told."""
        at = min(map(_AT, self.facts))
        if self.done is not None:
            part, undone, status = counting.of(self.number)
            minor = counting.minor_of(part) if self.minor is None else self.minor
            return RefundTold(self.number, status, at, self.done.at, minor, part, undone, self._dispute_fee)
        if not self._is_known:
            return None
        if any(fact.money is None for fact in self.by_kind.get(Kind.REFUND_UNDONE, ())):
            status = RefundStatus.UNDONE
        elif Kind.REFUND_FAILED in self.by_kind:
            status = RefundStatus.DECLINED
        elif Kind.REFUND_PENDING in self.by_kind:
            status = RefundStatus.PENDING
        else:
            return None
        return RefundTold(self.number, status, at, None, self.minor, dispute_fee=self._dispute_fee)

    @property
    def _done_again(self) -> datetime | None:
        """When it was done for the last time, where the provider told several times apart. What failed or was taken
        back as a whole before that stands no more."""
        done = self.by_kind.get(Kind.REFUNDED, ())
        return max((fact.at for fact in done if fact.occurrence), default=None)

    @property
    def _dispute_fee(self) -> tuple[int, str] | None:
        said = [(fact.at, fact.dispute_fee) for fact in self.facts if fact.dispute_fee is not None]
        return max(said)[1] if said else None

    @property
    def _is_known(self) -> bool:
        """Whether the number is one of a refund, and not that of a taking back alone."""
        return self.is_ours or any(kind is not Kind.REFUND_UNDONE for kind in self.by_kind)


def _largest(sizes: Iterable[int | None]) -> int | None:
    largest: int | None = None
    for size in sizes:
        if size is not None and (largest is None or size > largest):
            largest = size
    return largest


class _Counting:
    """Walks through a purchase's moments, and keeps how much is refunded and what each refund has to do with it."""

    def __init__(self, paid_minor: int | None) -> None:
        self._paid = paid_minor
        self.level = NOTHING
        self._singles = NOTHING
        self._part: dict[str, Fraction] = {}
        self._undone: dict[str, Fraction] = {}
        self._status: dict[str, RefundStatus] = {}
        self._alone: set[str] = set()

    def of(self, number: str) -> tuple[Fraction, Fraction, RefundStatus]:
        return self._part[number], self._undone[number], self._status[number]

    def minor_of(self, part: Fraction) -> int | None:
        return of_amount(part, self._paid) or None if self._paid else None

    def count(self, moment: _Moment) -> None:
        if moment.done is not None:
            self._add(moment.done)
        elif moment.number is not None:
            self._take_back(moment.number, moment)
        else:
            spared = self._standing(moment.spares)
            back = self.level - spared if moment.money is None else self._share_of(moment.money)
            self._lower(back, alone=True, spares=moment.spares)

    def _add(self, fact: RefundFact) -> None:
        single, before = self._share_of(fact.money), self.level
        self._singles += single
        self.level = max(before + single, self._share_of(fact.total))
        if fact.share is not None:
            self.level = max(self._singles, Fraction(fact.share, SHARE_PARTS))
        is_alone = fact.money is not None and bool(self._paid)
        self._part[fact.number] = single if is_alone else max(NOTHING, self.level - before)
        if is_alone:
            self._alone.add(fact.number)
        self._undone[fact.number] = NOTHING
        self._status[fact.number] = RefundStatus.DONE

    def _take_back(self, number: str, moment: _Moment) -> None:
        rest = self._part[number] - self._undone[number]
        back = rest if moment.money is None else min(rest, self._share_of(moment.money))
        if self._status[number] is not RefundStatus.DONE:
            return
        self._undone[number] += back
        if moment.money is None or back == rest:
            self._status[number] = moment.becomes
        self._lower(back, alone=number in self._alone)

    def _standing(self, number: str | None) -> Fraction:
        """What of the purchase that refund still gives back; nothing for one that is not known."""
        return NOTHING if number is None else self._part.get(number, NOTHING) - self._undone.get(number, NOTHING)

    def _lower(self, back: Fraction, *, alone: bool, spares: str | None = None) -> None:
        """So much came back to us. Where nothing else is left, all refunds but the spared one are undone."""
        self.level = max(NOTHING, self.level - back)
        if alone:
            self._singles = max(NOTHING, self._singles - back)
        if self.level <= self._standing(spares):
            for number, status in self._status.items():
                if status is RefundStatus.DONE and number != spares:
                    self._status[number], self._undone[number] = RefundStatus.UNDONE, self._part[number]

    def _share_of(self, minor: int | None) -> Fraction:
        return Fraction(minor, self._paid) if minor is not None and self._paid else NOTHING


def tells_a_size(fact: RefundFact, paid_minor: int | None) -> bool:
    """Whether the fact can be turned into a part of the purchase at all."""
    in_money = fact.money is not None or fact.total is not None
    return fact.share is not None or (in_money and bool(paid_minor))


def of_amount(part: Fraction, amount: int) -> int:
    """That part of a whole amount (money paid, coins granted), rounded half up."""
    return int(part * amount + Fraction(1, 2))


def left_to_refund(part: Fraction, paid_minor: int, under_way: int) -> int:
    """How much may still be asked for: what is neither refunded nor being refunded."""
    return max(0, paid_minor - of_amount(part, paid_minor) - under_way)


# The kinds of transfer that refunds make, as the statement shows them.
REFUND, REFUND_UNDONE = "refund", "refund_undone"
CLAWBACK, RETURNED = "clawback", "clawback_returned"
DEBT, DEBT_CANCELLED = "debt", "debt_cancelled"
FORGIVEN, UNFORGIVEN = "forgiven", "unforgiven"
RECALLED, UNRECALLED = "clawback_recalled", "clawback_unrecalled"
"""Coins that were given away are asked back from whoever has them; what was no longer there."""
MONEY_KINDS = (REFUND, REFUND_UNDONE)
COIN_KINDS = (CLAWBACK, RETURNED, DEBT, DEBT_CANCELLED, FORGIVEN, UNFORGIVEN, RECALLED, UNRECALLED)
