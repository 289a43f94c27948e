"""What a drill raises."""


class DrillFailed(Exception):
    """What the runbook promises did not come true; the message says what was waited for and what was found."""
