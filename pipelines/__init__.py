"""Dagster: assets with their checks, partitions, resources, jobs, schedules, sensors. Imports anything below."""
