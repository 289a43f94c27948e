"""What a person may write in app.yml and the environment, and what comes of it."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.errors import SettingsError
from config.settings import APP_YML, Settings, all_knobs, explain, load


def _written(folder: Path, text: str) -> Path:
    file = folder / "config" / "app.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def _problems(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(_written(folder, text), environ or {})
    return tuple(problem.replace(f"{folder}/", "") for problem in caught.value.problems)


def test_the_shipped_file_writes_out_every_default() -> None:
    """app.yml shows all knobs, and none of them differs from what holds without it."""
    in_file = yaml.safe_load(APP_YML.read_text(encoding="utf-8"))
    assert Settings.model_validate(in_file) == Settings()
    assert [f"{section}.{key}" for section, keys in in_file.items() for key in keys] == [
        each.key for each in all_knobs()
    ]


def test_every_knob_in_the_shipped_file_has_a_comment() -> None:
    """A reader of app.yml needs no other page to know what a line does."""
    lines = APP_YML.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("  ") and " # " not in line] == []


def test_every_knob_is_described_and_numbers_are_bounded() -> None:
    """The schema says for each key what it does, and for each number how far it may go."""
    for each in all_knobs():
        assert each.description.endswith("."), each.key
        if each.kind in {"number", "whole number"}:
            assert ">" in each.bounds and "<" in each.bounds, each.key


def test_no_two_knobs_share_a_variable() -> None:
    """The general rule SECTION_KEY is unambiguous."""
    variables = [each.variable for each in all_knobs()]
    assert len(set(variables)) == len(variables)


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    """A key left out takes its default."""
    assert load(_written(tmp_path, ""), {}).label == Settings().label


def test_the_environment_lies_over_the_file(tmp_path: Path) -> None:
    """LABEL_TP_PCT beats label.tp_pct; a list is split at commas; an empty variable counts as unset."""
    file = _written(tmp_path, "label: {tp_pct: 0.001, sl_pct: 0.002}\n")
    environ = {"LABEL_TP_PCT": "0.003", "LABEL_SL_PCT": "", "MARKET_SYMBOLS": "AAA, BBB", "LABEL_NET_OF_FEES": "true"}
    found = load(file, environ)
    assert (found.label.tp_pct, found.label.sl_pct, found.label.net_of_fees) == (0.003, 0.002, True)
    assert found.market.symbols == ("AAA", "BBB")


def test_each_value_knows_where_it_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, variable or default: the question an operator asks first."""
    monkeypatch.chdir(tmp_path)
    origins = explain(_written(tmp_path, "label: {tp_pct: 0.001}\n"), {"LABEL_SL_PCT": "0.002"}).origins
    assert origins["label.tp_pct"] == "config/app.yml"
    assert origins["label.sl_pct"] == "environment LABEL_SL_PCT"
    assert origins["label.horizon_seconds"] == "default"


