"""A Flask route that does nothing: the floor under every handler that gunicorn and Flask serve."""

from __future__ import annotations

from flask import Flask

application = Flask(__name__)


@application.route("/nothing")
def nothing() -> str:
    return "nothing"
