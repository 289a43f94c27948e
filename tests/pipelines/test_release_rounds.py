import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bus.client import RedisBus
from bus.server import serve
from config.settings import Settings
from pipelines.registrar import announcer, latest_verdicts
from pipelines.release_rounds import Looked, promotion_round, registry_round, rollback_round
from registry.journal import HeadReader
from registry.promotion import Registrar
from registry.rollout import read
from tests.pipelines.days import bench
from tests.pipelines.verdicts import NOW, SHADOW, heard, live_is_there, say
from tests.registry.stores import PIPELINE, World


@dataclass
class Scene:
    """A registry with version 1 active, a server of streams, and the settings that lead to both."""

    world: World
    bus: RedisBus
    settings: Settings
    steps: list[str] = field(default_factory=list)

    def registrar(self) -> Registrar:
        """As a sensor opens it."""
        return self.world.registrar()

    def look(self, at: Any = rollback_round) -> Looked:
        """One look of a sensor."""
        looked: Looked = at(self.registrar(), self.settings, lambda: self.world.now)
        return looked

    def canary(self) -> str:
        """Make version 2 the canary; returns its salt."""
        self.world.canary(SHADOW)
        state = read(self.world.root)
        assert state is not None
        return state.salt

    def moves(self) -> list[tuple[str, int | None, str]]:
        """Transition, version and actor of every committed move."""
        moves = HeadReader(self.world.root).folded().moves.values()
        return [(each.transition, each.version, each.by) for each in moves]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Version 1 has been active for a day."""
    settings = bench(tmp_path, release={"auto_canary": True, "auto_promote": True}).settings
    with serve(Path(settings.paths.var) / "redis") as server, RedisBus(server.url) as bus:
        world = World.at(tmp_path / "registry")
        world.now = NOW - timedelta(days=1)
        world.activate()
        world.now = NOW
        yield Scene(world, bus, settings)


def test_a_canary_is_withdrawn_once_however_often_risk_says_so(scene: Scene) -> None:
    """The alias, the rollout, the journal and the evidence; the second look finds nothing left to do."""
    said = heard("canary", "roll_back", salt=scene.canary())
    say(scene.bus, said, said)
    looked = scene.look()
    assert "rollback (verdict-canary-2-" in looked.text
    assert scene.moves()[-1] == ("rollback", SHADOW, "sensor:rollback_sensor")
    assert scene.world.store.named.get("shadow") is None
    rollout = read(scene.world.root)
    assert rollout is not None
    assert (rollout.mode, rollout.canary_fraction) == ("disabled", 0.0)
    (kept,) = [json.loads(path.read_text()) for path in (scene.world.root / "evidence").iterdir()
               if "roll_back" in path.read_text()]  # fmt: skip
    assert kept["breaches"][0]["reason"] == "winrate_delta"
    assert kept["stream"] == "eval:verdicts"
    before = len(scene.moves())
    assert scene.look().text.startswith("nothing to withdraw: canary version 2 roll back")
    assert len(scene.moves()) == before


def test_a_verdict_that_comes_again_behind_a_crash_moves_nothing_twice(scene: Scene) -> None:
    """The sensor died behind the move and before its tick was kept: the transaction is known."""
    say(scene.bus, heard("canary", "roll_back", salt=scene.canary()))

    def crash(step: str) -> None:
        scene.steps.append(step)
        if step == "commit":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rollback_round(scene.world.registrar(crash), scene.settings, lambda: scene.world.now)
    assert "commit" in scene.steps
    scene.look(registry_round)
    scene.look()
    assert [each[0] for each in scene.moves()].count("rollback") == 1


def test_the_active_version_goes_back_to_the_one_before(scene: Scene) -> None:
    """While MLflow is away, too: it is told later."""
    scene.world.now = NOW - timedelta(days=5)
    scene.world.promote(SHADOW)
    scene.world.now = NOW
    scene.world.store.is_down = True
    say(scene.bus, heard("active", "roll_back", version=SHADOW))
    assert "mlflow to follow" in scene.look().text
    assert scene.world.holds() == 1
    scene.world.store.is_down = False
    assert "caught up: mlflow" in scene.look(registry_round).text
    assert scene.world.store.named["active"] == 1


def test_an_active_version_without_one_before_it_calls_a_person(scene: Scene) -> None:
    """There is nothing to go back to: the rollout is taken away, and the alert says so."""
    say(scene.bus, heard("active", "roll_back", version=1))
    looked = scene.look()
    assert not looked.is_well
    assert looked.alert is not None
    assert "no_previous" in looked.alert.key
    assert scene.moves()[-1][0] == "disable"
    assert scene.look().alert == looked.alert
    assert [each[0] for each in scene.moves()].count("disable") == 1


def test_a_worse_shadow_is_rejected(scene: Scene) -> None:
    """It leaves the slot."""
    scene.world.shadow(SHADOW)
    say(scene.bus, heard("shadow", "roll_back"))
    scene.look()
    assert scene.moves()[-1] == ("reject", SHADOW, "sensor:rollback_sensor")


def test_what_cannot_be_withdrawn_keeps_nothing_else_where_it_is(scene: Scene) -> None:
    """The refusal is said, and the shadow goes all the same."""
    scene.world.shadow(SHADOW)
    say(scene.bus, heard("active", "roll_back", version=1), heard("shadow", "roll_back"))
    looked = scene.look()
    assert looked.alert is not None and "no_previous" in looked.alert.key
    assert ("reject", SHADOW, "sensor:rollback_sensor") in scene.moves()
    assert "no_previous" in scene.look().text


def test_a_candidate_goes_all_the_way_by_itself(scene: Scene) -> None:
    """Shadow, canary, its ramp, active: one move a look, each with the evidence it rests on."""
    scene.registrar().enter(SHADOW, PIPELINE, "trained")
    live_is_there(scene.bus)
    say(scene.bus, heard("active", "hold"), heard("shadow", "promote"))
    for _ in range(3):
        scene.look(promotion_round)
    state = read(scene.world.root)
    assert state is not None
    for _ in range(4):
        scene.world.passes(hours=12)
        later = scene.world.now - NOW
        live_is_there(scene.bus, age_seconds=1 - later.total_seconds())
        about = {"salt": state.salt, "age_seconds": 1 - later.total_seconds()}
        say(scene.bus, heard("canary", "promote", **about), heard("active", "hold", **{**about, "salt": ""}))
        scene.look(promotion_round)
    assert [each[0] for each in scene.moves()] == [
        "candidate", "active", "candidate", "shadow", "canary", "ramp", "ramp", "active",
    ]  # fmt: skip
    assert scene.world.holds() == SHADOW


def test_nothing_is_promoted_on_the_word_of_a_live_side_that_is_gone(scene: Scene) -> None:
    """Its last verdict is good and its heartbeats are old: one alert a silence, and no move."""
    scene.world.shadow(SHADOW)
    live_is_there(scene.bus, age_seconds=60)
    say(scene.bus, heard("shadow", "promote"), heard("active", "hold"))
    looked = scene.look(promotion_round)
    assert not looked.is_well
    assert "risk: its heartbeat is 60 s old" in looked.text
    assert looked.alert is not None
    assert looked.alert == scene.look(promotion_round).alert
    assert scene.moves()[-1][0] == "shadow"


@pytest.mark.parametrize("at", [rollback_round, promotion_round])
def test_streams_that_are_away_are_said_and_nothing_is_moved(tmp_path: Path, at: Any) -> None:
    """No server runs in the folder."""
    world = World.at(tmp_path / "registry")
    world.activate()
    settings = bench(tmp_path).settings
    looked = at(world.registrar(), settings, lambda: world.now)
    assert not looked.is_well
    assert "the streams tell nothing" in looked.text
    assert world.registrar().head().epoch == 2


def test_an_alias_that_a_person_moved_in_mlflow_is_put_back_and_said(scene: Scene) -> None:
    """The registry's look."""
    scene.registrar().enter(SHADOW, PIPELINE, "trained")
    scene.world.store.named["active"] = SHADOW
    looked = scene.look(registry_round)
    assert "moved past tidegate" in looked.text
    assert looked.alert is not None
    assert scene.world.store.named["active"] == 1
    assert scene.moves()[-1][0] == "revert"
    scene.look(registry_round)


def test_a_scorer_that_lags_is_seen(scene: Scene) -> None:
    """It says which version it scores with, and by which rollout."""
    scene.world.now = NOW - timedelta(days=5)
    scene.world.promote(SHADOW)
    scene.world.now = NOW
    live_is_there(scene.bus)
    assert "ai_scorer" in scene.look(registry_round).text


def test_a_move_is_told_on_the_bus(scene: Scene) -> None:
    """In the registrar's name, under the transaction's id."""
    scene.world.told.clear()
    scene.canary()
    tell = announcer(scene.settings)
    for told in scene.world.told:
        tell(told)
    entries = scene.bus.recent("control:events", 10)
    assert len(entries) == len(scene.world.told) > 0


def test_the_newest_verdict_of_each_trial_counts(scene: Scene) -> None:
    """What cannot be read is passed over."""
    say(scene.bus, heard("canary", "hold"), heard("canary", "promote"), heard("active", "hold"))
    scene.bus.add([("eval:verdicts", b"nonsense", "")])
    found = latest_verdicts(scene.bus)
    assert {trial: verdict.decision for trial, verdict in found.items()} == {"canary": "promote", "active": "hold"}
