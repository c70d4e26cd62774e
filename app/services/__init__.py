"""The use cases, and the only writers. Each takes a session; who calls it commits, through `transaction.transact`."""
