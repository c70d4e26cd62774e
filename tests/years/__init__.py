"""Agreements over simulated years: the real plugins with their simulators, a clock that is moved, and faults.

`python -m tests.years alipay --users 40 --months 24 --seed 1` runs one provider; `test_years.py` runs a little of each.
"""
