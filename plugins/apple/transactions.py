"""What one verified transaction means to us. The same for every road: the facts come from the transaction alone.

How a purchase is named (`Ref.theirs`), within its environment:

    consumable, non-renewing   the transaction id
    non-consumable             the original transaction id (each restore makes a new transaction)
    subscription period        `<original transaction id>-<web order line item id>` (several transactions may tell one
                               period: another device, a restore); should the line item be missing,
                               `<original transaction id>-p<purchase date in milliseconds>`

A refund is a state of the transaction, not an event: `Ref.refund` is the revocation date in milliseconds, followed by
`-<share>` where Apple gave back only a part, and `Fact.share` is all that was given back so far. A period that an
upgrade replaced is refunded too, under the number `upgraded`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from app.domain.money import Money, MoneyError, exponent
from app.providers import Ending, Fact, Kind, Ref
from plugins.apple.signed_data import Reason, Refused, moment
from plugins.apple.territories import TWO_LETTERS

WHOLE = 100_000
"""Apple's milliunits of a percent, which are the port's parts per 100 000."""
MILLIUNITS = 1000
"""Apple's prices are in thousandths of the currency, whatever its minor unit is."""
MAX_QUANTITY = 10
UPGRADED = "upgraded"
"""The number of the refund of a period that an upgrade replaced. A period is replaced once, so that the word is enough,
and known on every road; the new transaction's number is not."""
CONSUMABLE = "Consumable"
NON_CONSUMABLE = "Non-Consumable"
SUBSCRIPTION = "Auto-Renewable Subscription"
NON_RENEWING = "Non-Renewing Subscription"

Digits = Annotated[str, Field(pattern=r"^[0-9]{1,20}\z")]
Milliseconds = Annotated[int, Field(gt=0, lt=4_102_444_800_000)]


def _whole_number_or_none(value: object) -> int | None:
    return value if type(value) is int else None


Hint = Annotated[int | None, BeforeValidator(_whole_number_or_none)]
"""A number that helps to decide: one of another form is as good as none, and refuses nothing."""


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


Note = Annotated[str | None, BeforeValidator(_text_or_none)]
"""A text that refuses nothing either."""


