"""In which language the pages speak: every text of theirs is written in English, and `zh.json` has the Chinese."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from flask import request, session

from app.services.events.catalogue import CHINESE, ENGLISH

LANGUAGES = {ENGLISH: "English", CHINESE: "中文"}
CHOSEN = "language"
"""Where the session keeps a language that was chosen; else the browser's counts."""


@cache
def catalogue() -> dict[str, str]:
    """The Chinese by the English."""
    found: dict[str, str] = json.loads((Path(__file__).parent / "zh.json").read_text(encoding="utf-8"))
    return found


def language() -> str:
    """Of this request."""
    chosen = session.get(CHOSEN)
    if chosen in LANGUAGES:
        return str(chosen)
    return request.accept_languages.best_match(LANGUAGES) or ENGLISH


def say(text: str) -> str:
    """The text in the language of this request; in English where nobody has translated it."""
    return catalogue().get(text, text) if language() == CHINESE else text
