"""A connection to a Tillbook: the generated client, over a transport that repeats what may be repeated."""

from __future__ import annotations

import uuid

import httpx

from tillbook_client.generated.client import AuthenticatedClient
from tillbook_client.repeats import RepeatingTransport, Repeats

TIMEOUT_SECONDS = 30.0
"""Longer than the service waits for a provider when it starts a payment."""


def connect(
    url: str, token: str, *, timeout: float = TIMEOUT_SECONDS, repeats: Repeats | None = None
) -> AuthenticatedClient:
    """A client for the API at this address. `token` is the API key of a backend (`tbk_…`) or the token of a user.

    Use the client in a `with` block (or `async with`), or close its httpx client when it is not needed any more.
    """
    return AuthenticatedClient(
        base_url=url.rstrip("/"),
        token=token,
        timeout=httpx.Timeout(timeout),
        httpx_args={"transport": RepeatingTransport(repeats or Repeats())},
    )


def new_key() -> str:
    """An Idempotency-Key that nobody has used. Keep it with what you want done, and use it again for a repeat."""
    return str(uuid.uuid4())
