"""The use cases, and the only writers. Each takes a transaction; the caller commits it, by `transaction.transact`."""
