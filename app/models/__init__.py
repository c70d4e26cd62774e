"""Rows and constraints, no behaviour. Every table of user data has `slot` first in its keys."""
