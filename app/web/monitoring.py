"""Counts for monitoring, as Prometheus reads them."""

from __future__ import annotations

from flask import Blueprint, Response

from app import metrics
from app.web.access import needs

blueprint = Blueprint("monitoring", __name__)


@blueprint.get("/metrics")
@needs("report")
def show() -> Response:
    """For an API key with the scope `report`: the counts say how much is sold."""
    return Response(metrics.exposition(), content_type=metrics.METRICS_CONTENT_TYPE)
