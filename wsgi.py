"""The gunicorn entry: `gunicorn -c python:app.serving wsgi:application`."""

import structlog

from app import create_app, logs
from app.config import BadSettings
from app.providers.errors import Misconfigured
from app.services.base.slot_maps import SlotMapDiffers
from app.serving import GIVE_UP

try:
    application = create_app()
except (BadSettings, Misconfigured, SlotMapDiffers) as error:
    logs.configure()
    structlog.get_logger(__name__).critical("not_started", why=str(error))
    raise SystemExit(GIVE_UP) from None
logs.configure()  # last: a library that a plugin loads sets the standard library's logging up its own way
