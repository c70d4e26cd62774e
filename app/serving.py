"""Gunicorn's settings. Threads, because a provider that answers slowly must not stop notifications; no preload,
because a database connection made before the fork would be shared by the workers."""

import os
import shutil
import tempfile
from typing import Any

import structlog

from app import logs
from app.config import BadSettings, load, load_serving

GIVE_UP = 3
"""Gunicorn's own status for a worker that cannot start."""

try:
    load()  # said once here, rather than by each worker; gunicorn itself stumbles over workers that end together
    _serving = load_serving()
except BadSettings as error:
    logs.configure()
    structlog.get_logger(__name__).critical("not_started", why=str(error))
    raise SystemExit(GIVE_UP) from None
FOLDER_OF_METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""Where the processes add up their counts (`app.metrics`); the library reads it when a worker imports it."""
_own_folder = "" if FOLDER_OF_METRICS in os.environ else tempfile.mkdtemp(prefix="tillbook-metrics-")
os.environ.setdefault(FOLDER_OF_METRICS, _own_folder)


def child_exit(_: object, worker: Any) -> None:
    """Gunicorn calls this for each worker that has ended: its counts stay, what only a living process has goes."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_: object) -> None:
    """Gunicorn calls this at its own end."""
    if _own_folder:
        shutil.rmtree(_own_folder, ignore_errors=True)


bind = _serving.bind
workers = _serving.web_workers
worker_class = "app.gunicorn_worker.GatheringWorker"
threads = 8
worker_connections = 2000
preload_app = False
timeout = 60
graceful_timeout = 30
keepalive = 5
limit_request_line = 8190  # the longest that gunicorn reads: a query that does not fit is refused by us, with a code
max_requests = 100_000
max_requests_jitter = 10_000
accesslog = None
control_socket_disable = True
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "app.logs.formatter"}},
    "handlers": {"line": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
    "root": {"level": "WARNING", "handlers": ["line"]},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["line"], "propagate": False}},
}
"""Gunicorn's own lines look like ours."""
