"""Follows Tillbook's feed and fulfils what it asks for. Kill it wherever you like, and start as many as you like.

    python -m examples.external_wallet.follower URL FILE        (the API key is in the variable TILLBOOK_KEY)

The place in the feed is a document too. It moves on after the events before it are done, so what was begun when this
program died is met again. Who wants to hear sooner lets Tillbook push (`pushed`), beside the feed or in its place.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Protocol

import requests
from standardwebhooks.webhooks import Webhook

from examples.external_wallet.documents import SqliteStore, Store
from examples.external_wallet.wallets import WISHES, Wallets

PLACE = "place in the feed"
WAIT_SECONDS = 20
TIMEOUT_SECONDS = 60.0


class Feed(Protocol):
    """Where events are read."""

    def events(self, after: str | None) -> tuple[list[dict[str, Any]], str]:
        """The next events behind that place, and the place behind them."""


class TillbookApi:
    """Tillbook over HTTP, as a backend whose key has the scope `events`."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {key}"

    def events(self, after: str | None) -> tuple[list[dict[str, Any]], str]:
        query = {"types": ",".join(WISHES), "wait": str(WAIT_SECONDS), **({"after": after} if after else {})}
        answer = self._http.get(f"{self._url}/v1/events", params=query, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        page = answer.json()
        return page["events"], page["next"]

    def answer(self, order: str, revision: int, status: str) -> None:
        # The key says what is answered: whoever repeats it, here or elsewhere, repeats one request.
        headers = {"Idempotency-Key": f"{order}:{revision}:{status}"}
        body = {"revision": revision, "status": status}
        url = f"{self._url}/v1/orders/{order}/fulfilment"
        self._http.post(url, json=body, headers=headers, timeout=TIMEOUT_SECONDS).raise_for_status()


def follow(store: Store, feed: Feed, wallets: Wallets) -> int:
    """Read on from the kept place, and do what is asked there; how many events that were."""
    place = store.read(PLACE)
    events, after = feed.events(place.body.get("after"))
    for event in events:
        wallets.handle(event)
    if after != place.body.get("after"):
        store.replace(place, {"after": after})  # a second follower may have moved it: what it did is done
    return len(events)


def pushed(wallets: Wallets, secret: str, headers: Mapping[str, str], body: bytes) -> None:
    """Take in a message that Tillbook has sent to an endpoint; answer 200 when this comes back. Raises
    WebhookVerificationError for one that is not genuine: answer 400."""
    Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
    wallets.handle(json.loads(body))


def main() -> None:
    api, store = TillbookApi(sys.argv[1], os.environ["TILLBOOK_KEY"]), SqliteStore(sys.argv[2])
    wallets = Wallets(store, api)
    while True:
        follow(store, api, wallets)


if __name__ == "__main__":
    main()
