"""The OpenAPI 3.1 document at `/openapi.json`, and a page that shows it at `/docs`.

`document` puts it together from the views: their models (`components`), their docstrings, scopes and codes
(`operations`, `problems`), with an example of everything (`examples`).
"""

from __future__ import annotations

import functools

from apiflask import APIFlask
from flask import Blueprint, Response, json
from flask_swagger_ui import get_swaggerui_blueprint

from app.web.answer_headers import with_page_policy
from app.web.openapi.document import build_document

ADDRESS = "/openapi.json"


def register_openapi(app: APIFlask, public_url: str) -> None:
    """Serve the document and the page. The document is made when it is asked for first: no process waits for it."""
    blueprint = Blueprint("openapi_document", __name__)

    @functools.cache
    def text() -> str:
        return json.dumps(build_document(app, public_url))

    @blueprint.get(ADDRESS)
    def show_document() -> Response:
        return Response(text(), content_type="application/json")

    app.register_blueprint(blueprint)
    page = get_swaggerui_blueprint("/docs", ADDRESS, config={"app_name": "Tillbook"})
    page.after_request(with_page_policy)
    app.register_blueprint(page)
