"""Pure rules: no Flask, no SQLAlchemy, no network, no clock. Everything here can be tested with plain values."""
