"""Tests of what the benchmarks share: how rows are judged, run and written down."""
