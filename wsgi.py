"""The gunicorn entry: `gunicorn -c python:app.serving wsgi:application`."""

from app import create_app, logs

application = create_app()
logs.configure()  # last: a library that a plugin loads sets the standard library's logging up its own way
