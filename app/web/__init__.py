"""Thin blueprints: parse, authenticate, call one service, render."""

from app.web import model_json

model_json.register()  # before the first blueprint is imported: its views keep the adapter that they were given
