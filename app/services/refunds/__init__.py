"""Refunds on every road.

    taking_in    a provider's fact about a refund, inside `apply_fact`
    settling     brings money and coins of one purchase to where all its facts say they must be
    requesting   we want a refund: written down, coins reserved, before the provider hears of it
    executing    the provider's side of that: ask, query, repeat with the same number, until it is settled
    waiting      refunds that were told before their payment
    auditing     works the targets out again and compares

Only `executing` calls providers; nobody else here leaves the caller's transaction.
"""
