"""The sandbox's provider: a merchant API, a cashier's page, notifications with a retry rule, and faults on demand.

    TILLBOOK_ENV=demo python -m plugins.sandbox.simulator --port 8090 --merchant m-1 --secret <32 bytes or more>

| route | for |
|---|---|
| `/v1/…` | merchants: signed requests, signed answers |
| `/pay/<id>` | the payer: a page with a button |
| `/sign/<id>` | the payer: a page that signs, or pays and signs, and later ends |
| `/_control/…` | tests and the demo: pay, refund, sign, end, decide what is undecided, set faults, send what is due |
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import timedelta

from flask import Flask

from app.providers.testing.simulator import refuse_production
from plugins.sandbox.simulated.agreement_routes import signing_page
from plugins.sandbox.simulated.agreements import ChargeConditions
from plugins.sandbox.simulated.cashier import cashier_page
from plugins.sandbox.simulated.control import control_panel
from plugins.sandbox.simulated.merchant_api import merchant_api
from plugins.sandbox.simulated.provider import FORGER, Simulator, SimulatorConfig

__all__ = ["FORGER", "ChargeConditions", "Simulator", "SimulatorConfig", "create_simulator"]


def create_simulator(config: SimulatorConfig, environ: Mapping[str, str] | None = None) -> Flask:
    """The provider as a WSGI application; its state is in `extensions["sandbox"]`. Raises NotInProduction."""
    refuse_production(environ)
    simulator = Simulator(config)
    app = Flask(__name__)
    app.extensions["sandbox"] = simulator
    app.register_blueprint(merchant_api(simulator))
    app.register_blueprint(cashier_page(simulator))
    app.register_blueprint(signing_page(simulator))
    app.register_blueprint(control_panel(simulator))
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="The sandbox provider, for tests and demonstrations.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--merchant", default="demo-merchant")
    parser.add_argument("--secret", required=True, help="shared with the merchant, at least 32 bytes")
    parser.add_argument("--speed", type=float, default=1.0, help="divides the pauses between notifications")
    parser.add_argument("--notice-days", type=int, default=0, help="a charge needs a notice, so long before it")
    given = parser.parse_args(arguments)
    config = SimulatorConfig(
        {given.merchant: given.secret},
        f"http://{given.host}:{given.port}",
        speed=given.speed,
        hang_seconds=15.0,
        charge_conditions=ChargeConditions(notice=timedelta(days=given.notice_days)),
    )
    app = create_simulator(config)
    app.extensions["sandbox"].deliveries.start()
    app.run(given.host, given.port, threaded=True)


if __name__ == "__main__":
    main()
