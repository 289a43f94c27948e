"""Benchmarks: each module has `run() -> list[dict]` with rows {name, value, unit, ratio, goal, holds}."""
