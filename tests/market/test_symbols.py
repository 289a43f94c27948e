"""Decimal prices and sizes become ticks and lots exactly, and a wrong table is refused with every mistake named."""

import pickle
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.events import BadEvent, BadReference
from market.symbols import Grid, Symbol, SymbolTable, read_symbols

TABLE_PATH = Path(__file__).parents[2] / "data" / "reference" / "symbols.yml"
TABLE = SymbolTable.load(TABLE_PATH)
BTC = TABLE["BTCUSDT"]

ENTRY = """
    venue: binance
    venue_symbol: BTCUSDT
    market: perp
    price_tick: "0.1"
    size_lot: "0.001"
    min_notional: "100"
    maker_fee_bps: 2.0
    taker_fee_bps: 5.0
    maintenance_margin_rate: 0.004
"""

steps = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent),
    st.integers(min_value=1, max_value=999),
    st.integers(min_value=-8, max_value=2),
)


def _table(folder: Path, text: str) -> Path:
    path = folder / "symbols.yml"
    path.write_text("symbols:\n" + text, encoding="utf-8")
    return path


@given(steps, st.integers(min_value=0, max_value=2**31 - 1), st.integers(min_value=0, max_value=4))
def test_text_decimal_and_float_give_the_same_steps_and_come_back(step: Decimal, count: int, zeros: int) -> None:
    """k steps, written as text (with zeros behind), Decimal or float, are k steps; their value is the nearest float."""
    grid = Grid("X price", step)
    exact = step * count
    text = f"{exact:f}"
    padded = text + ("" if "." in text else ".") + "0" * zeros
    assert grid.count(text) == grid.count(padded) == grid.known(padded) == grid.count(exact) == count
    assert grid.value(count) == float(Fraction(exact))
    assert grid.count(grid.value(count)) == count


@given(steps, st.integers(min_value=0, max_value=10**6), st.integers(min_value=1, max_value=9))
def test_a_step_that_does_not_divide_is_refused(step: Decimal, count: int, tenths: int) -> None:
    """Any value between two steps raises, as text and as Decimal, however long its fraction."""
    between = step * count + step * tenths / 10
    for value in (
        between,
        f"{between:f}",
        f"{step * count:f}" + ("" if "." in f"{step:f}" else ".") + "00000000000001",
    ):
        with pytest.raises(BadReference, match="X price"):
            Grid("X price", step).count(value)


@given(st.lists(st.integers(min_value=0, max_value=2**31 - 1), max_size=20), st.sampled_from(sorted(TABLE)))
def test_arrays_agree_with_single_values(counts: list[int], name: str) -> None:
    """float64 prices and sizes on the grid come back as the same int32 ticks and lots."""
    symbol = TABLE[name]
    prices = np.array([symbol.ticks_to_price(count) for count in counts], dtype=np.float64)
    sizes = np.array([symbol.lots_to_size(count) for count in counts], dtype=np.float64)
    ticks, lots = symbol.prices_to_ticks(prices), symbol.sizes_to_lots(sizes)
    assert ticks.dtype == lots.dtype == np.int32
    assert ticks.tolist() == lots.tolist() == counts


@pytest.mark.parametrize("value", [61800.25, float("nan"), float("inf"), -0.1, 2.2e9])
def test_an_array_with_one_value_off_the_grid_is_refused_with_its_place(value: float) -> None:
    """The first offender is named with its index; nothing is rounded, wrapped or dropped."""
    with pytest.raises(BadReference, match=r"BTCUSDT price: .* at index 1 .* 0\.1"):
        BTC.prices_to_ticks(np.array([61800.2, value, 1.0]))


@pytest.mark.parametrize("text", ["", ".", "abc", "-1", "+1", "1e3", "1_0", " 1", "NaN", "١٢", "1.2.3"])
def test_text_that_is_no_plain_number_is_a_bad_event(text: str) -> None:
    """Only digits and one point are a price; everything int() or Decimal() would forgive is refused."""
    with pytest.raises(BadEvent, match="plain decimal"):
        BTC.price_to_ticks(text)


def test_the_memory_of_texts_is_bounded_and_refuses_other_types() -> None:
    """Many different texts stay right (the memory starts over), and a float is not taken for text."""
    grid = Grid("X size", Decimal("0.001"))
    assert all(grid.known(f"{count / 1000:.3f}") == count for count in range(40_000))
    with pytest.raises(TypeError):
        grid.known(0.001)  # type: ignore[arg-type]


def test_a_price_off_the_grid_names_symbol_price_and_tick() -> None:
    """The message says what was found, what the step is and where to mend it."""
    with pytest.raises(BadReference, match=r"BTCUSDT price: '61800\.25' .* 0\.1; .*symbols\.yml"):
        BTC.price_to_ticks("61800.25")


def test_a_symbol_survives_pickling() -> None:
    """Another process gets the same instrument, grids included."""
    again = pickle.loads(pickle.dumps(BTC))  # noqa: S301 (our own bytes)
    assert again == BTC
    assert again.price_to_ticks("61800.20") == 618_002


