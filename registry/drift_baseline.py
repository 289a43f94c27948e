"""Between the card's drift baseline and what `evaluation` judges by: the reference, and its clean history."""

import msgspec
import numpy as np

from evaluation.clean_windows import WindowShape
from evaluation.drift import Reference
from evaluation.drift_lines import CleanHistory
from registry.card import Baseline, CleanBaseline, CleanFeature

_SAME_SPAN = 0.01


def reference_of(baseline: Baseline) -> Reference:
    """Return the reference of training. Raises ReferenceMismatch when the card holds none."""
    return Reference.from_dict(msgspec.to_builtins(baseline.drift))


def clean_of(baseline: Baseline, shape: WindowShape) -> CleanHistory | None:
    """Return the clean history for windows of this shape; None when the card has none, or one of another span."""
    clean = baseline.clean
    if clean is None or abs(clean.span_seconds / shape.span_seconds - 1.0) > _SAME_SPAN:
        return None
    columns = ([getattr(each, name) for each in clean.features] for name in ("psi_mean", "psi_high", "ks_high"))
    return CleanHistory(clean.rows, clean.windows, *map(np.array, columns))


def clean_baseline(history: CleanHistory | None, names: tuple[str, ...], shape: WindowShape) -> CleanBaseline | None:
    """Return the history as the card keeps it."""
    if history is None:
        return None
    columns = (history.psi_mean.tolist(), history.psi_high.tolist(), history.ks_high.tolist())
    return CleanBaseline(
        rows=history.rows,
        span_seconds=shape.span_seconds,
        windows=history.windows,
        features=tuple(
            CleanFeature(name=name, psi_mean=mean, psi_high=psi_high, ks_high=ks_high)
            for name, mean, psi_high, ks_high in zip(names, *columns, strict=True)
        ),
    )
