"""Alipay as the simulator plays it, without a web framework: keys, trades, bills, gateway, and notices."""
