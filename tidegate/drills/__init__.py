"""Drills: one for each section of docs/runbook.md, each on real services in a folder of its own below var/drills.

A drill proves its stack healthy, causes the trouble for real, and asks by real reads for what the runbook promises: the
metric moved, the protection acted, the event and the audit are there, and the runbook's own commands bring it back.
"""
