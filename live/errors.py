"""What the live side refuses.

LiveError
├── FrameRefused        a frame of a venue that cannot be taken
│   └── SubscriptionRefused   the venue does not give us a stream
├── AnswerRefused       what a venue says of an order, a trade or our money cannot be
├── OffGrid             a price or size of a venue is no whole number of the symbol's steps
├── ModelRefused        a bundle of the mirror that may not score
├── FeedRefused         what the collector shall listen to cannot be: no recording, a venue we have no sockets for
├── SegmentError        the recorder's disk refuses, or its folder is not as it left it
│   └── SegmentsBusy    another recorder writes into the folder
├── NotTradable         a symbol that the venue in use does not trade for us
├── BadApproval         leave to trade that no order can be made of
├── StillOpen           the executor's journal has something open on a symbol that is not traded any more
├── RealModeRefused     what real orders need is not given: mode, keys, symbols as the venue has them
├── ServiceBusy         another process runs a service with the same folder
├── TrialLogUnreadable  not even the beginning of a trial's log can be read
├── JournalError        the executor's journal cannot be read or written: nothing may be sent
│   ├── JournalBusy     another executor writes into it
│   └── JournalDamaged  a record that was durable is not whole
└── Fatal               an invariant of our own is broken, or we may not go on: the process ends, non-zero
"""


class LiveError(Exception):
    """Anything the live side refuses; its subclasses are drawn in the docstring of `live.errors`."""


class Fatal(LiveError):
    """Going on would do harm: the host tells of it and ends its process with 1. Starting again is the recovery."""


class FrameRefused(LiveError):
    """A frame that cannot be taken; `reason` is a metric label."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason


class SubscriptionRefused(FrameRefused):
    """The venue does not give us a stream that we asked for."""


class AnswerRefused(LiveError):
    """What a venue says of an order, a trade or our money cannot be, so nobody is told of it as if it were."""


class OffGrid(LiveError):
    """A price or a size of `symbol` is no whole number of its steps: the venue has changed them."""

    def __init__(self, symbol: str, text: str) -> None:
        super().__init__(text)
        self.symbol = symbol


class FeedRefused(LiveError):
    """What the collector shall listen to cannot be."""


class SegmentError(LiveError):
    """The disk under the recorder's segments refuses."""


class SegmentsBusy(SegmentError):
    """Another recorder writes into the folder."""


class NotTradable(LiveError):
    """A symbol that the venue in use does not trade for us."""


class BadApproval(LiveError):
    """Leave to trade that no order can be made of: it is set aside."""


class StillOpen(LiveError):
    """The executor's journal has something open on a symbol that market.symbols does not name."""


class RealModeRefused(LiveError):
    """Real orders were asked for and what they need is not given; every reason is in the text."""


class ModelRefused(LiveError):
    """A bundle that may not score; `reason` is one of monitoring.metrics.SWAP_REFUSALS."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class ServiceBusy(LiveError):
    """Another process runs a service with the same folder."""


class TrialLogUnreadable(LiveError):
    """Not even the beginning of a trial's log can be read."""


class JournalError(LiveError):
    """The executor's journal cannot be read or written: nothing may be sent."""


class JournalBusy(JournalError):
    """Another executor writes into the journal."""


class JournalDamaged(JournalError):
    """A record of the journal that was durable is not whole."""
