"""The parquet lake: layout, read, write, gaps, and importers of recorded formats. May import market, monitoring. The only importer of pyarrow."""
