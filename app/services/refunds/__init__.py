"""Refunds on every road.

    requests            we want a refund: written down, coins reserved, before the provider hears of it
    refund_facts        a provider's fact about a refund, inside `apply_fact`
    captured_payments   what was paid, and what was told of its refunds: read once
    refund_status       how each refund stands by all that was told
    settlement          brings money and coins of one purchase to where all its facts say they must be
    early_refunds       refunds that were told before their payment
    overdue             what waits for too long

`calls.refund_calls` calls providers; nobody here leaves the caller's transaction.
"""
