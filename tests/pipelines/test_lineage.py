import hashlib
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pipelines.lineage import merkle_root

_LEAVES = st.dictionaries(st.text(max_size=8), st.text("0123456789abcdef", max_size=8), min_size=1, max_size=20)


@given(_LEAVES, st.data())
def test_the_root_changes_with_any_single_leaf(leaves: dict[str, str], data: st.DataObject) -> None:
    """Another content, another name or a leaf less: another root."""
    name = data.draw(st.sampled_from(sorted(leaves)))
    without = {other: value for other, value in leaves.items() if other != name}
    root = merkle_root(leaves)
    assert merkle_root(leaves | {name: leaves[name] + "0"}) != root
    assert merkle_root(without) != root
    assert merkle_root(without | {name + "'": leaves[name]}) != root or name + "'" in without


@given(_LEAVES, st.randoms(use_true_random=False))
def test_the_root_does_not_depend_on_the_order(leaves: dict[str, str], random: Random) -> None:
    """The order in which partitions were written says nothing about the data."""
    names = list(leaves)
    random.shuffle(names)
    assert merkle_root({name: leaves[name] for name in names}) == merkle_root(leaves)


def test_the_tree_is_the_one_of_rfc_6962() -> None:
    """Three leaves: two are paired, the odd one is carried up."""
    a, b, c = (hashlib.sha256(b"\x00" + leaf).digest() for leaf in (b"a=1", b"b=2", b"c=3"))
    pair = hashlib.sha256(b"\x01" + a + b).digest()
    assert merkle_root({"b": "2", "a": "1", "c": "3"}) == hashlib.sha256(b"\x01" + pair + c).hexdigest()


def test_no_leaf_gives_the_hash_of_nothing() -> None:
    """As RFC 6962 says."""
    assert merkle_root({}) == hashlib.sha256(b"").hexdigest()
