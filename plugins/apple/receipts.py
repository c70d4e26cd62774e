"""What a client hands in as proof of purchase: one JSON object with exactly one kind of proof.

    {"signed_transaction": JWS}                  StoreKit 2, `VerificationResult.jwsRepresentation`
    {"signed_transactions": [JWS, …]}            the same, up to 20 (unfinished ones at the app's start)
    {"transaction_id": "…"}                      a bare number
    {"transaction_ids": ["…", …]}                up to 20 of them
    {"app_receipt": base64, "transaction_id": …} StoreKit 1; the id (`SKPaymentTransaction.transactionIdentifier`) is
                                                 optional and asked about first
    {"transaction_receipt": base64}              StoreKit 1 before iOS 7

Only the first two prove anything. A number is no secret, so the others are questions that the core asks Apple.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.providers import Fact, Ref
from plugins.apple.app_receipts import (
    MOST_TRANSACTIONS,
    MalformedReceipt,
    is_id,
    transaction_in_old_receipt,
    transactions_in_app_receipt,
)
from plugins.apple.jws import MalformedJws, read_json
from plugins.apple.settings import Environment
from plugins.apple.signed_data import Reason, Refused, SignedData, moment
from plugins.apple.transactions import Transaction, facts_of, read_transaction


@dataclass(frozen=True, slots=True)
class SignedTransactionRef(Ref):
    """A purchase that a signed transaction told, with that transaction's number and environment: the cheapest question
    there is. Wherever it is stored it becomes a plain `Ref`, which asks for the same purchase by its name.
    """

    transaction: str = ""
    environment: Environment = "Production"


@dataclass(frozen=True, slots=True)
class LegacyReceiptRef(Ref):
    """A transaction named by an app receipt, with the receipt itself for Apple's deprecated check of it.

    Wherever it is stored it becomes a plain `Ref`, which asks the App Store Server API about the same transaction.
    """

    receipt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """A receipt, read: what its signatures prove, and what it only names."""

    facts: tuple[Fact, ...] = ()
    asks: tuple[Ref, ...] = ()
    signed_at: datetime | None = None
    """When the oldest of the signed transactions was signed; None where nothing was."""
    note: str = ""
    """For people: why a signed transaction is worth nothing here."""


@dataclass(frozen=True, slots=True)
class ReceiptReader:
    """Reads receipts of one app. Makes no call of any kind."""

    signed_data: SignedData
    grant_free_trials: bool
    legacy: bool
    """Whether app receipts are settled by Apple's deprecated call."""

    def read(self, body: bytes) -> Proof:
        """Verify what can be verified here. Raises Refused for what proves and names nothing."""
        document = _document(body)
        shape = frozenset(document)
        reader = _SHAPES.get(shape)
        if reader is None:
            raise Refused(Reason.FORM, "a receipt has exactly one kind of proof")
        return reader(self, document)

    def signed_transactions(self, texts: list[str]) -> Proof:
        """StoreKit 2. One that must not be believed refuses them all: no device holds purchases of another app."""
        payloads = [self.signed_data.transaction(text) for text in texts]
        transactions = [read_transaction(payload) for payload in payloads]
        stated = [
            facts_of(transaction, payload, grant_free_trials=self.grant_free_trials)
            for transaction, payload in zip(transactions, payloads, strict=True)
        ]
        # What is no purchase by its holder (a family's, a seat) would stay without an answer for ever: not asked about.
        asks = [_question(one) for one, facts in zip(transactions, stated, strict=True) if facts]
        return Proof(
            facts=tuple(fact for facts in stated for fact in facts),
            asks=tuple(dict.fromkeys(asks)),
            signed_at=moment(min(one.signed_date for one in transactions)),
            note="" if len(asks) == len(texts) else "a transaction that its holder did not buy",
        )

    def app_receipt(self, receipt: str, first: str | None) -> Proof:
        try:
            found = transactions_in_app_receipt(receipt)
        except MalformedReceipt as error:
            if first is None:
                raise Refused(Reason.FORM, str(error)) from None
            found = ()
        ids = tuple(dict.fromkeys(([first] if first is not None else []) + list(found)))[:MOST_TRANSACTIONS]
        if self.legacy:
            return Proof(asks=(LegacyReceiptRef(theirs=ids[0], receipt=receipt),))
        return Proof(asks=tuple(Ref(theirs=number) for number in ids))


def _question(transaction: Transaction) -> Ref:
    return SignedTransactionRef(
        theirs=transaction.theirs,
        agreement=transaction.agreement,
        transaction=transaction.transaction_id,
        environment=transaction.environment,
    )


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        return read_json(body)
    except MalformedJws:
        raise Refused(Reason.FORM, "the receipt is not a JSON object") from None


def _one_signed(reader: ReceiptReader, document: Mapping[str, Any]) -> Proof:
    return reader.signed_transactions([_text(document["signed_transaction"])])


def _many_signed(reader: ReceiptReader, document: Mapping[str, Any]) -> Proof:
    return reader.signed_transactions(_texts(document["signed_transactions"], MOST_TRANSACTIONS))


def _one_number(_: ReceiptReader, document: Mapping[str, Any]) -> Proof:
    return Proof(asks=(Ref(theirs=_id(document["transaction_id"])),))


def _many_numbers(_: ReceiptReader, document: Mapping[str, Any]) -> Proof:
    numbers = _texts(document["transaction_ids"], MOST_TRANSACTIONS)
    return Proof(asks=tuple(dict.fromkeys(Ref(theirs=_id(number)) for number in numbers)))


def _app_receipt(reader: ReceiptReader, document: Mapping[str, Any]) -> Proof:
    first = document.get("transaction_id")
    return reader.app_receipt(_text(document["app_receipt"]), None if first is None else _id(first))


def _old_receipt(_: ReceiptReader, document: Mapping[str, Any]) -> Proof:
    try:
        return Proof(asks=(Ref(theirs=transaction_in_old_receipt(_text(document["transaction_receipt"]))),))
    except MalformedReceipt as error:
        raise Refused(Reason.FORM, str(error)) from None


_SHAPES: Mapping[frozenset[str], Callable[[ReceiptReader, Mapping[str, Any]], Proof]] = {
    frozenset({"signed_transaction"}): _one_signed,
    frozenset({"signed_transactions"}): _many_signed,
    frozenset({"transaction_id"}): _one_number,
    frozenset({"transaction_ids"}): _many_numbers,
    frozenset({"app_receipt"}): _app_receipt,
    frozenset({"app_receipt", "transaction_id"}): _app_receipt,
    frozenset({"transaction_receipt"}): _old_receipt,
}


def _id(value: object) -> str:
    """Ids go into paths: nothing but digits, and not the 0 of Xcode's receipts."""
    if not isinstance(value, str) or not is_id(value):
        raise Refused(Reason.FORM, "a transaction id is 1 to 20 digits")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Refused(Reason.FORM, "a proof is a text")
    return value


def _texts(value: object, most: int) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise Refused(Reason.FORM, f"between 1 and {most} proofs at a time")
    return [_text(item) for item in value]
