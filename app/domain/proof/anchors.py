"""Anchors: what stood in the database at a moment, small enough to be kept elsewhere. No database, no files.

An anchor is lines of JSON: a header, a line for each used slot, lines of claims, and last a signature of all lines
before it. Each row has its number, a check of what never changes in it, and a few words that name it should it be gone.
A book needs only its version and its head: the chain stands for everything before.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from app.domain.raw_documents import proven_part
from app.domain.refunding import Origin
from app.domain.seals import Seals, spelled

ANCHOR_VERSION = 1
CHECK_BYTES = 12
"""So much of SHA-256 is kept of each row: 96 bits cannot be met by trying."""
SEALED_AS = "anchor"
ANCHORED: Mapping[str, tuple[str, ...]] = {
    "orders": (
        *("id", "user_id", "environment", "sku", "quantity", "amount_minor", "currency", "grants"),
        *("created_at", "expires_at"),
    ),
    "facts": (
        *("id", "provider_account", "environment", "key", "kind", "raw", "road", "message_id"),
        *("at", "recorded_at"),
    ),
    "refunds": (
        *("id", "order_id", "payment_id", "provider_account", "theirs", "number_there", "origin", "policy"),
        *("reason", "caller"),
    ),
}
"""What never changes in a row. Frozen with ANCHOR_VERSION: an anchor of years ago must still fit."""
_OF_OUR_REFUNDS = ("amount_minor", "currency", "created_at")
"""Of a refund that was asked for. Of one that the provider decided these follow from facts, and move with them; an
automatic one may shrink before it is sent. Frozen with ANCHOR_VERSION."""
FACT_CONTENT = (
    *("ours", "theirs", "refund", "agreement", "amount_minor", "currency", "total_minor", "share", "product"),
    *("quantity", "owner", "account", "live", "period_end", "fee_minor", "fee_currency", "cause", "refunds_unknown"),
    *("spares", "dispute_fee_minor", "dispute_fee_currency", "occurrence", "replaces"),
    *("our_agreement", "renews", "ending", "refusal"),
    *("price_minor", "price_currency", "storefront", "price_increase", "next_product"),
    "shared",
)
"""What a fact says. Later tellings complete it and change nothing that was said: so what was said then is anchored."""


class AnchorUnreadable(ValueError):
    """The file is no anchor, or not the one that was written."""


class AnchoredRow(NamedTuple):
    """An order, a fact or a refund."""

    id: int
    check: str
    said: int
    """Of a fact: which members of FACT_CONTENT it had, a bit for each."""
    about: str
    """Names the row for a person; no part of the proof."""


class AnchoredAccount(NamedTuple):
    """An account and the ends of its two chains."""

    id: int
    user_id: str
    code: str
    asset: str
    environment: str
    version: int
    balance: int
    head: str
    marks: int
    marks_head: str | None

    @property
    def name(self) -> tuple[str, str, str, str]:
        return self.user_id, self.code, self.asset, self.environment

    @property
    def shown(self) -> str:
        whose = f"of user {self.user_id}" if self.user_id else "of the house"
        return f"account {self.id} {whose} ({self.code}, {self.asset} {self.environment})"


class AnchoredClaim(NamedTuple):
    """A purchase at a store, and the user who owns it."""

    provider_account: str
    environment: str
    reference: str
    user_id: str


@dataclass(slots=True)
class AnchoredSlot:
    """Everything of one slot."""

    slot: int
    accounts: list[AnchoredAccount] = field(default_factory=list)
    rows: dict[str, list[AnchoredRow]] = field(default_factory=dict)

    def line(self) -> dict[str, object]:
        return {"slot": self.slot, "accounts": self.accounts, **self.rows}


@dataclass(frozen=True, slots=True)
class AnchorHeader:
    """When and of which installation an anchor was made."""

    at: str
    installation: str

    def line(self) -> dict[str, object]:
        return {"anchor": ANCHOR_VERSION, "at": self.at, "installation": self.installation}

    @property
    def shown(self) -> str:
        return f"{self.at} of {self.installation}"


# --- one row ---


def said_by(content: Mapping[str, Any]) -> int:
    """Which members of FACT_CONTENT a fact has, a bit for each."""
    return sum(1 << bit for bit, name in enumerate(FACT_CONTENT) if content.get(name) is not None)


def check_of(table: str, row: Mapping[str, Any], said: int = 0) -> str:
    """The check of a row as it stands now; of a fact, over those members that `said` names."""
    names = ANCHORED[table]
    if table == "refunds" and row["origin"] == Origin.ASKED:
        names += _OF_OUR_REFUNDS
    values = [spelled(proven_part(row[name]) if name == "raw" else row[name]) for name in names]
    if table == "facts":
        content = row["content"]
        values += [spelled(content.get(name)) for bit, name in enumerate(FACT_CONTENT) if said >> bit & 1]
    text = json.dumps([table, *values], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return base64.b64encode(digest[:CHECK_BYTES]).decode()


# --- the file ---


def signed_lines(header: AnchorHeader, lines: Iterable[Mapping[str, object]], seals: Seals) -> Iterator[bytes]:
    """The lines of a file, the signature as the last."""
    digest = hashlib.sha256()
    for line in chain([header.line()], lines):
        written = _written(line)
        digest.update(written)
        yield written
    yield _written({"signature": seals.of(SEALED_AS, [digest.hexdigest()]).hex()})


def proved_header(lines: Iterable[bytes], seals: Seals) -> AnchorHeader:
    """Read all lines, prove the signature, and tell when the anchor was made. Raises AnchorUnreadable."""
    digest, first, last = hashlib.sha256(), b"", b""
    for line in lines:
        if last:
            digest.update(last)
        first, last = first or line, line
    if not (first.startswith(b'{"anchor":') and last.endswith(b"\n")):
        raise AnchorUnreadable("the file is no anchor, or its end is missing")
    header, signature = _read(first), _read(last).get("signature")
    if header.get("anchor") != ANCHOR_VERSION:
        raise AnchorUnreadable(
            f"it is an anchor of version {header.get('anchor')!r}; this program reads version {ANCHOR_VERSION}"
        )
    if not isinstance(signature, str):
        raise AnchorUnreadable("its end is missing")
    if not seals.fits(SEALED_AS, [digest.hexdigest()], _unhex(signature)):
        if not seals.key:
            raise AnchorUnreadable("the file was changed, or signed with a key; `[audit] key` is not set here")
        raise AnchorUnreadable("the file was changed, or no key of `[audit]` signed it")
    return AnchorHeader(str(header.get("at")), str(header.get("installation")))


def contents(lines: Iterable[bytes]) -> Iterator[AnchoredSlot | list[AnchoredClaim]]:
    """What the lines between header and signature say. Raises AnchorUnreadable."""
    for line in lines:
        read = _read(line)
        try:
            if "slot" in read:
                yield _slot(read)
            elif "claims" in read:
                yield [AnchoredClaim(*map(str, claim)) for claim in read["claims"]]
        except (KeyError, TypeError, ValueError) as error:
            raise AnchorUnreadable(f"a line of it says nothing that an anchor says: {error}") from None


def _slot(read: Mapping[str, Any]) -> AnchoredSlot:
    accounts = [_account(*account) for account in read["accounts"]]
    rows = {
        table: [AnchoredRow(int(row), str(check), int(said), str(about)) for row, check, said, about in read[table]]
        for table in ANCHORED
    }
    return AnchoredSlot(int(read["slot"]), accounts, rows)


def _account(number: Any, user_id: Any, code: Any, asset: Any, environment: Any, *ends: Any) -> AnchoredAccount:
    version, balance, head, marks, marks_head = ends
    of_marks = None if marks_head is None else str(marks_head)
    name = (str(user_id), str(code), str(asset), str(environment))
    return AnchoredAccount(int(number), *name, int(version), int(balance), str(head), int(marks), of_marks)


def _written(line: Mapping[str, object]) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"


def _read(line: bytes) -> dict[str, Any]:
    try:
        read = json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        raise AnchorUnreadable("a line of it is no JSON") from None
    if not isinstance(read, dict):
        raise AnchorUnreadable("a line of it is no JSON object")
    return read


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise AnchorUnreadable("its signature is none") from None
