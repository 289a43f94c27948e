"""Drills and what they are made of."""
