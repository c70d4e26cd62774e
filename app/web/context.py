"""What views need besides the request: the service's parts, and the number that a path names."""

from __future__ import annotations

from flask import current_app

from app.domain.numbers import parse_number
from app.services.accounts.declared_assets import DeclaredAssets
from app.services.base.context import Core
from app.services.base.errors import NotFound


def core() -> Core:
    found: Core = current_app.extensions["tillbook"]
    return found


def declared_assets() -> DeclaredAssets:
    found: DeclaredAssets = current_app.extensions["tillbook_assets"]
    return found


def number_in(text: str) -> int:
    """The number of ours that a caller names. Raises NotFound for a text that is none."""
    number = parse_number(text)
    if number is None:
        raise NotFound
    return number
