"""Where a provider's bills and the books disagree, and what is done about it."""
