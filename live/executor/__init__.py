"""The executor: gates, sizing, ladder, order states, journal and mode are pure; the service performs."""
