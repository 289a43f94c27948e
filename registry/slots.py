"""The slots of the mirror, by name: light enough for those that read links and load no model."""

from typing import Literal, get_args

Slot = Literal["active", "shadow", "previous"]
SLOTS: tuple[Slot, ...] = get_args(Slot)
