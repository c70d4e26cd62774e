"""Alembic migrations: one head, sequential names. `tillbook migrate` brings a database to the newest."""
