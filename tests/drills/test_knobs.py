from pathlib import Path

from config.settings import load
from tidegate.drills.catalog import DRILLS
from tidegate.drills.knobs import LIVE, MARKET, TRAINING, observed_but, paths
from tidegate.drills.rehearsal import environ_of


def test_every_override_is_a_knob_and_lies_within_its_bounds(tmp_path: Path) -> None:
    """A knob that is renamed is found here, not by a drill that goes astray."""
    for name, drill in DRILLS.items():
        settings = load(environ=environ_of(drill, tmp_path / name, tmp_path / "trained"))
        assert Path(settings.paths.var).is_relative_to(tmp_path / name)
        assert Path(settings.registry.mirror).is_relative_to(tmp_path / name)
        assert settings.exchange.mode == "paper"
    load(environ={**MARKET, **TRAINING, **paths(tmp_path, tmp_path / "lake")})


def test_only_the_gates_of_a_drill_act(tmp_path: Path) -> None:
    """Parity acts in all of them."""
    acting = load(environ={**LIVE, **observed_but("winrate_seq"), "FEED_KIND": "simulator"}).release.observe
    assert "winrate_seq" not in acting
    assert "winrate_delta" in acting
    assert "onnx_parity_fail" not in acting
