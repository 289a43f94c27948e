"""The order-by-order book: levels are sums of living orders, zombies are found."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from archive.sources.orders import ASK, BID, Orders

_IDS, _PRICES, _LOTS = st.integers(1, 12), st.integers(90, 99), st.integers(1, 50)
_ACTIONS = st.one_of(
    st.tuples(st.just("create"), _IDS, _PRICES, _LOTS),
    st.tuples(st.just("change"), _IDS, _PRICES, _LOTS),
    st.tuples(st.just("delete"), _IDS, _PRICES, _LOTS),
)


@given(st.lists(st.lists(_ACTIONS, max_size=6), max_size=12))
def test_levels_are_the_sums_of_living_orders(batches: list[list[tuple[str, int, int, int]]]) -> None:
    """Changes told after each batch add up to what a plain sum over all orders says."""
    orders, alive, told = Orders(), dict[int, tuple[int, int]](), dict[int, int]()
    for batch in batches:
        for action, order_id, price, lots in batch:
            known = order_id in alive
            if action == "create":
                orders.create(order_id, BID, price, lots)
                alive[order_id] = (price, lots)
            elif action == "change":
                assert orders.change(order_id, lots) is known
                alive |= {order_id: (alive[order_id][0], lots)} if known else {}
            else:
                assert orders.delete(order_id) is known
                alive.pop(order_id, None)
        bids, asks = orders.changes()
        told.update(bids)
        assert asks == ()
        sums: dict[int, int] = defaultdict(int)
        for price, lots in alive.values():
            sums[price] += lots
        assert {price: lots for price, lots in told.items() if lots} == dict(sums)
        assert len(orders) == len(alive)


def test_the_older_of_two_touching_orders_is_the_zombie() -> None:
    """An old ask below new bids goes; so does an old bid, when the ask is the newer; a locked book touches too."""
    orders = Orders()
    orders.create(1, ASK, 100, 5)
    orders.create(2, ASK, 105, 5)
    orders.create(3, BID, 102, 5)
    orders.create(4, BID, 101, 5)
    assert orders.bury_zombies() == [1]
    orders.create(5, ASK, 102, 5)
    assert orders.bury_zombies() == [3]
    assert orders.bury_zombies() == []
    bids, asks = (dict(side) for side in orders.changes())
    assert (bids, asks) == ({102: 0, 101: 5}, {100: 0, 105: 5, 102: 5})


def test_an_order_created_again_moves() -> None:
    """The venue's word counts: an id told twice stands where it was told last."""
    orders = Orders()
    orders.create(1, BID, 100, 5)
    orders.create(1, BID, 99, 7)
    assert dict(orders.changes()[0]) == {100: 0, 99: 7}
    assert len(orders) == 1
