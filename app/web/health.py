"""Is the process up, and can it reach its database at the schema it was written for?"""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify

from app.composition import House
from app.models import schema
from app.web.errors import problem

blueprint = Blueprint("health", __name__)


@blueprint.get("/health/live")
def live() -> Response:
    return jsonify(status="ok")


@blueprint.get("/health/reports")
def reports() -> Response:
    """Whether reports can be read, and how far what they say is behind. Readiness does not depend on that: without
    reports everything else goes on."""
    house: House = current_app.extensions["tillbook_house"]
    replica = house.core.replica
    if replica is None:
        return jsonify(status="ok", replica=False, lag_seconds=0)
    replica.check_usable()
    return jsonify(status="ok", replica=True, lag_seconds=replica.lag_seconds())


@blueprint.get("/health/ready")
def ready() -> Response:
    """Reads the schema's revision, so it proves that the database answers, too."""
    house: House = current_app.extensions["tillbook_house"]
    at, wanted = schema.current(house.engine), schema.newest()
    if at != wanted:
        return problem("schema_outdated", at=at)
    return jsonify(status="ok")
