"""Tillbook: takes payments for an app's virtual currency, credits wallets exactly once, and can prove its books."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apiflask import APIFlask

    from app.composition import House
    from app.config import Settings


def create_app(settings: Settings | None = None, *, house: House | None = None) -> APIFlask:
    """The web application. Settings come from the file and the environment unless given. Raises BadSettings, or
    Misconfigured for a provider account's own.

    The imports wait until it is called: plugins import `app.providers`, and must not load the web for that.
    """
    from app.config import load
    from app.console.registration import register_console
    from app.web.application import build_application

    settings = settings or load()
    app = build_application(settings, house)
    register_console(app, settings)
    return app
