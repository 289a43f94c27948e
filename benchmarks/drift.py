"""PSI and KS of 24 features, a window of 2,000 rows against 100,000: ours, scipy's ks_2samp, Evidently's preset.

Evidently also builds a report, so that ratio is report against numbers; its import is not counted. It is asked for
PSI and for KS, since it takes one method a run. Run with `python -m benchmarks.drift`.
"""

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from benchmarks.rows import fact, row, show
from benchmarks.timing import measure
from evaluation.drift import Reference, ks, psi

FEATURES = 24
REFERENCE_ROWS = 100_000
WINDOW_ROWS = 2_000


def run() -> list[dict[str, Any]]:
    """Return the rows {name, value, unit, ratio, goal, holds}; ratio is the peer's CPU time over ours."""
    reference_rows, window = _rows(1, REFERENCE_ROWS, 0.0), _rows(2, WINDOW_ROWS, 0.1)
    reference = Reference.fit(reference_rows, [f"f{i}" for i in range(FEATURES)])
    ours = {"ours": lambda: (psi(reference, window), ks(reference, window))}
    ours["ours"]()  # compiled or loaded from the cache before the clock starts

    scipy_ks = lambda: [ks_2samp(reference_rows[:, f], window[:, f]).statistic for f in range(FEATURES)]  # noqa: E731
    near = measure(ours | {"scipy": scipy_ks}, rounds=15)
    far = measure(ours | _evidently(reference_rows, window), rounds=3)
    evidently = far["psi"] + far["ks"]
    difference = float(np.abs(ks(reference, window) - scipy_ks()).max())
    return [
        row("drift: PSI + KS of 24 features, 2,000 against 100,000", near["ours"] * 1e3, "ms CPU"),
        row("drift: scipy ks_2samp x 24", near["scipy"] * 1e3, "ms CPU", ratio=near["scipy"] / near["ours"], least=50),
        row("drift: Evidently, psi and ks", evidently * 1e3, "ms CPU", ratio=evidently / far["ours"], least=500),
        fact("drift: greatest difference of KS to scipy's statistic", difference, "D", wanted=0),
    ]


def _rows(seed: int, count: int, shift: float) -> NDArray[np.float32]:
    """Half of the features smooth, half on a coarse lattice, as ticks and lots are."""
    drawn = np.random.default_rng(seed).normal(shift, 1.0, size=(count, FEATURES))
    drawn[:, ::2] = np.round(drawn[:, ::2] * 4)
    return drawn.astype(np.float32)


def _evidently(reference: NDArray[np.float32], window: NDArray[np.float32]) -> dict[str, Callable[[], object]]:
    os.environ["DO_NOT_TRACK"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415 - 15 s, and only here
        from evidently.presets import DataDriftPreset  # noqa: PLC0415

    columns = [f"f{i}" for i in range(FEATURES)]
    definition = DataDefinition(numerical_columns=columns)
    datasets = [
        Dataset.from_pandas(pd.DataFrame(rows, columns=columns), data_definition=definition)
        for rows in (reference, window)
    ]

    def report(method: str) -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Report([DataDriftPreset(num_method=method)]).run(
                reference_data=datasets[0], current_data=datasets[1]
            )

    return {method: lambda method=method: report(method) for method in ("psi", "ks")}


if __name__ == "__main__":
    show(run())
