"""What a client hands in as proof of purchase: one JSON object with exactly one kind of proof.

    {"signed_transaction": JWS}                  StoreKit 2, `VerificationResult.jwsRepresentation`
    {"signed_transactions": [JWS, …]}            up to 20 of them (unfinished ones at the app's start)
    {"transaction_id": "…"}                      a bare number
    {"transaction_ids": ["…", …]}                up to 20 of them; what is no number is passed over
    {"app_receipt": base64, "transaction_id": …} StoreKit 1; the id (`SKPaymentTransaction.transactionIdentifier`) is
                                                 optional and asked about first
    {"transaction_receipt": base64}              StoreKit 1 before iOS 7

Only the first two prove anything. A number is no secret, so the others are questions that the core asks Apple.

Sizes and counts are looked at before anything is verified. Who hands in more than a receipt may hold is told so
(`Forged.code`: `too_many_transactions`, `receipt_too_large`) and hands the rest in by further receipts.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
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

LARGEST_RECEIPT = 1000 * 1024
"""Bytes of a receipt. The largest is an app receipt of StoreKit 1. Less than the service takes as a body, so that the
client is told which of the two is too large."""
LARGEST_LIST = 256 * 1024
"""Bytes of a receipt of any other shape: 20 signed transactions of today take about 130 KiB."""


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
    identity: str = ""
    """What is proved or named, whatever the bytes around it: `Received.proof`."""
    open_asks: tuple[Ref, ...] = ()
    """Those of `asks` without which the facts are not complete, even where nothing needs to be confirmed."""


@dataclass(frozen=True, slots=True)
class ReceiptReader:
    """Reads receipts of one app. Makes no call of any kind."""

    signed_data: SignedData
    grant_free_trials: bool
    legacy: bool
    """Whether app receipts are settled by Apple's deprecated call."""

    def read(self, body: bytes) -> Proof:
        """Verify what can be verified here. Raises Refused for what proves and names nothing."""
        if len(body) > LARGEST_RECEIPT:
            raise Refused(Reason.TOO_LARGE, f"a receipt has at most {LARGEST_RECEIPT} bytes")
        document = _document(body)
        shape = frozenset(document)
        if len(body) > LARGEST_LIST and "app_receipt" not in shape:
            raise Refused(Reason.TOO_LARGE, f"a receipt of this shape has at most {LARGEST_LIST} bytes")
        reader = _SHAPES.get(shape)
        if reader is None:
            raise Refused(Reason.FORM, "a receipt has exactly one kind of proof")
        return reader(self, document)

    def signed_transactions(self, texts: list[str]) -> Proof:
        """StoreKit 2. One that must not be believed refuses them all: no device holds purchases of another app.

        A genuine one that cannot be read must not hide its neighbours: it is passed over if any other can be.
        """
        payloads, transactions = self._readable(texts)
        stated = [
            facts_of(transaction, payload, grant_free_trials=self.grant_free_trials)
            for transaction, payload in zip(transactions, payloads, strict=True)
        ]
        # What is no purchase by its holder (a family's, a seat) would stay without an answer for ever: not asked about.
        wanted = [one for one, facts in zip(transactions, stated, strict=True) if facts or one.is_of_unknown_price]
        return Proof(
            facts=tuple(fact for facts in stated for fact in facts),
            asks=tuple(dict.fromkeys(_question(one) for one in wanted)),
            signed_at=moment(min(one.signed_date for one in transactions)),
            note=_note(len(set(texts)) - len(transactions), sum(not facts for facts in stated)),
            identity=_identity("signed", (text.rpartition(".")[0] for text in texts)),
            open_asks=tuple(dict.fromkeys(_question(one) for one in wanted if one.needs_asking)),
        )

    def _readable(self, texts: list[str]) -> tuple[list[Mapping[str, Any]], list[Transaction]]:
        payloads, transactions, unreadable = [], [], None
        for text in dict.fromkeys(texts):
            try:
                payload = self.signed_data.transaction(text)
                transactions.append(read_transaction(payload))
                payloads.append(payload)
            except Refused as error:
                if error.reason is not Reason.CONTENT:
                    raise
                unreadable = error
        if unreadable is not None and not transactions:
            raise unreadable
        return payloads, transactions

    def app_receipt(self, receipt: str, first: str | None) -> Proof:
        try:
            found = transactions_in_app_receipt(receipt)
        except MalformedReceipt as error:
            if first is None:
                raise Refused(Reason.FORM, str(error)) from None
            found = ()
        ids = tuple(dict.fromkeys(([first] if first is not None else []) + list(found)))[:MOST_TRANSACTIONS]
        if self.legacy:
            ask = LegacyReceiptRef(theirs=ids[0], receipt=receipt)
            return Proof(asks=(ask,), identity=_identity("receipt", [*ids, _content_digest(receipt)]))
        return _named(ids)


def _named(ids: Iterable[str]) -> Proof:
    """Numbers without a proof."""
    once = tuple(dict.fromkeys(ids))
    # Zeros in front make no other number.
    identity = _identity("named", (number.lstrip("0") for number in once))
    return Proof(asks=tuple(Ref(theirs=number) for number in once), identity=identity)


def _identity(kind: str, parts: Iterable[str]) -> str:
    """One name for one proof: order and repeats do not matter, nor the signature, which has two valid spellings (r, s
    and r, n - s); nor does whatever surrounds the parts in JSON."""
    return f"{kind}:{hashlib.sha256(chr(10).join(sorted(set(parts))).encode()).hexdigest()}"


def _content_digest(receipt: str) -> str:
    """Of the bytes where it is base64, which spells the same bytes in more than one way."""
    try:
        data = b64decode(receipt, validate=True)
    except ValueError:
        data = receipt.encode()
    return hashlib.sha256(data).hexdigest()


def _note(unreadable: int, not_bought: int) -> str:
    if unreadable > 0:
        return "a transaction that cannot be read"
    return "a transaction that its holder did not buy" if not_bought > 0 else ""


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
    return _named([_id(document["transaction_id"])])


def _many_numbers(_: ReceiptReader, document: Mapping[str, Any]) -> Proof:
    """Client libraries list pseudo ids among the real ones (cordova: `appstore.application`, cboard PR #2295)."""
    listed = _texts(document["transaction_ids"], MOST_TRANSACTIONS)
    return _named([number for number in listed if is_id(number)] or [_id(listed[0])])


def _app_receipt(reader: ReceiptReader, document: Mapping[str, Any]) -> Proof:
    first = document.get("transaction_id")
    return reader.app_receipt(_text(document["app_receipt"]), None if first in (None, "") else _id(first))


def _old_receipt(_: ReceiptReader, document: Mapping[str, Any]) -> Proof:
    try:
        return _named([transaction_in_old_receipt(_text(document["transaction_receipt"]))])
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
    if not isinstance(value, list) or not value:
        raise Refused(Reason.FORM, "a list of proofs has at least one")
    if len(value) > most:
        raise Refused(Reason.TOO_MANY, f"at most {most} proofs at a time")
    return [_text(item) for item in value]
