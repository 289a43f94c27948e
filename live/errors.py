"""What the live side refuses.

LiveError
└── Fatal               an invariant of our own is broken, or we may not go on: the process ends, non-zero
"""


class LiveError(Exception):
    """Anything the live side refuses; its subclasses are drawn in the docstring of `live.errors`."""


class Fatal(LiveError):
    """Going on would do harm: the host tells of it and ends its process with 1. Starting again is the recovery."""
