"""A purchase in a store is found by the store's own number, and its timeline tells of the receipt that brought it."""

from __future__ import annotations
