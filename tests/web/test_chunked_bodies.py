"""A chunked body that cannot be read is refused in front of the application, with the document that the application
would write."""

from __future__ import annotations

from typing import Any

from flask import json
from sqlalchemy import Engine
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app.web.chunked_bodies import ChunkedBodies
from app.web.errors import problem
from tests.support.web_client import build_client
from tests.support.world import World


class Broken:
    """A body whose chunks are malformed."""

    def read(self, _: int) -> bytes:
        raise ValueError("not the size of a chunk")


def _answer(application: Any) -> tuple[str, dict[str, str], bytes]:
    environ = EnvironBuilder(method="POST", path="/v1/orders").get_environ()
    environ["HTTP_TRANSFER_ENCODING"], environ["wsgi.input"] = "chunked", Broken()
    chunks, status, headers = run_wsgi_app(application, environ)
    return status, dict(headers), b"".join(chunks)


def _never(_: Any, __: Any) -> Any:
    raise AssertionError("the application must not see it")


def test_the_refusal_is_the_document_of_the_table_of_errors(world: World, engine: Engine) -> None:

    client = build_client(world, engine)
    with client.application.test_request_context():
        told = problem("bad_request")
    status, headers, body = _answer(ChunkedBodies(_never, 100))
    assert (status, headers["Content-Type"]) == (told.status, told.content_type)
    assert _but_for_its_request(json.loads(body)) == _but_for_its_request(told.get_json(force=True))
    assert (headers["Connection"], headers["Content-Length"]) == ("close", str(len(body)))


def _but_for_its_request(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "request_id"}


def test_it_can_be_given_again_and_again() -> None:
    bodies = ChunkedBodies(_never, 100)
    first, second = (_answer(bodies) for _ in range(2))
    assert first[:2] == second[:2]
    assert _but_for_its_request(json.loads(first[2])) == _but_for_its_request(json.loads(second[2]))