class Transaction(BaseModel):
    """The members of a JWSTransaction that decide something (App Store Server API 1.23), checked."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel, hide_input_in_errors=True)

    transaction_id: Digits
    original_transaction_id: Digits
    web_order_line_item_id: Digits | None = None
    bundle_id: str
    product_id: Annotated[str, Field(min_length=1, max_length=255)]
    type: Annotated[str, Field(max_length=100)]
    quantity: Annotated[int, Field(ge=1)] = 1
    purchase_date: Milliseconds
    signed_date: Milliseconds
    expires_date: Milliseconds | None = None
    app_account_token: Annotated[str, Field(max_length=64)] | None = None
    in_app_ownership_type: str
    revocation_date: Milliseconds | None = None
    revocation_type: str | None = None
    revocation_reason: int | None = None
    revocation_percentage: Annotated[int, Field(ge=0, le=WHOLE)] | None = None
    offer_type: Hint = None
    offer_discount_type: str | None = None
    price: Hint = None
    """Milliunits of the currency, for the whole quantity, after offers."""
    currency: Note = None
    storefront: Note = None
    """ISO 3166-1, three letters. The currency does not tell it, nor it the currency."""
    is_upgraded: bool = False
    transaction_reason: str | None = None
    environment: Literal["Production", "Sandbox"]

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, members: Mapping[str, Any]) -> dict[str, Any]:
        """A member that is null or blank is absent. Blank account tokens were reported (react-native-iap #2522)."""
        return {
            name: value
            for name, value in members.items()
            if value is not None and not (isinstance(value, str) and not value.strip())
        }

    @property
    def theirs(self) -> str:
        if self.type == SUBSCRIPTION:
            return f"{self.original_transaction_id}-{self.web_order_line_item_id or f'p{self.purchase_date}'}"
        return self.original_transaction_id if self.type == NON_CONSUMABLE else self.transaction_id

    @property
    def agreement(self) -> str | None:
        return self.original_transaction_id if self.type == SUBSCRIPTION else None

    @property
    def owner(self) -> str | None:
        """The token in its one spelling; a text that is no UUID stays as it is, and matches nobody.

        The UUID of nothing names nobody: clients send it where no user is signed in. A token in what a family shares
        could only be that of the member who bought it: Apple has none for the others (WWDC 2025).
        """
        token = self.app_account_token
        if token is None or self.is_shared:
            return None
        try:
            known = uuid.UUID(token.strip())
        except ValueError:
            return token
        return str(known) if known.int else None

    @property
    def is_bought(self) -> bool:
        """Bought by the person who has it: not shared by the family, not a seat that somebody else paid."""
        return self.in_app_ownership_type == "PURCHASED"

    @property
    def is_shared(self) -> bool:
        """Bought by somebody of the holder's family, who shares it. Each member has transactions of their own."""
        return self.in_app_ownership_type == "FAMILY_SHARED"

    @property
    def is_free(self) -> bool:
        """Nothing is known to have been paid: a free trial, a price of 0, or an offer that tells neither a price nor
        a kind of discount (signed before 2023: `offerDiscountType` and `price` came later)."""
        if self.offer_discount_type == "FREE_TRIAL" or self.price == 0:
            return True
        return self.is_of_unknown_price

    @property
    def gross(self) -> Money | None:
        """What the customer was charged. None where the transaction does not say so exactly: then no amount is made up,
        and the coins are there without a value."""
        if self.price is None or self.currency is None or self.price < 0:
            return None
        minor, rest = divmod(self.price * 10 ** exponent(self.currency), MILLIUNITS)
        try:
            return Money(minor, self.currency) if rest == 0 else None
        except MoneyError:
            return None

    @property
    def is_of_unknown_price(self) -> bool:
        """An offer without the members that say what was paid. Signed today, the transaction has them: worth asking."""
        return self.offer_type is not None and self.offer_discount_type is None and self.price is None

    @property
    def may_replace(self) -> bool:
        """A later period that the customer bought: a subscription taken up again, or an upgrade of a running one."""
        is_first = self.transaction_id == self.original_transaction_id
        return self.type == SUBSCRIPTION and not is_first and self.transaction_reason != "RENEWAL"

    @property
    def needs_asking(self) -> bool:
        """It does not tell all: an upgrade gives back a part of another period, or of this one, and what is shared may
        be shared no more, which was then told before anybody was known to have it."""
        return self.is_upgraded or self.may_replace or self.is_of_unknown_price or self.is_shared


def read_transaction(payload: Mapping[str, Any]) -> Transaction:
    """The verified payload as a transaction. Raises Refused where something that must be there is missing or odd."""
    try:
        transaction = Transaction.model_validate(payload)
    except ValidationError as error:
        names = ", ".join(sorted({str(fault["loc"][0]) for fault in error.errors(include_input=False)}))
        raise Refused(Reason.CONTENT, f"a transaction with missing or odd members: {names}") from None
    if transaction.type in (CONSUMABLE, NON_CONSUMABLE) and transaction.quantity > MAX_QUANTITY:
        raise Refused(Reason.CONTENT, "a quantity that the store does not sell")
    return transaction


def facts_of(transaction: Transaction, raw: Mapping[str, Any], *, grant_free_trials: bool) -> tuple[Fact, ...]:
    """All that the transaction states now: that it was paid, and if so, that it was given back. Of a subscription that
    is shared or tried: that it is in force, or no more."""
    if transaction.type not in (CONSUMABLE, NON_CONSUMABLE, SUBSCRIPTION, NON_RENEWING):
        return (_fact(Kind.PENDING, transaction, raw, cause=f"product type {transaction.type}"),)
    if transaction.is_shared:
        return _shared(transaction, raw)
    if not counts(transaction, grant_free_trials=grant_free_trials):
        is_trial = transaction.is_bought and transaction.type == SUBSCRIPTION
        return (signed(transaction, raw),) if is_trial else ()
    return (_fact(Kind.PAID, transaction, raw), *refunds_of(transaction, raw))


def _shared(transaction: Transaction, raw: Mapping[str, Any]) -> tuple[Fact, ...]:
    """A member of a family may use it until the end of the period, unless that is over. Of a period that the buyer's
    upgrade replaced the next one tells."""
    if transaction.type != SUBSCRIPTION or transaction.is_upgraded:
        return ()
    if transaction.revocation_date is None:
        return (signed(transaction, raw),)
    return (replace(ended(transaction, raw, "FAMILY_SHARED: revoked"), ending=Ending.PROVIDER),)


def counts(transaction: Transaction, *, grant_free_trials: bool) -> bool:
    """Whether the transaction is a purchase by its holder, as opposed to a shared one or an unpaid trial."""
    return transaction.is_bought and (grant_free_trials or not transaction.is_free)


def refunds_of(transaction: Transaction, raw: Mapping[str, Any]) -> tuple[Fact, ...]:
    """The refund that a transaction which counts shows, if it shows one."""
    if transaction.is_upgraded:
        return refunds_of_upgraded(transaction, raw, None)
    if transaction.revocation_date is None:
        return ()
    share = WHOLE if transaction.revocation_percentage is None else transaction.revocation_percentage
    number = str(transaction.revocation_date) + (f"-{share}" if share != WHOLE else "")
    at = moment(transaction.revocation_date)
    return (_fact(Kind.REFUNDED, transaction, raw, refund=number, at=at, share=share, cause=_why(transaction)),)


def refunds_of_upgraded(old: Transaction, raw: Mapping[str, Any], new: Transaction | None) -> tuple[Fact, ...]:
    """What went back of a period that `new` replaced before its end. Apple sends no REFUND about that.

    Without the new period only the revocation can tell when the old one ended, and where that is missing too, the size
    is unknown: REFUND_PENDING, to be asked about.
    """
    replaced_at = new.purchase_date if new is not None else old.revocation_date
    unused = _unused_share(old, replaced_at)
    if replaced_at is None or unused is None:
        at = moment(old.signed_date)
        return (_fact(Kind.REFUND_PENDING, old, raw, refund=UPGRADED, at=at, cause="replaced by an upgrade"),)
    told = []
    if unused:
        at = moment(replaced_at)
        told.append(_fact(Kind.REFUNDED, old, raw, refund=UPGRADED, at=at, share=unused, cause="UPGRADE: unused part"))
    # A revocation beside the upgrade is a refund of its own only if it says how much.
    later = old.revocation_percentage
    if later is None and old.revocation_type == "REFUND_FULL":
        later = WHOLE
    if old.revocation_date is not None and later is not None and _is_all_that_went_back(later, unused):
        # After the upgrade also where Apple dates both alike: the signed word stands.
        number, at = f"{old.revocation_date}-{later}", moment(max(old.revocation_date, replaced_at + 1))
        told.append(_fact(Kind.REFUNDED, old, raw, refund=number, at=at, share=later, cause=_why(old)))
    return tuple(told)


def _is_all_that_went_back(signed: int, unused: int) -> bool:
    """Whether the signed percentage is all that was given back of a replaced period, the unused part included.

    `revocationPercentage` is what was refunded of the transaction (App Store Server API, 2025-12), and `unused` only
    follows from the times. So it counts where it is the larger one, and also where it is the smaller one and the two
    together were more than was paid: value follows the money. A small one beside a small unused part may be meant on
    top of that, so it takes nothing off.
    """
    return signed > unused or (signed < unused and signed + unused > WHOLE)


def _unused_share(old: Transaction, replaced_at: int | None) -> int | None:
    """The part of the period that was left, rounded half up; None if the times for it are missing."""
    if replaced_at is None or old.expires_date is None or old.expires_date <= old.purchase_date:
        return None
    length = old.expires_date - old.purchase_date
    left = min(max(old.expires_date - replaced_at, 0), length)
    return (2 * WHOLE * left + length) // (2 * length)


def signed(transaction: Transaction, raw: Mapping[str, Any]) -> Fact:
    """The subscription is in force until the end of this transaction's period.

    What is shared may be taken back and shared again under one transaction. Nothing in that says when, but Apple signs
    it anew: such a word is of the moment at which it was signed.
    """
    return _fact(Kind.SIGNED, transaction, raw, at=moment(transaction.signed_date) if transaction.is_shared else None)


def ended(transaction: Transaction, raw: Mapping[str, Any], cause: str) -> Fact:
    """The subscription is over: at its period's end, or before it when it was revoked."""
    ends = [ms for ms in (transaction.expires_date, transaction.revocation_date) if ms is not None]
    at = moment(min(ends)) if ends else moment(transaction.signed_date)
    fact = _fact(Kind.ENDED, transaction, raw, at=at, cause=cause)
    is_dated = transaction.is_shared and transaction.revocation_date is not None
    return replace(fact, occurrence=str(transaction.revocation_date)) if is_dated else fact


def about_refund(
    kind: Kind, transaction: Transaction, raw: Mapping[str, Any], *, number: str, at: datetime, cause: str
) -> Fact:
    """A refund fact that the transaction itself does not show: asked for, refused, under way, taken back.

    A taking back is about what the customer was refunded on request: what an upgrade gave back stays given back.
    """
    spares = UPGRADED if kind is Kind.REFUND_UNDONE and transaction.type == SUBSCRIPTION else None
    return _fact(kind, transaction, raw, refund=number, at=at, cause=cause, spares=spares)


def _why(transaction: Transaction) -> str:
    """Apple's reason codes: 1 is an issue with the app, 0 anything else (2025-12)."""
    reason = {0: "other reason", 1: "issue with the app"}.get(transaction.revocation_reason or 0, "unknown reason")
    return f"{transaction.revocation_type or 'REFUND'}: {reason}"


def _fact(
    kind: Kind,
    transaction: Transaction,
    raw: Mapping[str, Any],
    *,
    refund: str | None = None,
    at: datetime | None = None,
    share: int | None = None,
    cause: str = "",
    spares: str | None = None,
) -> Fact:
    return Fact(
        kind=kind,
        ref=Ref(theirs=transaction.theirs, refund=refund, agreement=transaction.agreement),
        at=at or moment(transaction.purchase_date),
        share=share,
        product=transaction.product_id,
        quantity=transaction.quantity,
        owner=transaction.owner,
        account=transaction.bundle_id,
        live=transaction.environment == "Production",
        period_end=moment(transaction.expires_date) if transaction.expires_date is not None else None,
        cause=cause,
        spares=spares,
        price=transaction.gross if kind is Kind.PAID else None,
        storefront=TWO_LETTERS.get(transaction.storefront or ""),
        shared=transaction.is_shared,
        raw=dict(raw),
    )
