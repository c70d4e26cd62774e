"""What views need besides the request: the service's parts."""

from __future__ import annotations

from flask import current_app

from app.services.accounts.declared_assets import DeclaredAssets
from app.services.base.context import Core


def core() -> Core:
    found: Core = current_app.extensions["tillbook"]
    return found


def declared_assets() -> DeclaredAssets:
    found: DeclaredAssets = current_app.extensions["tillbook_assets"]
    return found
