"""Importers of recorded market data: one module a format, all producing the same book and trade columns.

May import `market` and `archive.errors`; the lake itself is a stranger here, so a format can be read without one.
"""
