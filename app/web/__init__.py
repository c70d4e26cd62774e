"""Thin blueprints: parse, authenticate, call one service, render."""
