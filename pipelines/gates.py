"""The gates between a trained model and the registry: pure rules over measured numbers.

A gate that blocks refuses the model; the others are shown and counted. The assets report the same verdicts as Dagster
checks, and the candidate asset asks them again itself, since a blocking check guards only its own run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from config.sections import Evaluation
from pipelines.artifacts import ProvenBundle


@dataclass(frozen=True, slots=True)
class Gate:
    """One verdict: the value found, the limit, and whether a failure refuses the model."""

    name: str
    value: float
    limit: str
    passed: bool
    blocking: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.6g}, wanted {self.limit}"


def quality_gates(metrics: Mapping[str, float], tau_reached: bool, rules: Evaluation) -> list[Gate]:
    """Judge a model's numbers on the test days: better than a constant forecast, calibrated, worth a threshold."""
    loss, base = metrics["test_log_loss"], metrics["test_log_loss_base"]
    score, ece = metrics["test_win_auc"], metrics["test_ece"]
    return [
        Gate("beats_base_rate", loss, f"< {base:.6g}, the log loss of the base rate", loss < base, blocking=True),
        Gate("discriminates", score, f">= {rules.auc_min}, AUC of wins", score >= rules.auc_min, blocking=True),
        Gate("calibrated", ece, f"<= {rules.ece_max}, debiased ECE", ece <= rules.ece_max, blocking=True),
        Gate(
            "precision_target",
            metrics["test_precision"],
            f">= {rules.precision_target} with a threshold found before the test days",
            tau_reached and metrics["test_precision"] >= rules.precision_target,
            blocking=False,
        ),
    ]


def parity_gates(report: ProvenBundle) -> list[Gate]:
    """Judge the exported graph: not one differing bit of a margin, not one decision that flips."""
    return [
        Gate("parity_margin_bits", report.margin_mismatches, "0 differing margins", not report.margin_mismatches, True),
        Gate("parity_flips", report.flips, "0 flipped decisions", not report.flips, True),
        Gate(
            "parity_probability",
            report.prob_mismatches,
            "0 after rounding to float32",
            not report.prob_mismatches,
            True,
        ),
    ]


def refusals(gates: list[Gate]) -> list[str]:
    """The blocking gates that did not pass, each as a sentence."""
    return [str(gate) for gate in gates if gate.blocking and not gate.passed]
