"""How often the runbook's win-rate rule rolls back a canary that is as good as the active version.

Measured by simulation, with a look after every trade until 2,000 canary trades: see `measure`. What lies between the
measured settings is interpolated; what lies outside is taken as the nearest edge.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import BadRule
from evaluation.false_rollback_table import DELTAS, FRACTIONS, MIN_SAMPLES, RATES


def lookup(min_sample: int, delta: float, fraction: float) -> float:
    """Return the false-rollback rate of the rule, 0 to 1, for a canary with this share of the signals.

    `delta` is a share of win rate (0.05 is 5 points). Linear in delta and in the logarithms of the other two. Raises
    BadRule for a setting that is not above 0, or a share of 1.
    """
    if min_sample < 1 or not delta > 0.0 or not 0.0 < fraction < 1.0:
        raise BadRule(
            f"wanted min_sample of 1 or more, delta above 0 and fraction in (0, 1),"
            f" found {min_sample}, {delta} and {fraction}"
        )
    rates = np.asarray(RATES)
    rates = _between(np.log(FRACTIONS), rates, np.log(fraction))
    rates = _between(np.log(MIN_SAMPLES), rates, np.log(min_sample))
    return float(np.interp(delta, DELTAS, rates))


def measure(
    fractions: Sequence[float], min_samples: Sequence[int], deltas: Sequence[float], canaries: int, seed: int
) -> NDArray[np.float64]:
    """Return rates float64[fractions, min_samples, deltas] from so many canaries for each fraction.

    They win 55 % on both routes, under evaluation.canary_simulation's swings and bursts. One canary serves every
    setting: the rule fires from min_sample on just when the last trade with a gap over delta is not before it.
    """
    from evaluation.canary_simulation import CAP_TRADES, Scenario, last_gaps  # noqa: PLC0415 - numba takes 1.7 s

    lines = np.asarray(deltas, np.float64)
    rates = np.zeros((len(fractions), len(min_samples), len(deltas)))
    for row, fraction in enumerate(fractions):
        last = last_gaps(Scenario(fraction=fraction), CAP_TRADES, lines, canaries, seed + row)
        rates[row] = [(last >= least).mean(axis=0) for least in min_samples]
    return rates


def write_table(path: Path, canaries: int = 4_000, seed: int = 20_261_124) -> None:
    """Measure the table anew and write evaluation/false_rollback_table.py to `path`; a few minutes."""
    rates = measure(FRACTIONS, MIN_SAMPLES, DELTAS, canaries, seed)
    blocks = [
        "    (\n" + "".join(f"        ({', '.join(f'{each:.4f}' for each in row)}),\n" for row in block) + "    ),\n"
        for block in rates
    ]
    path.write_text(
        '"""Measured by evaluation.false_rollback.write_table, which writes this file: do not edit it."""\n\n'
        f"FRACTIONS = {FRACTIONS}\nMIN_SAMPLES = {MIN_SAMPLES}\nDELTAS = {DELTAS}\n\n"
        f"CANARIES, SEED = {canaries}, {seed}\n\n"
        f"RATES = (\n{''.join(blocks)})\n"
        '"""Share rolled back, by fraction, then min_sample (a line each), then delta."""\n',
        encoding="utf-8",
    )


def _between(knots: NDArray[np.float64], rates: NDArray[np.float64], at: float) -> NDArray[np.float64]:
    """Return rates at a point of the first axis, linear between its knots, flat outside."""
    place = float(np.interp(at, knots, np.arange(len(knots))))
    low = min(int(place), len(knots) - 2)
    mixed: NDArray[np.float64] = rates[low] + (place - low) * (rates[low + 1] - rates[low])
    return mixed
