"""What a key of idempotency keeps of a request's fields says which field of another request differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping

import pytest

from app.domain.request_digests import DIGEST_LENGTH, differing_field, packed_digests


def digests(**values: str) -> dict[str, str]:
    return {name: hashlib.sha256(value.encode()).hexdigest()[:DIGEST_LENGTH] for name, value in values.items()}


def as_json(fields: Mapping[str, str]) -> bytes:
    """As rows of before 2026-11-29 keep them."""
    return json.dumps(dict(fields)).encode()


BEFORE = digests(request="order", way="app", product="gems", user="bob")


@pytest.mark.parametrize("kept", [packed_digests(BEFORE), as_json(BEFORE)], ids=["packed", "json"])
@pytest.mark.parametrize(
    ("now", "differs"),
    [
        (BEFORE, ""),
        (BEFORE | digests(way="web"), "way"),
        (BEFORE | digests(way="web", product="coins"), "product"),
        (BEFORE | digests(request="gift", product="coins"), "request"),
        (BEFORE | digests(colour="red"), "colour"),
        (BEFORE | digests(actor="mei"), "actor"),
    ],
)
def test_the_field_that_differs_is_named(kept: bytes, now: dict[str, str], differs: str) -> None:
    assert differing_field(kept, now, first="request", optional=("actor",)) == differs


@pytest.mark.parametrize("keep", [packed_digests, as_json], ids=["packed", "json"])
def test_a_field_that_the_request_of_before_alone_had_is_named(keep: Callable[[Mapping[str, str]], bytes]) -> None:
    kept = keep(BEFORE | digests(actor="mei"))
    assert differing_field(kept, BEFORE, first="request", optional=("actor",)) == "actor"


@pytest.mark.parametrize("kept", [None, b""])
def test_where_nothing_was_kept_no_field_is_named(kept: bytes | None) -> None:
    assert differing_field(kept, BEFORE, first="request", optional=("actor",)) == ""


def test_a_field_takes_six_bytes() -> None:
    assert len(packed_digests(BEFORE)) == 1 + 6 * len(BEFORE)
