"""Venues: the protocol, the paper exchange, ccxt, and the sockets of the venues."""
