"""The venue's own best bid and ask against ours: a proof, from an independent stream, that our book is right.

Binance's bookTicker carries the update it speaks of and comes whenever the touch changes. So the touch of our book
after update u must be that of the newest ticker not behind u. Which one that is, is certain once a later ticker is
here, or one of the very same update; the two streams may run ahead of each other meanwhile.
"""

from collections import deque

from bus.messages import BookImage
from market.columns import BOOK_ONE_SIDED
from market.events import BookTicker

_MOST_WAITING = 20_000

_Touch = tuple[int, int, int, int]


class TickerCheck:
    """Compares each book once; `checked` and `mismatched` count since the start."""

    def __init__(self) -> None:
        self.checked = 0
        self.mismatched = 0
        self._tickers: deque[tuple[int, _Touch]] = deque()
        self._books: deque[tuple[int, _Touch]] = deque()

    def ticker(self, ticker: BookTicker) -> bool:
        """Take in a ticker; return False when one is known now that contradicts our book."""
        tickers = self._tickers
        if tickers and ticker.sequence <= tickers[-1][0]:
            return True
        tickers.append((ticker.sequence, (ticker.bid_ticks, ticker.bid_lots, ticker.ask_ticks, ticker.ask_lots)))
        if len(tickers) > _MOST_WAITING:
            tickers.popleft()
        return not self._books or self._settle()

    def book(self, sequence: int, image: BookImage) -> bool:
        """Take in our book after an update; return False when a ticker contradicts it, or an earlier one of ours."""
        if image.flags & BOOK_ONE_SIDED:
            # Half a touch is no ticker: what could be compared ends here.
            self.forget()
            return True
        self._books.append((sequence, (image.bid_ticks[0], image.bid_lots[0], image.ask_ticks[0], image.ask_lots[0])))
        if len(self._books) > _MOST_WAITING:
            self._books.popleft()
        return self._settle()

    def forget(self) -> None:
        """One of the streams had a hole: nothing of before can be compared with what comes."""
        self._tickers.clear()
        self._books.clear()

    def _settle(self) -> bool:
        """Compare every book whose ticker is certain."""
        tickers, books, right = self._tickers, self._books, True
        while books and tickers:
            sequence, ours = books[0]
            while len(tickers) > 1 and tickers[1][0] <= sequence:
                tickers.popleft()
            newest = tickers[0][0]
            if newest < sequence and len(tickers) == 1:
                break
            books.popleft()
            if newest <= sequence:
                self.checked += 1
                if tickers[0][1] != ours:
                    self.mismatched += 1
                    right = False
        return right
