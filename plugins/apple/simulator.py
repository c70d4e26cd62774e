"""A small App Store: the Server API with its errors, verifyReceipt, signed notifications with Apple's retry rule, the
reports of App Store Connect, and a control API (`POST /_control/<command>`, see `simulated.control`) by which a device,
a test or a person buys and refunds. Refuses to run in production.

    TILLBOOK_ENV=demo python -m plugins.apple.simulator --port 9103 --notify http://127.0.0.1:8000/webhooks/apple

Each environment has its own root path, `/production` and `/sandbox`. `GET /_control/settings` answers the settings that
make a provider account speak to this simulator and trust its root.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, jsonify, request

from app.providers.testing.simulator import refuse_production
from plugins.apple.settings import Environment
from plugins.apple.simulated import api, control
from plugins.apple.simulated.purchases import NoSuchPurchase
from plugins.apple.simulated.store import SimulatedStore, SimulatorConfig

__all__ = ["SimulatedStore", "SimulatorConfig", "create_simulator", "simulated_store"]

ENVIRONMENTS: Mapping[str, Environment] = {"production": "Production", "sandbox": "Sandbox"}
_EXTENSION = "simulated_app_store"
_BEARER = "Bearer "


def create_simulator(config: SimulatorConfig | None = None, environ: Mapping[str, str] | None = None) -> Flask:
    """The simulated App Store as a WSGI application. Raises NotInProduction; `environ` stands in for os.environ."""
    refuse_production(environ)
    application = Flask(_EXTENSION)
    store = SimulatedStore(config or SimulatorConfig())
    application.extensions[_EXTENSION] = store
    _add_server_api(application, store)
    _add_connect(application, store)
    _add_control(application, store)
    return application


def simulated_store(application: Flask) -> SimulatedStore:
    """The state behind the routes of `create_simulator`."""
    store = application.extensions[_EXTENSION]
    if not isinstance(store, SimulatedStore):
        raise TypeError("not a simulated App Store")
    return store


def _add_server_api(application: Flask, store: SimulatedStore) -> None:
    @application.route("/<any(production, sandbox):root>/inApps/<path:path>", methods=["GET", "POST", "PUT"])
    def server_api(root: str, path: str) -> Response:
        if store.faults.take("timeout_before"):
            return _no_answer()
        token = request.headers.get("authorization", "").removeprefix(_BEARER)
        call = api.Request(ENVIRONMENTS[root], request.method, f"/inApps/{path}", request.args.to_dict(), _document())
        return _spoilt(store, _rendered(api.answer(store, call, token)))

    @application.post("/<any(production, sandbox):root>/verifyReceipt")
    def verify_receipt(root: str) -> Response:
        if store.faults.take("timeout_before"):
            return _no_answer()
        return _spoilt(store, jsonify(api.verify_receipt(store, ENVIRONMENTS[root], request.get_data())))


def _add_connect(application: Flask, store: SimulatedStore) -> None:
    @application.get("/v1/<any(salesReports, financeReports):kind>")
    def report(kind: str) -> Response:
        if store.faults.take("timeout_before"):
            return _no_answer()
        token = request.headers.get("authorization", "").removeprefix(_BEARER)
        filters = {name.removeprefix("filter[").removesuffix("]"): value for name, value in request.args.items()}
        answer = store.connect.answer(f"/v1/{kind}", filters, token, store.config.now())
        if answer.status != 200:
            rendered = jsonify(answer.document)
            rendered.status_code = answer.status
            return _spoilt(store, rendered)
        return _spoilt(store, Response(answer.report, content_type="application/a-gzip"))


def _add_control(application: Flask, store: SimulatedStore) -> None:
    @application.get("/_control/settings")
    def settings() -> Response:
        return jsonify(store.settings(request.host_url))

    @application.post("/_control/<name>")
    def command(name: str) -> tuple[Response, int]:
        try:
            done = control.run(store, name, _document())
        except NoSuchPurchase as error:
            return jsonify(error=f"no such purchase: {error}"), 404
        except (KeyError, ValueError, TypeError) as error:
            return jsonify(error=f"not understood: {error}"), 400
        return (jsonify(done), 200) if done is not None else (jsonify(error="no such command"), 404)


def _document() -> dict[str, Any]:
    document = request.get_json(silent=True, force=True) if request.get_data() else None
    return document if isinstance(document, dict) else {}


def _rendered(answer: api.Answer) -> Response:
    """Errors are read by Apple's clients only from exactly `application/json`."""
    rendered = jsonify(answer.document) if answer.document is not None else Response(b"")
    rendered.status_code = answer.status
    rendered.headers.update(answer.headers)
    return rendered


def _no_answer() -> Response:
    """The nearest that a WSGI application comes to silence: a gateway that gave up."""
    return Response(b"", 504)


def _spoilt(store: SimulatedStore, answer: Response) -> Response:
    if store.faults.take("timeout_after"):
        return _no_answer()
    if store.faults.take("garbage"):
        return Response(b"\x00\xffgarbage", 200, content_type="application/json")
    if store.faults.take("error500"):
        return _rendered(api.error(store, 5000000))
    return answer


def main() -> None:
    """Serve until interrupted, sending notifications from a thread."""
    parser = argparse.ArgumentParser(description="A simulated App Store.")
    parser.add_argument("--port", type=int, default=9103)
    parser.add_argument("--notify", default="", help="URL for the notifications of both environments")
    parser.add_argument("--speed", type=float, default=1.0, help="divides the hours between attempts")
    arguments = parser.parse_args()
    urls: dict[Environment, str] = {}
    if arguments.notify:
        urls = {"Production": arguments.notify, "Sandbox": arguments.notify}
    application = create_simulator(SimulatorConfig(notify_urls=urls, speed=arguments.speed))
    deliveries = simulated_store(application).notifications.deliveries.values()
    stops = [one.start() for one in deliveries]
    try:
        application.run(port=arguments.port, threaded=True)
    finally:
        for stop in stops:
            stop.set()


if __name__ == "__main__":
    main()
