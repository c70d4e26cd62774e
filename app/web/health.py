"""Is the process up, and can it reach its database at the schema it was written for?"""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify

from app.composition import House, map_is_current
from app.models import schema
from app.services.base.slot_maps import SlotMapDiffers
from app.web.database_states import DatabaseStates
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
    """Reads the schema's revision at home, so it proves that home answers, too; and tells how the other databases are.
    One of them that is down makes nobody unready: its own users are answered 503, the others as always."""
    house: House = current_app.extensions["tillbook_house"]
    try:
        at, wanted = schema.current(house.engine), schema.newest()
    except SlotMapDiffers:
        return problem("slot_map_outdated")
    if at != wanted:
        return problem("schema_outdated", at=at)
    if not map_is_current(house):
        return problem("slot_map_outdated")
    home, *others = house.engines
    states: DatabaseStates = current_app.extensions["tillbook_states"]
    found = states.look({name: house.engines[name] for name in others})
    frozen = 0 if house.maps is None else len(house.maps.map.frozen)
    moving = {"frozen_slots": frozen} if frozen else {}
    return jsonify(status="ok", databases={home: "ok", **found}, **moving)
