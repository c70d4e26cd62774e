"""Is the process up, and can it reach its database at the schema it was written for?"""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy import text

from app.services.core import Core
from app.services.transaction import read

blueprint = Blueprint("health", __name__)


@blueprint.get("/health/live")
def live() -> Response:
    return jsonify(status="ok")


@blueprint.get("/health/ready")
def ready() -> Response:
    core: Core = current_app.extensions["tillbook"]
    read(core.sessions, lambda session: session.execute(text("SELECT 1")).scalar_one())
    return jsonify(status="ok")
