"""The provider's words as they are kept: smaller, and provable also where they are gone."""

from __future__ import annotations

import hashlib
import json
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.proof.anchors import check_of, said_by
from app.domain.raw_documents import (
    NO_WORDS,
    DocumentUnreadable,
    archived,
    digest_of,
    document_of,
    proven_part,
    text_in,
    words_in,
)
from app.domain.seals import Seals

WORDS: dict[str, Any] = {"b": [1, 2.5, 1e300, None, True], "a": "ü 㐀", "long": "0123456789" * 80, "deep": {"x": {}}}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEALS = Seals(b"k" * 32)
OLD: dict[str, Any] = {
    "id": 8193,
    "provider_account": "shop",
    "environment": "live",
    "key": "paid:T-1",
    "kind": "paid",
    "content": {
        **{"ours": "4097", "theirs": "T-1", "refund": None, "amount_minor": 600, "currency": "CNY", "live": True},
    },
    "raw": {"b": [1, 2.5], "a": "ü"},
    "road": "notification",
    "message_id": None,
    "at": NOW,
    "recorded_at": NOW,
}
# Of OLD, as the version of 2026-11-28 (f08bb6c) wrote them.
OLD_SEAL = bytes.fromhex("70c44381ecb45fe61b07b51e75618ecde5471eaca17975bde9774aefd6572415")
OLD_CHECK = "iskoY0Z/r6Mrsjl2"


def test_words_come_back_as_they_were_told_and_take_less_room() -> None:
    kept = document_of(WORDS)
    assert words_in(kept) == WORDS
    assert len(kept) < len(json.dumps(WORDS)) / 3
    assert words_in(document_of({})) == {}


def test_the_digest_is_that_of_the_text_whether_the_words_are_there_or_not() -> None:
    kept = document_of(WORDS)
    text = zlib.decompress(kept[1:])
    assert json.loads(text) == WORDS
    assert digest_of(kept) == digest_of(archived(kept)) == hashlib.sha256(text).digest()
    assert (text_in(archived(kept)), words_in(archived(kept))) == (None, {})
    assert archived(archived(kept)) == archived(kept)


@pytest.mark.parametrize("odd", [b"", b"\x01", b"\x01not compressed", b"\x03x", b"[1]", zlib.compress(b"{}"), b"{"])
def test_what_is_in_no_known_form_is_no_document_and_is_not_what_was_sealed(odd: bytes) -> None:
    with pytest.raises(DocumentUnreadable):
        words_in(odd)
    assert proven_part(odd) not in (proven_part(document_of(WORDS)), proven_part(NO_WORDS))


def test_seals_and_anchors_of_a_fact_fit_when_its_words_are_archived() -> None:
    row = {**OLD, "raw": document_of(WORDS)}
    gone = {**row, "raw": archived(row["raw"])}
    said = said_by(row["content"])
    assert SEALS.fits_row("facts", gone, SEALS.of_row("facts", row))
    assert check_of("facts", gone, said) == check_of("facts", row, said)


@pytest.mark.parametrize(
    "raw", [document_of({"a": 1}), archived(document_of({"a": 1})), b"{}", b'{"x": 1}', b"\x01", b""]
)
def test_other_words_or_another_digest_fit_neither_seal_nor_anchor(raw: bytes) -> None:
    row = {**OLD, "raw": document_of(WORDS)}
    said = said_by(row["content"])
    assert not SEALS.fits_row("facts", {**row, "raw": raw}, SEALS.of_row("facts", row))
    assert check_of("facts", {**row, "raw": raw}, said) != check_of("facts", row, said)


def test_a_fact_that_an_older_version_sealed_is_proved_by_its_words_however_they_are_spelt() -> None:
    said = said_by(OLD["content"])
    for spelling in (json.dumps(OLD["raw"]), json.dumps(OLD["raw"], ensure_ascii=False, sort_keys=True, indent=1)):
        row = {**OLD, "raw": spelling.encode()}
        assert SEALS.fits_row("facts", row, OLD_SEAL)
        assert check_of("facts", row, said) == OLD_CHECK
    assert not SEALS.fits_row("facts", {**OLD, "raw": b'{"a": "u"}'}, OLD_SEAL)
