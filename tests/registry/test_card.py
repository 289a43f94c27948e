"""The model card: to JSON and back to the bit, closed to what it does not know, and its canonical form."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.drift import Reference
from registry.card import IDENTITY_FIELDS, ModelCard, Thresholds, canonical, decode, encode
from registry.errors import BadCard, CorruptBundle
from tests.registry.graphs import NAMES, card


@given(
    st.dictionaries(st.text(min_size=1), st.floats(allow_nan=False, allow_infinity=False), max_size=5),
    st.floats(0.0, 1.0),
)
def test_a_card_survives_json_to_the_bit(metrics: dict[str, float], tau: float) -> None:
    """Whatever the metrics and thresholds, decoding what was encoded gives an equal card and the same bytes."""
    written = card(metrics=metrics, thresholds=Thresholds(tau_entry=tau, tau_hold=tau / 2))
    content = encode(written)
    assert decode(content, "model.json") == written
    assert encode(decode(content, "model.json")) == content


def test_a_card_reads_as_plain_json() -> None:
    """An operator finds the architecture's names in model.json."""
    shown = json.loads(encode(card()))
    assert shown["feature_names"] == list(NAMES)
    assert shown["label"] == {"tp_pct": 0.00048, "sl_pct": 0.00048, "horizon_s": 60.0, "net_of_fees": False}
    assert {"id", "name", "version", "created_at", "schema_hash", "candidate_rule", "thresholds", "calibration"} < set(
        shown
    )
    assert {"metrics", "training", "parity", "baseline", "sha256"} < set(shown)


def test_the_drift_baseline_is_a_reference_again() -> None:
    """Live rebuilds the drift reference of training from the card alone."""
    drift = decode(encode(card()), "model.json").baseline.drift
    assert Reference.from_dict(msgspec.to_builtins(drift)).names == NAMES


def test_identity_is_not_part_of_the_canonical_form() -> None:
    """Two registrations of the same training are the same canonically; any other difference shows."""
    one = card()
    assert set(IDENTITY_FIELDS) < set(ModelCard.__struct_fields__)
    other = card(id="another", version=7, run_id="r1", created_at="2027-01-01T00:00:00Z", sha256="00" * 32)
    assert canonical(one) == canonical(other)
    assert canonical(one) != canonical(card(limitations=()))


def test_the_canonical_form_does_not_depend_on_order() -> None:
    """Metrics entered in another order are the same card."""
    assert canonical(card(metrics={"a": 1.0, "b": 2.0})) == canonical(card(metrics={"b": 2.0, "a": 1.0}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrics": {"auc": float("nan")}}, r"card\.metrics\.auc is nan"),
        ({"metrics": {"auc": float("inf")}}, r"card\.metrics\.auc is inf"),
        ({"name": "no spaces"}, "name 'no spaces'"),
        ({"id": "../escape"}, r"id '\.\./escape'"),
        ({"feature_names": ("a", "a")}, "different names"),
        ({"thresholds": Thresholds(tau_entry=0.5, tau_hold=0.6)}, r"tau_hold 0\.6 must not be above tau_entry 0\.5"),
        ({"format": 2}, "card format 2 is not the 1"),
    ],
)
def test_a_card_that_cannot_be_true_is_refused_at_birth(changes: dict[str, object], said: str) -> None:
    """NaN, names that escape a folder, doubled features, crossed thresholds and other formats are refused."""
    with pytest.raises(BadCard, match=said):
        msgspec.structs.replace(card(), **changes)


def test_a_baseline_of_other_features_is_refused() -> None:
    """The drift baseline must describe the features the model reads, in their order."""
    with pytest.raises(BadCard, match=r"baseline\.drift describes"):
        msgspec.structs.replace(card(), feature_names=tuple(reversed(NAMES)))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda shown: shown.update(extra=1), "unknown field `extra`"),
        (lambda shown: shown.pop("label"), "missing required field `label`"),
        (lambda shown: shown["thresholds"].update(tau_entry=1.5), r"`float` <= 1\.0 - at `\$\.thresholds\.tau_entry`"),
        (lambda shown: shown["parity"].update(rows=-1), r"`int` >= 0 - at `\$\.parity\.rows`"),
        (lambda shown: shown.update(metrics={"auc": None}), "got `null`"),
        (lambda shown: shown.update(format=2), "card format 2"),
    ],
)
def test_a_card_of_another_schema_is_refused(edit: object, said: str) -> None:
    """Unknown, missing and impossible fields are refused with the place they stand at and the file's name."""
    shown = json.loads(encode(card()))
    edit(shown)  # type: ignore[operator]
    with pytest.raises(CorruptBundle, match=said) as refusal:
        decode(json.dumps(shown).encode(), "slot/model.json")
    assert str(refusal.value).startswith("slot/model.json: ")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null"])
def test_bytes_that_are_no_card_are_refused(content: bytes) -> None:
    """Empty, torn, binary and foreign JSON files are refused."""
    with pytest.raises(CorruptBundle, match="not a model card of format 1"):
        decode(content, "model.json")


def test_a_truncated_card_is_refused_wherever_it_is_cut() -> None:
    """No prefix of a card is a card."""
    content = encode(card())
    for size in range(0, len(content) - 2, max(1, len(content) // 97)):
        with pytest.raises(CorruptBundle):
            decode(content[:size], "model.json")
