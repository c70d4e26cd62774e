"""Moves of slots between the databases of a service."""
