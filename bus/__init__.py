"""What services tell one another: streams, messages, a client of Redis Streams and its twin in memory.

May import market.
"""