def test_relative_paths_start_above_the_folder_of_the_file(tmp_path: Path) -> None:
    """The working directory does not matter, and a URL or an absolute path is left alone."""
    text = "paths: {var: state, symbols: /etc/symbols.yml}\nregistry: {artifacts: 's3://bucket/runs'}\n"
    found = load(_written(tmp_path, text), {"SOURCE_PATH": "recorded"})
    assert found.paths.var == tmp_path / "state"
    assert found.paths.symbols == Path("/etc/symbols.yml")
    assert found.paths.lake == str(tmp_path / "data" / "parquet")
    assert found.source.path == tmp_path / "recorded"
    assert found.registry.artifacts == "s3://bucket/runs"
    assert found.registry.tracking_uri == f"sqlite:///{tmp_path}/var/mlflow.db"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("label: {tp_pct: -1}", "label.tp_pct must be > 0, was -1"),
        ("training: {num_leaves: 2.5}", "training.num_leaves must be a whole number, was 2.5"),
        ("training: {num_leaves: many}", "training.num_leaves must be a whole number, was 'many'"),
        ("training: {num_leaves: yes}", "training.num_leaves must be a whole number, was true"),
        ("label: {tp_pct: .nan}", "label.tp_pct must be a finite number, was nan"),
        ("label: {net_of_fees: 3}", "label.net_of_fees must be true or false, was 3"),
        ("training: {calibration: magic}", "training.calibration must be one of 'isotonic' or 'platt', was 'magic'"),
        ("market: {first_day: soon}", "market.first_day must be a day such as 2026-01-06, was 'soon'"),
        ("market: {symbols: []}", "market.symbols must be a list of at least 1 values, was empty"),
        ("registry: {name: 'a b'}", "registry.name must be a text that matches ^[A-Za-z0-9_-]+$, was 'a b'"),
        ("paths: {var: 3}", "paths.var must be a path, was 3"),
        ("label: 3", "label must be a mapping of keys to values, was 3"),
        ("label: {tp_pctt: 1}", "label.tp_pctt is not a key; did you mean label.tp_pct?"),
        ("labels: {}", "labels is not a key; did you mean label?"),
        ("qqq: {}", "qqq is not a key; remove it"),
        ("source: {kind: standx}", "source.path must name a folder when source.kind is standx, was empty"),
        ("backfill: {kind: standx}", "backfill.path must name a folder when backfill.kind is standx, was empty"),
        ("market: {symbols: [A, B, A]}", "market.symbols must name each symbol once, was given A again"),
        (
            "market: {first_day: 2026-01-05, last_day: 2026-01-04}",
            "market.last_day must be >= market.first_day 2026-01-05, was 2026-01-04",
        ),
        ("evaluation: {psi_warn: 0.4}", "evaluation.psi_warn must be <= evaluation.psi_block 0.3, was 0.4"),
        ("label: {tp_pct: 1,\n tp_pct: 2}", "line 2: tp_pct is given twice, first in line 1"),
        ("label:\n\ttp_pct: 1", "line 2: found character '\\t' that cannot start any token"),
        ("[1, 2]", "must be sections of keys, was list"),
    ],
)
def test_a_bad_value_is_named_with_file_key_value_and_bound(tmp_path: Path, text: str, problem: str) -> None:
    """One sentence is enough to mend the file."""
    assert _problems(tmp_path, text) == (f"config/app.yml: {problem}",)


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Nobody mends a file one error a run; a value from a variable names the variable."""
    found = _problems(tmp_path, "label: {tp_pct: -1, sl_pct: 2}\n", {"TRAINING_SEED": "x"})
    assert found == (
        "config/app.yml: label.tp_pct must be > 0, was -1",
        "config/app.yml: label.sl_pct must be < 1, was 2",
        "environment TRAINING_SEED: training.seed must be a whole number, was 'x'",
    )


def test_a_slip_in_a_variable_is_refused_and_a_strangers_variable_is_not(tmp_path: Path) -> None:
    """LABEL_TP_PC cannot be meant for anybody else; SOURCE_DATE_EPOCH and a Kubernetes service can."""
    assert _problems(tmp_path, "", {"LABEL_TP_PC": "1"}) == (
        "environment LABEL_TP_PC: no such override; did you mean LABEL_TP_PCT?",
    )
    foreign = {"SOURCE_DATE_EPOCH": "1", "REGISTRY_PORT": "tcp://10.0.0.1:80", "REGISTRY_SERVICE_HOST": "10.0.0.1"}
    assert load(_written(tmp_path, ""), foreign).source.kind == "simulator"


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    """No traceback for a wrong path or a file in another encoding."""
    with pytest.raises(SettingsError, match=r"nowhere\.yml: cannot be read"):
        load(tmp_path / "nowhere.yml", {})
    file = _written(tmp_path, "\x00")
    with pytest.raises(SettingsError, match="unacceptable character #x0000"):
        load(file, {})
    file.write_bytes(b"label: \xff")
    with pytest.raises(SettingsError, match="byte 7 is not UTF-8"):
        load(file, {})


def test_settings_are_frozen() -> None:
    """Config is not state: nothing may change it after the start."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().label.tp_pct = 1.0


@given(
    tp_pct=st.floats(1e-6, 0.99),
    seed=st.integers(0, 2**31 - 1),
    first_day=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    symbols=st.lists(st.from_regex(r"[A-Z0-9_-]{1,12}", fullmatch=True), min_size=1, max_size=4, unique=True),
)
def test_a_value_means_the_same_in_the_environment_and_in_a_file(
    tp_pct: float, seed: int, first_day: date, symbols: list[str]
) -> None:
    """The two ways to set a knob differ in precedence alone."""
    by_file = Settings.model_validate(
        {
            "label": {"tp_pct": tp_pct},
            "training": {"seed": seed},
            "market": {"first_day": first_day, "last_day": date(2100, 1, 1), "symbols": symbols},
        }
    )
    by_environment = load(
        environ={
            "LABEL_TP_PCT": repr(tp_pct),
            "TRAINING_SEED": str(seed),
            "MARKET_FIRST_DAY": first_day.isoformat(),
            "MARKET_LAST_DAY": "2100-01-01",
            "MARKET_SYMBOLS": ",".join(symbols),
        }
    )
    assert by_environment.label.tp_pct == by_file.label.tp_pct
    assert by_environment.training.seed == by_file.training.seed
    assert by_environment.market == by_file.market
