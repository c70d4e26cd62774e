"""What monitoring counts, in Prometheus' words: `GET /metrics` shows it.

The processes of one machine add up their counts in the folder that the environment variable PROMETHEUS_MULTIPROC_DIR
names (`app.serving` makes one for the web processes where none is named). Without the folder a process shows its own.
"""

from __future__ import annotations

import os

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Read by the library when it is first imported."""
METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST

PROVIDER_CALLS = Histogram(
    "tillbook_provider_call_seconds",
    "Calls to a provider, by how they ended: answered, declined, not_done, misconfigured, unknown.",
    ["provider_account", "verb", "end"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
FACTS_TOLD = Counter(
    "tillbook_facts",
    "Tellings of facts by providers, by the road on which they came and what became of them.",
    ["provider_account", "kind", "road", "outcome"],
)
DELIVERIES_TRIED = Histogram(
    "tillbook_delivery_seconds",
    "Attempts to tell an endpoint of an event, by what the answer means: taken, failed, gone.",
    ["endpoint", "end"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
BILLS_READ = Counter(
    "tillbook_bills_read",
    "Documents of providers that were read into lines, or refused because they fail their own checks.",
    ["provider_account", "end"],
)
DIFFERENCES_FOUND = Counter(
    "tillbook_differences",
    "Differences between a provider's bills and the books, by type, when they are opened or opened again.",
    ["provider_account", "type"],
)


def exposition() -> bytes:
    """All counts as Prometheus reads them: of every process that shares the folder."""
    if METRICS_FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together)
