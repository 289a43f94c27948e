"""Panels that answer: is the model good?

Every process of ours shows every metric, and a figure without labels is born at 0 in each of them: `max` picks the
one that measures it.
"""

from monitoring.panel import Limit, Panel, Query
from monitoring.thresholds import Thresholds

_WORST_FEATURES = 6


def panels(limits: Thresholds) -> tuple[Panel, ...]:
    """The panels, with these numbers as their lines."""
    return (*_outcomes(limits), *_drift(limits), *_scores(), *_trials())


def _outcomes(limits: Thresholds) -> tuple[Panel, ...]:
    delta = limits.canary_delta_pp / 100.0
    return (
        Panel(
            "win-rate", "Win rate by route", "good",
            "Share of round trips with profit after fees, rolling, beside what the active model's card promised. "
            f"Under the moving line a canary is {limits.canary_delta_pp:g} percentage points worse than promised.",
            "share",
            (
                Query('max by (route) (winrate_rolling{route=~"$route"})', "{{route}}"),
                Query("max(winrate_canary)", "canary since its start"),
                Query("max(winrate_baseline_active)", "promised"),
                Query(f"clamp_min(max(winrate_baseline_active) - {delta:g}, 0)", "canary alert", is_limit=True),
            ),
            "rollback-guard-trigger",
        ),
        Panel(
            "precision", "Precision by route", "good",
            "Share of approved candidates that reached their target, traded or not, rolling. The alert also wants it "
            f"{limits.canary_delta_pp:g} percentage points under what the active model promised.",
            "share",
            (
                Query('max by (route) (rolling_precision{route=~"$route"})', "{{route}}"),
                Query("max(precision)", "all routes"),
            ),
            "precision-halt",
            (
                Limit(limits.win_rate_floor, "below", "alert"),
                Limit(limits.precision_floor, "below", "halt"),
            ),
        ),
        Panel(
            "calibration", "Calibration", "good",
            "How far scores are from what came true: the debiased calibration error (ECE), and the Brier score beside "
            "the one at training. Neither is measured before enough candidates were judged.",
            "score",
            (
                Query("max(ece_online)", "ECE"),
                Query("max(brier_online)", "Brier"),
                Query("max(brier_baseline_active)", "Brier at training"),
                Query(
                    f"max(brier_baseline_active) + {limits.brier_margin:g}", "Brier alert", is_limit=True
                ),
            ),
            "precision-halt",
            (Limit(limits.ece_block, "above", "alert, rollback", of="ECE"),),
        ),
    )  # fmt: skip


def _drift(limits: Thresholds) -> tuple[Panel, ...]:
    return (
        _drifted("psi", "PSI", "Population stability over deciles of training", limits.psi_block),
        _drifted("ks", "KS", "Kolmogorov-Smirnov distance from training", limits.ks_block),
    )


def _drifted(name: str, title: str, text: str, block: float) -> Panel:
    counts = f"{name}_feature >= drift_{name}_line and drift_armed == 1"
    return Panel(
        f"drift-{name}", f"Drift: {title}", "good",
        f"{text}: the {_WORST_FEATURES} features that moved farthest. Gate and alert count those that drifted: over "
        "the line of their own clean history too, in a window of enough independent rows.", "score",
        (
            Query(f"topk({_WORST_FEATURES}, max by (feature) ({name}_feature))", "{{feature}}"),
            Query(f"max by (feature) ({counts}) > {block:g}", "{{feature}} drifted"),
        ),
        "drift-breach", (Limit(block, "above", "alert, rollback", of=" drifted"),),
    )  # fmt: skip


def _scores() -> tuple[Panel, ...]:
    return (
        Panel(
            "score-distribution", "Score distribution", "good",
            "Scores of the active model, by steps of 0.05. When its shape changes at once, look at the feed first.",
            "score",
            (Query('sum by (le) (increase(model_score_bucket{slot="active"}[$__rate_interval]))', "{{le}}"),),
            "drift-breach", kind="heatmap",
        ),
    )  # fmt: skip


def _trials() -> tuple[Panel, ...]:
    return (
        Panel(
            "trial-evidence", "Evidence of the trials", "good",
            "Evidence of each sequential test on a version on trial, as a share of the evidence at which is acted. "
            "More than twice that is drawn as twice.",
            "share",
            (Query(
                "clamp_max(max by (trial, test) (release_evidence / release_evidence_limit), 2)", "{{trial}}: {{test}}"
            ),),
            "rollback-guard-trigger", (Limit(1.0, "above", "acted on"),),
        ),
        Panel(
            "trial-gap", "Canary less active", "good",
            "Win rate of the canary less the active version's on the same market, with its always-valid bounds.",
            "share",
            (Query("max by (bound) (release_gap)", "{{bound}}"),),
            "rollback-guard-trigger",
        ),
        Panel(
            "models", "Models in place", "good",
            "Versions that the scorer holds.", "state",
            (Query("max by (slot, version) (model_info) > 0", "{{slot}}: version {{version}}"),),
            "operational-commands", kind="steps",
        ),
    )  # fmt: skip
