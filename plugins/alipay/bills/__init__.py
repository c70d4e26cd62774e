"""Alipay's bills: how they are fetched, and how the two kinds are read."""
