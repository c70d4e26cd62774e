"""The gunicorn entry: `gunicorn -c python:app.serving wsgi:application`."""

from app import create_app, logs

logs.configure()
application = create_app()
