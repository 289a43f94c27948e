"""`python -m tidegate demo` as a person types it, three times in one place: it works, is refused, and works again."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from archive.store import Lake
from registry.store import ModelStore
from tidegate.environment import ROOT

GAPPED = "2026-01-05|BTCUSDT"
_TIMEOUT_SECONDS = 300


def demo(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a tiny market with everything it writes below one folder."""
    tiny = {
        "PATHS_LAKE": str(folder / "lake"), "PATHS_VAR": str(folder / "var"),
        "REGISTRY_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "REGISTRY_ARTIFACTS": str(folder / "mlartifacts"),
        "REGISTRY_MIRROR": str(folder / "mirror"), "FEED_MINUTES": "4", "GATES_STALE_BOOK_MS": "20000",
        "MARKET_SYMBOLS": "BTCUSDT", "MARKET_FIRST_DAY": "2026-01-05", "MARKET_LAST_DAY": "2026-01-06",
        "SIMULATOR_DEPTH_INTERVAL_MS": "5000", "SIMULATOR_ORDER_FLOW_EFFECT": "0.8",
        "SIMULATOR_GAP_DAY": "2026-01-05", "CANDIDATE_INTERVAL_MS": "10000",
        "LABEL_TP_PCT": "0.0006", "LABEL_SL_PCT": "0.0006",
        "TRAINING_LEARNING_RATE": "0.15", "TRAINING_NUM_LEAVES": "7", "TRAINING_MIN_DATA_IN_LEAF": "50",
        "TRAINING_MAX_ROUNDS": "25", "TRAINING_LAMBDA_L2": "5",
        "EVALUATION_AUC_MIN": "0.5", "EVALUATION_ECE_MAX": "0.5", "EVALUATION_MIN_SAMPLES": "100",
        "PARITY_RANDOM_ROWS": "2000",
    }  # fmt: skip
    environ = os.environ | {"COLUMNS": "160"} | tiny | more
    return subprocess.run(
        [sys.executable, "-m", "tidegate", "demo", "--no-releases"], cwd=ROOT, env=environ,
        capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False,
    )  # fmt: skip


def books(folder: Path) -> dict[str, str]:
    """The content hash of each day's book."""
    lake = Lake(folder / "lake")
    return {f"{day}|{symbol}": lake.info("book", symbol, day).content_sha256 for symbol, day in lake.partitions("book")}


def registered(folder: Path) -> tuple[list[tuple[int, str]], dict[str, int]]:
    """Number and bundle of every version, and what each alias names."""
    store = ModelStore(f"sqlite:///{folder}/mlflow.db", str(folder / "mlartifacts"), "signal_scorer")
    return sorted((each.number, each.sha256) for each in store.versions()), store.aliases()


@pytest.mark.slow
def test_the_command_ends_with_a_version_is_refused_by_a_gate_and_can_be_repeated(tmp_path: Path) -> None:
    """What the closing table says, what the line of a refusal says, and that neither run costs the other anything."""
    first = demo(tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert re.search(rf"damaged {re.escape(GAPPED)}: silent for 15\d\d s .* at most 900 s allowed", first.stdout)
    assert re.search(r"model version +│ signal_scorer version 1, active", first.stdout), first.stdout
    assert re.search(rf"partitions repaired +│ {re.escape(GAPPED)}", first.stdout)
    assert re.search(r"margins that differ from LightGBM +│ 0 ", first.stdout)
    assert re.search(r"Dagster's own share +│ \d+% of \d+ s of runs", first.stdout)
    assert re.search(r"on paper \(from /metrics: 4 simulated minutes of 2026-01-07, a day not seen\)", first.stdout)
    assert re.search(r"│candidates +│ [1-9]\d*, \d+ of them resolved", first.stdout), first.stdout
    for words in ("approvals", "orders sent", "fills", "precision"):
        assert re.search(rf"│{words} +│ ", first.stdout), words
    assert re.search(r"│messages set aside +│ 0 ", first.stdout)
    days, (versions, aliases) = books(tmp_path), registered(tmp_path)
    assert (len(versions), aliases) == (1, {"active": 1})

    refused = demo(tmp_path, EVALUATION_AUC_MIN="0.99")
    assert refused.returncode == 1
    line = refused.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"demo stopped: train_job: model: check discriminates: .*0\.\d+, wanted >= 0\.99, AUC of wins", line
    )
    assert registered(tmp_path) == (versions, aliases)
    assert books(tmp_path) == days, "the feed with the hole must not replace the mended day"

    again = demo(tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert re.search(r"partitions repaired +│ none", again.stdout)
    assert books(tmp_path) == days
    repeated, aliases = registered(tmp_path)
    assert (repeated, aliases) == (versions, {"active": 1}), "same data, code and seed: the same version"
