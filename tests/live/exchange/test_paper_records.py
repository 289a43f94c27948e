"""What is remembered of orders, and what is forgotten."""

from live.exchange.paper_records import Records
from live.exchange.protocol import Fill, Place


def _place(name: str) -> Place:
    return Place(name, "BTCUSDT", 1, 600_000, 5, "GTX")


def _fill(name: str, number: int) -> Fill:
    return Fill(name, "BTCUSDT", f"{name}.{number}", 1, 600_000, 1, 0.1, True, number)


def test_an_order_shows_how_it_stands() -> None:
    """Open with what has filled, then as it ended."""
    records = Records()
    record = records.add(_place("a"), filled_lots=2)
    records.fill(record, _fill("a", 3))
    view = record.view()
    assert (view.client_id, view.venue_id, view.filled_lots, view.size_lots, view.state) == (
        "a",
        "paper-a",
        3,
        5,
        "open",
    )
    assert records.open() == [record]
    records.end(record, "canceled")
    assert records.open() == [] and records.get("a") is record and record.view().state == "canceled"
    assert records.get("b") is None


def test_the_oldest_that_ended_are_forgotten_and_open_ones_never() -> None:
    """A thousand ended orders are kept."""
    records = Records()
    waiting = records.add(_place("open"))
    for number in range(1_200):
        records.end(records.add(_place(str(number))), "canceled")
    assert records.get("199") is None and records.get("200") is not None
    assert records.open() == [waiting]


def test_the_newest_fills_are_kept() -> None:
    """Bounded, in order."""
    records = Records()
    record = records.add(_place("a"))
    for number in range(1_000):
        records.fill(record, _fill("a", number))
    kept = records.recent_fills()
    assert 200 <= len(kept) <= 400 and kept[-1].exchange_ns == 999
    assert [each.exchange_ns for each in kept] == sorted(each.exchange_ns for each in kept)
