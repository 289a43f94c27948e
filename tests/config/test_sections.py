"""Sections become the rules of the packages that use them."""

import dataclasses

from config.settings import Settings
from market.candidates import CandidateRule
from market.labels import BarrierRule


def test_sections_become_the_rules_of_the_market() -> None:
    """The schema and the rule classes name the same fields, and the values arrive."""
    settings = Settings()
    assert [field.name for field in dataclasses.fields(CandidateRule)] == list(type(settings.candidate).model_fields)
    assert [field.name for field in dataclasses.fields(BarrierRule)] == list(type(settings.label).model_fields)
    assert settings.candidate.rule().interval_ms == settings.candidate.interval_ms
    assert settings.label.rule().horizon_seconds == settings.label.horizon_seconds
