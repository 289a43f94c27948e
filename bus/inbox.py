"""What a consumer may take for new: numbers without a hole, no message twice, nobody who was outranked."""

from typing import Literal, NamedTuple

from bus.messages import Received

State = Literal["next", "repeated", "hole", "outranked"]


class Verdict(NamedTuple):
    """`take` says whether to handle the message; `lost` counts those missing before it."""

    state: State
    take: bool
    lost: int


_NEXT = Verdict("next", True, 0)
_REPEATED = Verdict("repeated", False, 0)
_OUTRANKED = Verdict("outranked", False, 0)


class SequenceCheck:
    """Judges messages by (writer, stream): for streams of which one consumer sees every message.

    The first message of a writer sets its number. A higher epoch starts anew, at 1 or with a hole; a lower one is a
    process that was replaced and is refused. What a group delivers again is taken, whatever its number and epoch: its
    effect may not have been made, and handlers are idempotent.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[int, int]] = {}

    def judge(self, received: Received) -> Verdict:
        """Return what to do with a message, and remember it."""
        header = received.header
        key = (header.writer, received.stream)
        epoch, seq = self._last.get(key, (-1, 0))
        if epoch == -1:
            self._last[key] = (header.epoch, header.seq)
            return _NEXT
        if (header.epoch, header.seq) <= (epoch, seq):
            if received.deliveries > 1:
                return _NEXT
            return _OUTRANKED if header.epoch < epoch else _REPEATED
        expected = seq + 1 if header.epoch == epoch else 1
        self._last[key] = (header.epoch, header.seq)
        return _NEXT if header.seq == expected else Verdict("hole", True, header.seq - expected)
