import msgspec
import pytest

from config.sections import Evaluation
from pipelines.artifacts import ExportedBundle, ProvenBundle
from pipelines.gates import parity_gates, quality_gates, refusals

_RULES = Evaluation(auc_min=0.55, ece_max=0.03, precision_target=0.45)
_GOOD = {
    "test_log_loss": 0.60,
    "test_log_loss_base": 0.65,
    "test_win_auc": 0.60,
    "test_ece": 0.01,
    "test_precision": 0.50,
}
_PROVEN = ProvenBundle(ExportedBundle("", "", "", 0), 10, 0, 0, 0, 0.0, "", [])


def test_a_good_model_passes_every_gate() -> None:
    """And nothing is refused."""
    gates = quality_gates(_GOOD, True, _RULES) + parity_gates(_PROVEN)
    assert all(gate.passed for gate in gates)
    assert refusals(gates) == []


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("beats_base_rate", {"test_log_loss": 0.65}),
        ("discriminates", {"test_win_auc": 0.5499}),
        ("calibrated", {"test_ece": 0.0301}),
        ("calibrated", {"test_ece": float("nan")}),
    ],
)
def test_a_number_beyond_its_limit_refuses_the_model(name: str, bad: dict[str, float]) -> None:
    """The refusal names the gate, the value and the limit; a number that is none passes nothing."""
    (refused,) = refusals(quality_gates(_GOOD | bad, True, _RULES))
    assert refused.startswith(f"{name}: {next(iter(bad.values())):.6g}, wanted ")


def test_a_precision_that_is_missed_only_warns() -> None:
    """Whether it was missed on the test days, or no threshold reached it before, or nothing was taken."""
    nothing_taken = _GOOD | {"test_precision": 0.0}
    for metrics, reached in ((_GOOD | {"test_precision": 0.4}, True), (_GOOD, False), (nothing_taken, True)):
        gates = quality_gates(metrics, reached, _RULES)
        assert [gate.name for gate in gates if not gate.passed] == ["precision_target"]
        assert refusals(gates) == []


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("margin_mismatches", "parity_margin_bits"),
        ("flips", "parity_flips"),
        ("prob_mismatches", "parity_probability"),
    ],
)
def test_a_single_differing_answer_refuses_the_bundle(field: str, name: str) -> None:
    """One in millions is one too many."""
    (refused,) = refusals(parity_gates(msgspec.structs.replace(_PROVEN, **{field: 1})))
    assert refused.startswith(f"{name}: 1, wanted 0")
