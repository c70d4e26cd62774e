"""What views need besides the request: the service's parts."""

from __future__ import annotations

from flask import current_app

from app.services.base.context import Core


def core() -> Core:
    found: Core = current_app.extensions["tillbook"]
    return found
