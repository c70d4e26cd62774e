"""What the audit derives from the rows of the ledger, and compares with them. No database."""
