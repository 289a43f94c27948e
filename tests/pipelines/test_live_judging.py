import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from archive.layout import clock_text
from archive.live_tables import LIVE_SCORES, OUTCOMES, REPORTS, ROUTE_CODES
from evaluation.clustered import Estimate
from pipelines.live_judging import LiveJudgement, judge_live, live_gates
from pipelines.live_proof import oriented
from pipelines.live_rows import Rows, read, survey
from registry.bundle import Scorer
from registry.versions import Version
from tests.pipelines.conftest import Release
from tests.pipelines.days import Bench, bench
from tests.pipelines.live_tables import DAY, SYMBOL, Columns, a_trade, at, judged, put_reports, scored

ROWS = 700


@pytest.fixture(scope="module")
def workspace(first: Release, second: Release, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The registry of two releases, and a lake in which live scored by both: version 1 active, version 2 the canary."""
    folder = tmp_path_factory.mktemp("live")
    made = bench(Path(first.workspace.settings.paths.var).parent, paths={"lake": str(folder / "lake")})
    columns = judged(ROWS, canary_share=0.3)
    scores = by_bundles(made, columns, (first.version, second.version))
    made.lake.write(OUTCOMES, SYMBOL, DAY, columns, source="live")
    made.lake.write(LIVE_SCORES, SYMBOL, DAY, scores, source="live")
    canary = {"route": ROUTE_CODES.index("canary")}
    trades = [report for n in range(60) for report in a_trade(10 * n, order=n, **(canary if n % 4 == 0 else {}))]
    put_reports(made.lake, *trades)
    return made


def by_bundles(workspace: Bench, columns: Columns, versions: tuple[Version, Version]) -> Columns:
    """Scores whose margins are the bundles' own."""
    scores = scored(columns)
    rows = oriented(Rows((SYMBOL,), scores))
    for slot, version in (("active", versions[0]), ("shadow", versions[1]), ("canary", versions[1])):
        folder = workspace.store.download(version, workspace.folder("cache", version.sha256[:16]) / "bundle")
        scores[f"{slot}_margin"] = Scorer(folder, version.sha256).score_many(rows).margin
    return scores


def judgement(workspace: Bench) -> LiveJudgement:
    """What is said of the lake as it stands."""
    surveyed = [survey(workspace.lake, table, 7) for table in (OUTCOMES, REPORTS, LIVE_SCORES)]
    return judge_live(workspace, surveyed[0], surveyed[1], read(workspace.lake, surveyed[2]))


@pytest.fixture(scope="module")
def found(workspace: Bench) -> LiveJudgement:
    """Measured once."""
    return judgement(workspace)


def with_figures(found: LiveJudgement, place: int, **changes: Any) -> LiveJudgement:
    """The same judgement, one version's figures changed."""
    versions = list(found.found.versions)
    versions[place] = msgspec.structs.replace(versions[place], **changes)
    return replace(found, found=msgspec.structs.replace(found.found, versions=tuple(versions)))


def gates_of(found: LiveJudgement, workspace: Bench) -> dict[str, tuple[bool, str]]:
    """Each check with whether it passed and what it says."""
    return {gate.check: (gate.passed, gate.detail) for gate in live_gates(found, workspace.settings)}


def test_every_version_gets_the_same_metrics_pictures_and_pages(
    found: LiveJudgement, workspace: Bench, tmp_path: Path
) -> None:
    """In the run that it came from, beside what its training said: so MLflow's pages compare versions."""
    versions = [workspace.store.version(each.version) for each in found.found.versions]
    told = [workspace.store.run_metrics(version.run_id) for version in versions]
    assert {name for name in told[0] if name.startswith("live_")} == {
        name for name in told[1] if name.startswith("live_")
    }
    assert {"test_brier", "live_brier", "live_winrate_low", "live_markout_1000ms_bps"} < set(told[0])
    assert [each["live_parity_mismatches"] for each in told] == [0.0, 0.0]
    assert [each["live_parity_rows"] for each in told] == [ROWS, 2.0 * ROWS], "shadow and canary are both recorded"
    for version in versions:
        kept = workspace.store.run_artifact(version.run_id, "live", tmp_path / str(version.number))
        assert {each.name for each in kept.iterdir()} == {
            "card.md", "evaluation.json", "drift.html", "live_reliability.png", "live_routes.png", "live_profit.png",
            "live_paired.png",
        }  # fmt: skip
        assert json.loads((kept / "evaluation.json").read_text())["candidates"] == ROWS


def test_the_card_tells_versions_routes_and_the_pair(found: LiveJudgement) -> None:
    """With the intervals, and how the numbers are meant."""
    assert f"{clock_text(at(0))} to {clock_text(at(ROWS - 1))} UTC, BTCUSDT: 700 candidates judged" in found.text
    assert "| 1 | active | 700 |" in found.text
    assert "| 2 | shadow, canary | 700 |" in found.text
    assert "| canary | " in found.text
    assert "## Version 2 against version 1, on the same candidates" in found.text
    assert "A verdict is risk's" in found.text


def test_figures_of_few_rows_pass_and_say_so(found: LiveJudgement, workspace: Bench) -> None:
    """Nothing is decided on what is too little."""
    gates = gates_of(found, workspace)
    assert gates["live_parity"] == (True, f"{3 * ROWS} margins are the bundle's, bit for bit")
    assert gates["canary_winrate"][0]
    assert "canary trades, 500 wanted to decide" in gates["canary_winrate"][1]
    assert gates["live_fill_rate"][0]
    assert not gates["live_drift"][0], "these rows are noise, no market"


def test_enough_rows_on_the_wrong_side_of_a_line_fail_its_check(found: LiveJudgement, workspace: Bench) -> None:
    """Win rate, markout, fill rate and calibration, each alone."""
    routes = dict(found.found.routes)
    low = Estimate(0.30, 0.2, 0.4, 800, 800.0)
    routes["canary"] = msgspec.structs.replace(routes["canary"], judged_winrate=low)
    routes["paper"] = msgspec.structs.replace(routes["paper"], judged_winrate=Estimate(0.36, 0.3, 0.4, 900, 900.0))
    worse = replace(found, found=msgspec.structs.replace(found.found, routes=routes))
    passed, said = gates_of(worse, workspace)["canary_winrate"]
    assert not passed
    assert said.startswith("0.3000 on 800 trades, wanted >= 0.3100")
    traded = found.found.versions[1].traded
    bad = msgspec.structs.replace(
        traded, fill_rate=Estimate(0.01, 0.0, 0.02, 200, 200.0),
        markouts_bps={**traded.markouts_bps, 1_000: Estimate(-3.0, -4.0, -2.0, 200, 200.0)},
    )  # fmt: skip
    gates = gates_of(with_figures(found, 1, traded=bad, ece=0.2, candidates=5_000), workspace)
    assert {name for name, (passed, _) in gates.items() if not passed} >= {
        "live_markout", "live_fill_rate", "live_calibration"
    }  # fmt: skip
    assert "version 2: -3 on 200" in gates["live_markout"][1]


def test_a_margin_that_is_not_the_bundles_fails_parity(found: LiveJudgement, workspace: Bench) -> None:
    """And the first such row is named."""
    broken = replace(found.proofs[0], mismatches=1, first="BTCUSDT-7: active said 0.1, the bundle says 0.2")
    passed, said = gates_of(replace(found, proofs=[broken, found.proofs[1]]), workspace)["live_parity"]
    assert not passed
    assert said == f"1 of {ROWS} of version 1: BTCUSDT-7: active said 0.1, the bundle says 0.2"


def test_a_lake_without_live_rows_is_judged_to_hold_nothing(first: Release, tmp_path: Path) -> None:
    """No version, no picture, no run touched; every check passes and says so."""
    empty = bench(Path(first.workspace.settings.paths.var).parent, paths={"lake": str(tmp_path / "lake")})
    found = judgement(empty)
    assert (found.found.candidates, found.pictures, found.drift_page) == (0, {}, None)
    assert all(passed for passed, _ in gates_of(found, empty).values())
