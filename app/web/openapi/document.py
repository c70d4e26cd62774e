"""The whole OpenAPI 3.1 document."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask

from app.web.openapi.components import plain_name, schemas_of
from app.web.openapi.header_fields import HEADERS
from app.web.openapi.operations import operations_of
from app.web.openapi.problems import problem_name, problem_schema
from app.web.problem_schemas import ProblemOut

ABOUT = """\
Payments for virtual currency: orders, wallets, refunds.

Amounts are integers in minor units; numbers are decimal strings; times are UTC. Errors are problem documents of RFC
9457, with a stable `code`. A request that is repeated with its Idempotency-Key is never done twice."""
TAGS = {
    "Orders": "What is for sale, orders and their payments.",
    "Agreements": "What users pay period after period, and what is active for them.",
    "Wallets": "What users have, spending it, reserving it, and what the backend books besides.",
    "Store purchases": "Proofs of purchases in a store.",
    "Refunds": "Money back to the payer, and frozen wallets.",
    "Events": "Everything that changed, for the app's backend to follow.",
    "Endpoints": "Where events are pushed to, and what became of each delivery.",
    "Lookup": "What a number names, and all that happened to an order: for those who help users.",
    "Reports": "Figures about the whole house.",
    "Finance": "Journal entries by hand, and months that are closed.",
}
"""Each tag of a blueprint, with what its operations are about."""
LICENSE = {"name": "All rights reserved", "identifier": "LicenseRef-All-Rights-Reserved"}
_SECURITY = {
    "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A user's token."},
    "backend": {"type": "http", "scheme": "bearer", "description": "The backend's API key, `tbk_…`."},
}


def build_document(app: APIFlask, public_url: str) -> dict[str, Any]:
    """Raises ValueError where two models would have one name."""
    operations = operations_of(app)
    models = [model for operation in operations for model in operation.models()]
    schemas = schemas_of([*models, (ProblemOut, "validation")])
    for query in {query for operation in operations for query in operation.queries}:
        del schemas[plain_name(query.__name__)]  # its members are parameters; what they refer to stays
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = operation.described(schemas)
    for operation in operations:
        schemas[problem_name(operation.id)] = problem_schema(operation.id, operation.codes)
    used = dict.fromkeys(operation.tag for operation in operations)
    return {
        "openapi": "3.1.0",
        "info": {"title": app.title, "version": app.version, "description": ABOUT, "license": LICENSE},
        "servers": [{"url": public_url, "description": "This installation."}],
        "tags": [{"name": tag, "description": TAGS[tag]} if tag in TAGS else {"name": tag} for tag in used],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "headers": HEADERS,
            "securitySchemes": _SECURITY,
        },
    }
