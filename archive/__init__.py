"""The parquet lake: layout, read, write, gaps, and importers of recorded formats. The only importer of pyarrow.

May import market and monitoring.
"""
