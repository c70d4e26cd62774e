"""How Alipay writes times, amounts and names, and what it does not accept in them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone

from app.domain.money import Money, parse_decimal

CURRENCY = "CNY"
BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")
"""No daylight saving since 1991, so a fixed offset is exact and needs no time zone database."""

SUBJECT_LENGTH = 256
_TIME = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d{1,3})?", re.ASCII)
_FULL_WIDTH = str.maketrans({"/": "／", "=": "＝", "&": "＆"})
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")


def beijing_text(moment: datetime) -> str:
    """`2026-01-02 11:04:05` for 03:04:05 UTC. Requests carry no zone, and the gateway reads them as Beijing time."""
    return moment.astimezone(BEIJING).replace(tzinfo=None).isoformat(" ", "seconds")


def parse_time(text: str) -> datetime:
    """Read a Beijing time, with or without milliseconds, as aware UTC. Raises ValueError for anything else."""
    if not _TIME.fullmatch(text):
        raise ValueError("not a time as Alipay writes it")
    return datetime.fromisoformat(text).replace(tzinfo=BEIJING).astimezone(UTC)


def beijing_day(moment: datetime) -> date:
    """The day in whose bill the moment lies."""
    return moment.astimezone(BEIJING).date()


def day_start(day: date) -> datetime:
    return datetime.combine(day, time.min, BEIJING).astimezone(UTC)


def yuan(text: str) -> Money:
    """Read an amount (`6.00`, `10`). Raises MoneyError, a ValueError, for anything that is not exact fen."""
    return parse_decimal(text, CURRENCY)


def clean_subject(subject: str, fallback: str) -> str:
    """The subject without what Alipay forbids in it (`/`, `=`, `&`), shown by their full-width twins instead."""
    text = _UNPRINTABLE.sub(" ", subject.translate(_FULL_WIDTH)).strip()
    return text[:SUBJECT_LENGTH] or fallback
