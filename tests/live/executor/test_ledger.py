"""The ledger: the same records give the same bytes and reports; money, halts and memory are bounded and right."""

from pathlib import Path

from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from live.executor.ids import client_id
from live.executor.ledger import KEPT_APPROVALS, KEPT_TRIPS, NS_PER_DAY, Ledger, is_person
from live.executor.records import (
    Accepted,
    AnyRecord,
    Doubted,
    Ended,
    Filled,
    Heard,
    Intent,
    Lost,
    Refused,
    Snapshot,
    Taken,
    decode,
    encode,
)
from market.symbols import SymbolTable
from tests.live.parts import ROOT

SYMBOLS = SymbolTable.load(Path(ROOT) / "data" / "reference" / "symbols.yml")
DAY = 20_000 * NS_PER_DAY
UNIT = 0.1 * 0.001


def ledger(streak: int = 3) -> Ledger:
    """An empty one."""
    return Ledger(SYMBOLS, streak)


def taken(key: str = "a", side: int = 1, at_ns: int = DAY, route: str = "paper") -> Taken:
    """An approval is acted on."""
    return Taken(key, "BTCUSDT", side, route, "m", False, at_ns, at_ns + 10**9, 0.001, 0.001, at_ns)  # type: ignore[arg-type]


def intent(key: str = "a", leg: str = "entry", number: int = 0, side: int = 1, lots: int = 5) -> Intent:
    """An order of it."""
    id_ = client_id(key, leg, 0, number)  # type: ignore[arg-type]
    return Intent(
        id_, key, leg, 0, number, side, 1_000_000, lots, "GTX", leg == "exit", "mid", "stop" * (leg == "exit"), DAY,  # type: ignore[arg-type]
    )  # fmt: skip


def filled(of: Intent, lots: int, price: int = 1_000_000, at_ns: int = DAY, trade: str = "") -> Filled:
    """A trade of an order."""
    return Filled(of.client_id, trade or f"t{lots}{price}{at_ns}", price, lots, 0.01, True, at_ns, at_ns)


def round_trip(key: str, entry: int, exit_: int, *, side: int = 1, at_ns: int = DAY, route: str = "paper",
               lots: int = 5) -> list[AnyRecord]:  # fmt: skip
    """Everything of one trip."""
    first, last = intent(key, side=side, lots=lots), intent(key, "exit", side=-side, lots=lots)
    return [
        taken(key, side, at_ns, route), first, Accepted(first.client_id, "v", 0, at_ns),
        filled(first, lots, entry, at_ns), last, filled(last, lots, exit_, at_ns),
        Ended(last.client_id, "filled", lots, "", 0, at_ns),
    ]  # fmt: skip


def folded(*records: AnyRecord, streak: int = 3) -> Ledger:
    """A ledger behind these records."""
    made = ledger(streak)
    for record in records:
        made.take(record)
    return made


def test_a_round_trip_earns_what_it_earned() -> None:
    """Profit less fees, in quote units and basis points of the entry, told once."""
    book = ledger()
    told = [report for record in round_trip("a", 1_000_000, 1_001_000) for report in book.take(record)]
    assert [report.kind for report in told] == ["accepted", "filled", "filled", "closed"]
    closed = told[-1]
    net = 1_000 * 5 * UNIT - 0.02
    assert abs(closed.net_quote - net) < 1e-9
    assert abs(closed.net_bps - net / (5_000_000 * UNIT) * 1e4) < 1e-9
    assert (closed.reason, closed.side, closed.filled_lots) == ("stop", -1, 5)
    assert abs(book.day_profit(False, DAY) - net) < 1e-9
    assert book.day_profit(True, DAY) == 0.0
    assert not book.open_trips


def test_profit_is_counted_by_day_and_route() -> None:
    """Midnight begins at zero; an older day is not brought back by a late clock."""
    book = folded(
        *round_trip("a", 1_000_000, 1_001_000, route="canary"),
        *round_trip("b", 1_000_000, 999_000, route="paper"),
    )
    assert book.money(False).by_route.keys() == {"canary", "paper"}
    assert abs(book.day_profit(False, DAY) + 0.04) < 1e-9
    assert book.day_profit(False, DAY + NS_PER_DAY) == 0.0
    for record in round_trip("c", 1_000_000, 1_001_000, at_ns=DAY + NS_PER_DAY):
        book.take(record)
    assert book.day_profit(False, DAY + NS_PER_DAY) > 0.4


def test_losses_in_a_row_fill_a_row() -> None:
    """A win begins the count anew; a full row notes its moment and begins anew too."""
    lose, win = (1_000_000, 999_000), (1_000_000, 1_001_000)
    rows = [lose, lose, win, lose, lose]
    book = folded(*(record for number, row in enumerate(rows) for record in round_trip(f"{number}", *row)))
    assert (book.money(False).losses, book.money(False).streak_ns) == (2, 0)
    for record in round_trip("last", *lose, at_ns=DAY + 7):
        book.take(record)
    assert (book.money(False).losses, book.money(False).streak_ns) == (0, DAY + 7)


