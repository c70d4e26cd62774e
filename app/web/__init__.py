"""Thin blueprints: parse, authenticate, call one service, render."""

from app.web import model_json

# Before the first blueprint is imported: its views keep the adapter that they were given.
model_json.register_model_json()
