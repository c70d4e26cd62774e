"""Which operations go on from an answer: OpenAPI's links, for readers and for tools that follow them."""

from __future__ import annotations

from typing import Any

LINKS: dict[str, dict[str, dict[str, str]]] = {
    "createOrder": {"readOrder": {"number": "number"}, "addPayment": {"number": "number"}},
    "createRefund": {"readRefund": {"number": "number"}},
    "createHold": {"captureHold": {"hold_id": "id"}, "releaseHold": {"hold_id": "id"}},
    "createSpend": {"reverseTransfer": {"transfer_id": "id"}},
    "createGrant": {"reverseTransfer": {"transfer_id": "id"}},
}
"""By operation and by operation that follows: which member of the answer is which variable of the path."""


def links_of(operation_id: str) -> dict[str, Any]:
    return {
        following: {
            "operationId": following,
            "description": f"`{following}` takes what this answer names.",
            "parameters": {name: f"$response.body#/{member}" for name, member in parameters.items()},
        }
        for following, parameters in LINKS.get(operation_id, {}).items()
    }
