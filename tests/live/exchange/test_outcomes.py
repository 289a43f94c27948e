"""What every reply of either venue means: the table of decision 17 and LIVE 2.4, row by row, and the rule behind it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.exchange.outcomes import Outcome, Reply, Venue, classify

HTML = "<html>503</html>"


def _binance(status: int, code: int | None = None, retry_after: float = 0.0) -> Outcome:
    body = HTML if code is None else json.dumps({"code": code, "msg": "x"})
    return classify("binance", Reply(status, body, retry_after))


def _bybit(code: int | str, status: int = 200) -> Outcome:
    return classify("bybit", Reply(status, json.dumps({"retCode": code, "retMsg": "x", "result": {}})))


@pytest.mark.parametrize("venue", ["binance", "bybit"])
def test_silence_is_unknown(venue: Venue) -> None:
    """A time-out, a cut connection: before or after acceptance looks the same."""
    assert classify(venue, Reply()) == Outcome("unknown", "no_reply")


@pytest.mark.parametrize(
    ("status", "code", "kind", "reason"),
    [
        (429, -1003, "refused", "rate_limit"),
        (400, -1015, "refused", "rate_limit"),
        (403, None, "refused", "rate_limit"),
        (418, -1003, "refused", "banned"),
        (503, -1008, "refused", "overload"),
        (503, -1000, "unknown", "code_-1000"),
        (400, -1000, "unknown", "code_-1000"),
        (503, None, "unknown", "http_503"),
        (504, None, "unknown", "http_504"),
        (500, None, "unknown", "http_500"),
        (500, -1006, "unknown", "code_-1006"),
        (400, -1001, "unknown", "code_-1001"),
        (408, -1007, "unknown", "code_-1007"),
        (400, -1021, "refused", "clock"),
        (400, -4116, "already", "duplicate"),
        (400, -5022, "refused", "post_only"),
        (400, -2011, "gone", "unknown_order"),
        (400, -2013, "gone", "unknown_order"),
        (400, -2022, "refused", "reduce_only"),
        (400, -4164, "refused", "min_notional"),
        (400, -9999, "refused", "code_-9999"),
        (401, -2015, "refused", "auth"),
        (400, None, "unknown", "http_400"),
        (500, -2019, "unknown", "code_-2019"),
        (408, -1111, "unknown", "code_-1111"),
        (200, -1, "unknown", "unreadable_reply"),
        (302, None, "unknown", "http_302"),
    ],
)
def test_binance_by_status_and_code(status: int, code: int | None, kind: str, reason: str) -> None:
    """Every row; a page instead of JSON where the code is None."""
    found = _binance(status, code)
    assert (found.kind, found.reason) == (kind, reason)


@pytest.mark.parametrize("body", ["", "{", HTML, '"text"', "17"])
def test_a_good_status_with_a_broken_body_is_unknown(body: str) -> None:
    """Parsing failed after sending: the order may stand."""
    assert classify("binance", Reply(200, body)).kind == "unknown"
    assert classify("bybit", Reply(200, body)).kind == "unknown"


def test_binance_is_done_with_an_order_a_list_or_its_code_of_success() -> None:
    """Canceling everything answers code 200."""
    for body in ('{"orderId": 1}', "[]", '{"code": 200, "msg": "done"}', '{"code": "200"}'):
        assert classify("binance", Reply(200, body)) == Outcome("done")


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (0, "done", ""),
        ("0", "done", ""),
        (10006, "refused", "rate_limit"),
        (10018, "refused", "rate_limit"),
        (10429, "refused", "rate_limit"),
        (10000, "unknown", "code_10000"),
        (10016, "unknown", "code_10016"),
        (10014, "unknown", "code_10014"),
        (10002, "refused", "clock"),
        (10003, "refused", "auth"),
        (10001, "refused", "filter"),
        (110072, "already", "duplicate"),
        (110001, "gone", "unknown_order"),
        (110007, "refused", "balance"),
        (110094, "refused", "min_notional"),
        (110999, "refused", "code_110999"),
        (999_999, "unknown", "code_999999"),
    ],
)
def test_bybit_by_code(code: int | str, kind: str, reason: str) -> None:
    """Bybit speaks with HTTP 200; a code nobody knows may stand."""
    found = _bybit(code)
    assert (found.kind, found.reason) == (kind, reason)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 400])
def test_bybits_gateway_leaves_it_open(status: int) -> None:
    """A page instead of an answer; also an answer under a bad status."""
    assert classify("bybit", Reply(status, HTML)).kind == "unknown"
    assert _bybit(110007, status).kind == "unknown"


def test_a_pause_is_the_venues_own_when_it_names_one() -> None:
    """Retry-After, else ours; a ban and a clock are marked."""
    assert _binance(429, -1003, 7.0).pause_seconds == 7.0
    assert _binance(429, -1003).pause_seconds == 10.0
    banned = _binance(418, -1003)
    assert banned.is_ban and banned.pause_seconds == 120.0
    assert classify("bybit", Reply(403, HTML)).is_ban
    assert _binance(400, -1021).is_clock and _bybit(10002).is_clock


@given(
    venue=st.sampled_from(("binance", "bybit")),
    status=st.integers(100, 599),
    body=st.one_of(
        st.text(max_size=20),
        st.builds(lambda key, code: json.dumps({key: code}), st.sampled_from(("code", "retCode")), st.integers()),
        st.builds(lambda code: json.dumps({"code": code}), st.one_of(st.none(), st.booleans(), st.text(max_size=3))),
    ),
)
def test_whatever_comes_back_is_classified(venue: Venue, status: int, body: str) -> None:
    """Never an exception; a 5xx is believed to be no acceptance only by the one code that says so."""
    found = classify(venue, Reply(status, body))
    assert found.kind in ("done", "refused", "unknown", "already", "gone")
    if status >= 500 and found.kind == "refused":
        assert found.reason in ("overload", "rate_limit")
    if found.kind == "done":
        assert 200 <= status < 300
