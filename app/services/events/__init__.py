"""Telling the app's backend: written with the change (`outbox`), put in order after it (`feed`)."""
