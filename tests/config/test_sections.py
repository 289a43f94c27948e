"""Sections become the rules of the packages that use them."""

import dataclasses
import re
from pathlib import Path
from typing import get_args

import pytest

from archive.sources.protocol import KINDS
from config.live_sections import Risk
from config.sections import Backfill, Candidate, Evaluation, Label, Recorded, Source, Training
from config.settings import Settings, all_knobs
from evaluation.clean_windows import WindowShape
from market.barriers import BarrierRule
from market.candidates import CandidateRule
from pipelines.estimator import TrainingRule
from tests.style_bar import ROOT


def test_sections_name_the_fields_of_their_rules() -> None:
    """The schema and the rule classes cannot drift apart."""
    assert [field.name for field in dataclasses.fields(CandidateRule)] == list(Candidate.model_fields)
    assert [field.name for field in dataclasses.fields(BarrierRule)] == list(Label.model_fields)
    assert {field.name for field in dataclasses.fields(TrainingRule)} <= set(Training.model_fields)


def test_values_arrive_in_the_rules() -> None:
    """Nothing is renamed or rescaled on the way."""
    assert dataclasses.asdict(Candidate(interval_ms=500).rule()) == Candidate(interval_ms=500).model_dump()
    assert dataclasses.asdict(Label(horizon_seconds=5).rule()) == Label(horizon_seconds=5).model_dump()


def test_the_drift_lines_are_those_of_the_configuration() -> None:
    """By their own names; every line that the configuration allows makes a rule."""
    rule = Evaluation(psi_warn=0.11, psi_block=0.22, ks_block=0.33, drift_min_effective_rows=50.0).drift_rule()
    assert (rule.psi_warn, rule.psi_block, rule.ks_block, rule.min_effective_rows) == (0.11, 0.22, 0.33, 50.0)
    strict = Evaluation(ks_block=0.01).drift_rule()
    assert strict.ks_warn == strict.ks_block == 0.01
    assert Risk().drift_window() == WindowShape(2_000, 86_400.0)


def test_training_defaults_are_the_trainers_own() -> None:
    """One set of defaults, wherever a rule is built."""
    given = Training().model_dump()
    assert {name: given[name] for name in dataclasses.asdict(TrainingRule())} == dataclasses.asdict(TrainingRule())


@pytest.mark.parametrize("edge", [1e-9, 0.399999])
def test_every_share_the_schema_takes_is_one_the_trainer_takes(edge: float) -> None:
    """A value that passes the check at the door does not fail an hour later."""
    section = Training(validation_share=edge, calibration_share=edge)
    TrainingRule(validation_share=section.validation_share, calibration_share=section.calibration_share)


def test_every_recorded_format_can_be_configured() -> None:
    """A new importer is a new word in the schema."""
    assert set(get_args(Recorded)) == set(KINDS)


def test_a_backfill_asks_the_first_source_again_unless_told_otherwise() -> None:
    """None means the same source; a second one comes as a Source of its own."""
    assert Settings().backfill_source is None
    second = Settings(backfill=Backfill(kind="standx", path=Path("/recorded"))).backfill_source
    assert second == Source(kind="standx", path=Path("/recorded"))


def test_every_knob_is_read_by_somebody() -> None:
    """A knob that turns nothing is worse than none."""
    packages = ("archive", "config", "live", "market", "pipelines", "registry", "scripts", "tidegate")
    code = "\n".join(path.read_text(encoding="utf-8") for name in packages for path in (ROOT / name).rglob("*.py"))
    assert [each.key for each in all_knobs() if not re.search(rf"\.{each.key.split('.')[-1]}\b", code)] == []
