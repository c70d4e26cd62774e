"""The Flask application: settings of the framework, blueprints, errors and the API's documents."""

from __future__ import annotations

from apiflask import APIFlask
from flask import request
from sqlalchemy import Engine
from werkzeug.middleware.proxy_fix import ProxyFix

from app.composition import House, build_house, database_url, home_url, map_is_current
from app.config import Settings
from app.models.base import db
from app.models.engine import engine_options, prepare
from app.request_buffer import LARGEST_BODY
from app.services.accounts.caller_copy import CallerCopy
from app.services.accounts.declared_assets import DeclaredAssets
from app.services.base.slot_maps import SlotMapDiffers
from app.web import (
    agreements,
    differences,
    endpoints,
    errors,
    events,
    facts,
    finance,
    fulfilments,
    gifts,
    health,
    ledger,
    lookup,
    monitoring,
    openapi,
    orders,
    receipts,
    refunds,
    report_files,
    reports,
    transfers,
    wallet_lists,
    webhooks,
)
from app.web.access import Gate
from app.web.chunked_bodies import ChunkedBodies
from app.web.database_states import DatabaseStates
from app.web.request_log import RequestLog
from app.web.strict_json import StrictJson, refuse_other_content
from app.web.user_rates import UserRates

VERSION = "0.1.0"


def build_application(settings: Settings, house: House | None = None) -> APIFlask:
    """The application, over a house that is already built or over one of its own."""
    app = APIFlask(__name__, title="Tillbook", version=VERSION, enable_openapi=False)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.json = StrictJson(app)
    app.before_request(refuse_other_content)
    house = house or build_house(settings, engine=_engine(app, settings))
    app.extensions["tillbook_house"] = house
    app.extensions["tillbook"] = house.core
    app.extensions["tillbook_gate"] = _gate(settings, house)
    app.extensions["tillbook_rates"] = UserRates(settings.user_requests_per_minute)
    app.extensions["tillbook_states"] = DatabaseStates()
    app.extensions["tillbook_assets"] = DeclaredAssets(house.core)
    errors.register_errors(app)
    for blueprint in (
        orders.blueprint,
        ledger.blueprint,
        transfers.blueprint,
        wallet_lists.blueprint,
        receipts.blueprint,
        refunds.blueprint,
        gifts.blueprint,
        fulfilments.blueprint,
        agreements.blueprint,
        reports.blueprint,
        differences.blueprint,
        finance.blueprint,
        facts.blueprint,
        report_files.blueprint,
        lookup.blueprint,
        events.blueprint,
        endpoints.blueprint,
        webhooks.blueprint,
        health.blueprint,
        monitoring.blueprint,
    ):
        app.register_blueprint(blueprint)
    openapi.register_openapi(app, settings.public_url)
    _keep_current(app, house)
    app.wsgi_app = ChunkedBodies(app.wsgi_app, LARGEST_BODY)  # type: ignore[method-assign]
    app.wsgi_app = RequestLog(app.wsgi_app, lines=settings.access_log)  # type: ignore[method-assign]
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    return app


def _gate(settings: Settings, house: House) -> Gate:
    copy = CallerCopy(house.core)
    return Gate(settings.user_jwt, settings.api_keys, callers=settings.callers, copy=copy, clock=house.core.clock)


def _engine(app: APIFlask, settings: Settings) -> Engine:
    """Flask-SQLAlchemy owns the engine of a web process; worker and command line make theirs with the same options."""
    app.config["SQLALCHEMY_DATABASE_URI"] = database_url(settings)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(home_url(settings))
    db.init_app(app)
    with app.app_context():
        return prepare(db.engine, durable=settings.database_durable)


def _keep_current(app: APIFlask, house: House) -> None:
    """What the process knows of what others change. Slots that were moved must not be written where they were.
    Providers' public keys are renewed by the worker; they are copied into the process once a minute, so that no plugin
    ever has to wait for the database."""

    @app.before_request
    def look() -> None:
        endpoint = request.endpoint
        if endpoint is None or endpoint.startswith("health."):
            return
        if not map_is_current(house):
            raise SlotMapDiffers("this process has an old map of the slots")
        house.reload_keys()
