"""What outsiders say, made fit to be kept: by every database alike, and without losing which of two texts it was."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.domain.facts import Fact, Ref
from app.providers.limits import UNSTORABLE, fits, is_usable_moment

BEGINNING = 48
"""How much of an unusable name is still shown."""
DEEPEST_KEPT = 32
"""Levels of a provider's document that are kept for audit."""
LONGEST_PROBLEM = 256
"""Characters of every `problem`."""
_LARGEST_INTEGER = 2**63 - 1


def storable_text(text: str, longest: int | None = None) -> str:
    """The text without what a database refuses, cut to that many characters: for people, not for comparing."""
    return UNSTORABLE.sub("\ufffd", text)[:longest]


def problem_text(text: str) -> str:
    """Why something failed, as it is kept beside it for people."""
    return storable_text(text, LONGEST_PROBLEM)


def name_of(text: str) -> str:
    """The text itself if it fits; else a name made of its beginning and its hash, another one for each other text."""
    if fits(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{storable_text(text, BEGINNING)}…{digest}"


def printable(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The provider's words without what JSON in a database cannot hold. A strange word in somebody's nickname must not
    keep a payment from being stored."""
    try:
        if UNSTORABLE.search("".join(raw) + "".join(raw.values())) is None:
            return dict(raw)  # texts without anything strange, as in a form: nearly always
    except TypeError:  # there are other values than texts
        pass
    return _storable_members(raw, DEEPEST_KEPT)


def _storable_members(members: Mapping[str, Any], levels: int) -> dict[str, Any]:
    return {storable_text(str(name)): _storable(value, levels - 1) for name, value in members.items()}


def _storable(value: Any, levels: int) -> Any:
    if isinstance(value, Mapping | list | tuple):
        return _storable_tree(value, levels)
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        return hex(value)  # in decimal Python refuses to write more than some thousand digits
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return storable_text(str(value))


def _storable_tree(value: Any, levels: int) -> Any:
    if levels <= 0:
        return "(nested deeper than is kept)"
    if isinstance(value, Mapping):
        return _storable_members(value, levels)
    return [_storable(item, levels - 1) for item in value]


def without_faults(fact: Fact, now: datetime) -> Fact:
    """The fact as it can be written down: names that do not fit replaced by `name_of` them, numbers and moments out of
    range left out. Only for writing down: it is not what the provider said."""
    ref = fact.ref
    return replace(
        fact,
        ref=Ref(*(_name(text) for text in (ref.ours, ref.theirs, ref.refund, ref.agreement, ref.our_agreement))),
        at=fact.at if is_usable_moment(fact.at) else now,
        account=_name(fact.account),
        product=_name(fact.product),
        next_product=_name(fact.next_product),
        owner=_name(fact.owner),
        spares=_name(fact.spares),
        replaces=_name(fact.replaces),
        occurrence=_name(fact.occurrence) or "",
        quantity=None,
        share=None,
        shared=False,
        period_end=fact.period_end if fact.period_end and is_usable_moment(fact.period_end) else None,
    )


def _name(text: object) -> str | None:
    return None if text is None else name_of(str(text))