def test_an_unknown_symbol_lists_the_known_ones() -> None:
    """Asking for a symbol that is not in the table raises BadReference, and `in` still answers plainly."""
    with pytest.raises(BadReference, match=r"unknown symbol 'DOGE'; symbols\.yml has .*BTCUSDT"):
        TABLE["DOGE"]
    assert "DOGE" not in TABLE
    assert len(list(TABLE)) == len(TABLE) >= 14


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({'price_tick: "0.1"': 'price_tick: "-0.1"'}, "price_tick must be above 0, was -0.1"),
        ({'price_tick: "0.1"': 'price_tick: "NaN"'}, "price_tick must be above 0, was NaN"),
        ({'price_tick: "0.1"': "price_tick: cheap"}, "price_tick must be a decimal number, was 'cheap'"),
        ({"maker_fee_bps: 2.0": "maker_fee_bps: 9.0"}, "maker <= taker, was maker 9.0, taker 5.0"),
        ({"maker_fee_bps: 2.0": "maker_fee_bps: two"}, "maker_fee_bps must be a number, was 'two'"),
        ({"market: perp": "market: future"}, "market must be one of perp, spot, inverse, was 'future'"),
        ({"market: perp": "market: spot"}, "must be 0 for spot"),
        ({"maintenance_margin_rate: 0.004": "maintenance_margin_rate: 1.5"}, "share from 0 to 1, was 1.5"),
        ({'min_notional: "100"': 'min_notional: "-1"'}, "min_notional must be 0 or more, was -1"),
        ({"venue: binance": 'venue: ""'}, "venue must be a word"),
        ({"    venue: binance\n": ""}, "missing keys ['venue']"),
        ({"venue: binance": "venue: binance\n    leverage: 20"}, "unknown keys ['leverage']"),
        ({"venue: binance": "venue: binance\n    listed: perhaps"}, "listed must be true or false, was 'perhaps'"),
        ({"venue: binance": "venue: binance\n    venue: bybit"}, "key written twice: venue"),
    ],
)
def test_a_wrong_entry_is_refused_with_what_was_found(change: dict[str, str], found: str, tmp_path: Path) -> None:
    """Each mistake in an entry raises BadReference that names the file, the symbol and the value."""
    entry = ENTRY
    for old, new in change.items():
        assert old in entry
        entry = entry.replace(old, new)
    with pytest.raises(BadReference) as refusal:
        SymbolTable.load(_table(tmp_path, f"  BTCUSDT:{entry}"))
    assert found in str(refusal.value)
    assert "symbols.yml" in str(refusal.value)


def test_every_mistake_of_a_table_is_told_and_the_sound_rest_is_read(tmp_path: Path) -> None:
    """read_symbols gives a line for each problem beside the instruments without one."""
    wrong = ENTRY.replace('"0.1"', '"0"')
    symbols, problems = read_symbols(_table(tmp_path, f"  A:{wrong}  btc:{ENTRY}  GOOD:{ENTRY}  TWIN:{ENTRY}"))
    assert list(symbols) == ["GOOD", "TWIN"]
    assert len(problems) == 3
    assert "A: price_tick" in problems[0]
    assert "btc: name must be" in problems[1]
    assert "TWIN: GOOD already is binance perp BTCUSDT" in problems[2]


@pytest.mark.parametrize("text", ["symbols: {}\n", "symbols: [1]\n", "- 1\n", ""])
def test_a_table_without_instruments_is_a_problem(text: str, tmp_path: Path) -> None:
    """An empty or misshapen document says what was wanted."""
    path = tmp_path / "symbols.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadReference, match="at least one instrument"):
        SymbolTable.load(path)


def test_a_missing_file_and_broken_yaml_are_refused(tmp_path: Path) -> None:
    """What cannot be read at all raises BadReference with the path."""
    with pytest.raises(BadReference, match=r"nowhere\.yml"):
        SymbolTable.load(tmp_path / "nowhere.yml")
    with pytest.raises(BadReference, match="YAML"):
        SymbolTable.load(_table(tmp_path, "  - [\n"))


def test_steps_written_without_quotes_are_exact(tmp_path: Path) -> None:
    """YAML reads 0.1 as a float; the table still means one tenth."""
    table = SymbolTable.load(_table(tmp_path, f"  X:{ENTRY}".replace('"0.1"', "0.1").replace('"0.001"', "0.00000001")))
    assert table["X"].price_tick == Decimal("0.1")
    assert table["X"].size_to_lots("0.00000003") == 3


def test_a_symbol_made_by_hand_is_checked_too() -> None:
    """The same rules hold without a file."""
    with pytest.raises(BadReference, match="X: price_tick must be above 0"):
        Symbol("X", "binance", "X", "perp", Decimal(0), Decimal(1), Decimal(0), 1.0, 2.0, 0.01)