def test_an_entry_that_never_filled_ends_without_a_word_of_profit() -> None:
    """Refused or canceled: the trip is over, nothing is closed."""
    order = intent()
    book = folded(taken(), order, Refused(order.client_id, "filter", 0, DAY))
    assert not book.open_trips
    assert book.money(False).total == 0.0


def test_a_late_fill_opens_an_ended_trip_again() -> None:
    """The position is the truth: what filled behind the end is held, closed, and told of as one more round trip."""
    order = intent()
    book = folded(
        taken(), order, Accepted(order.client_id, "v", 0, DAY), Ended(order.client_id, "canceled", 0, "", 0, DAY)
    )
    assert not book.open_trips
    book.take(filled(order, 2))
    assert book.held("BTCUSDT", False) == 2
    last = intent("a", "exit", side=-1, lots=2)
    book.take(last)
    assert [report.kind for report in book.take(filled(last, 2))] == ["filled", "closed"]


def test_a_resolution_is_told_before_what_filled_meanwhile() -> None:
    """Whoever adds up filled lots adds each once."""
    order = intent()
    book = folded(taken(), order, Doubted(order.client_id, "timeout", DAY))
    told = book.take(filled(order, 2))
    assert [(report.kind, report.filled_lots, report.leaves_lots) for report in told] == [
        ("resolved", 0, 3),
        ("partial", 2, 3),
    ]


def test_lots_the_venue_does_not_have_are_closed_at_a_named_price() -> None:
    """Told as closed for order_mismatch, without profit but for fees."""
    order = intent()
    book = folded(taken(), order, filled(order, 5))
    told = book.take(Lost("a", 5, 1_000_000, DAY))
    assert [(report.kind, report.reason) for report in told] == [("closed", "order_mismatch")]
    assert book.held("BTCUSDT", False) == 0


def test_halts_are_set_lifted_by_their_guard_and_by_a_person() -> None:
    """A guard lifts its own alone; a person what he names, or all; within the symbol he names."""

    def heard(kind: str, reason: str, symbol: str = "", by: str = "risk", number: int = 0) -> Heard:
        return Heard(f"{kind}{reason}{symbol}{by}{number}", kind, "WARN", reason, symbol, "", by, DAY)

    base = [heard("HALT", "a", "BTCUSDT"), heard("HALT", "a", "ETHUSDT"), heard("HALT", "b")]
    assert len(folded(*base).state.halts) == 3
    assert set(folded(*base, heard("RESUME", "a", "BTCUSDT")).state.halts) == {"a|ETHUSDT|", "b||"}
    assert len(folded(*base, heard("RESUME", "a")).state.halts) == 3
    assert set(folded(*base, heard("RESUME", "a", by="operator")).state.halts) == {"b||"}
    assert set(folded(*base, heard("RESUME", "", "BTCUSDT", by="operator:ines")).state.halts) == {"a|ETHUSDT|", "b||"}
    assert folded(*base, heard("RESUME", "operator", by="operator")).state.halts == {}
    assert [is_person(by) for by in ("operator", "operator:x", "risk", "operators", "")] == [True, True] + [False] * 3


def test_memory_is_bounded() -> None:
    """Thousands of trips: orders and trips of the newest, ids of the newest; open ones stay however old."""
    order = intent("old")
    book = folded(taken("old"), order, filled(order, 5))
    for number in range(3 * KEPT_TRIPS):
        for record in round_trip(f"{number}", 1_000_000, 1_001_000):
            book.take(record)
    assert len(book.state.trips) <= 2 * KEPT_TRIPS + 2
    assert len(book.state.orders) <= 2 * len(book.state.trips)
    assert len(book.state.approvals) <= 2 * KEPT_APPROVALS
    assert book.held("BTCUSDT", False) == 5
    assert order.client_id in book.state.orders


RECORDS = st.lists(
    st.one_of(
        st.sampled_from(["a", "b", "c"]).map(taken),
        st.builds(intent, st.sampled_from(["a", "b"]), st.just("entry"), st.integers(0, 1)),
        st.builds(
            lambda key, number, lots: filled(intent(key, number=number), lots, trade=f"t{lots}"),
            st.sampled_from(["a", "b"]), st.integers(0, 1), st.integers(1, 5),
        ),
        st.builds(
            lambda key, lots: Ended(intent(key).client_id, "canceled", lots, "", 0, DAY),
            st.sampled_from(["a", "b"]), st.integers(0, 5),
        ),
    ),
    max_size=20,
)  # fmt: skip


@given(RECORDS, st.integers(0, 20))
@budget(max_examples=200)
def test_a_snapshot_anywhere_changes_nothing(records: list[AnyRecord], at: int) -> None:
    """Compaction at any record, through the journal's bytes: same state, same reports behind it."""
    whole, cut = ledger(), ledger()
    for number, record in enumerate(records):
        if isinstance(record, Taken) and record.approval_id in whole.state.trips:
            continue
        if isinstance(record, Intent) and (
            record.approval_id not in whole.state.trips or record.client_id in whole.state.orders
        ):
            continue
        if number == at:
            cut = ledger()
            cut.take(decode(encode(Snapshot(whole.state))))
        assert whole.take(record) == cut.take(decode(encode(record)))
    assert whole.encoded() == cut.encoded()
    assert whole.live == cut.live
    assert whole.open_trips == cut.open_trips
