"""The story of the demo: what it configures, clears away and tells. That it comes true is a journey."""

import io
import os
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from bus.memory import MemoryBus
from bus.publisher import Publisher
from bus.streams import VERDICTS
from config.settings import load
from tests.live.parts import settings
from tests.pipelines.verdicts import heard
from tests.registry.stores import SENSOR, World
from tidegate import story
from tidegate.live_stack import LiveStack, StackError


def screen() -> tuple[Console, io.StringIO]:
    """A console, and what it shows."""
    shown = io.StringIO()
    return Console(file=shown, width=200, color_system=None), shown


def test_the_first_release_is_smaller_and_the_third_takes_too_much() -> None:
    """Nothing else of the configuration changes."""
    usual = settings()
    first, third = story.first_release(usual), story.bad_release(usual)
    assert first.training.max_rounds == story.FIRST_ROUNDS < usual.training.max_rounds
    assert third.evaluation.precision_target == story.BAD_PRECISION < usual.evaluation.precision_target
    for changed, section in ((first, "training"), (third, "evaluation")):
        assert changed.model_copy(update={section: getattr(usual, section)}) == usual


def test_a_second_demo_trains_other_versions() -> None:
    """A registry that has moved nothing yet gives the configured seed."""
    usual = settings()
    assert story.seed_of(usual, 0) == usual.training.seed
    assert story.seeded(usual, story.seed_of(usual, 17)).training.seed == usual.training.seed + 17


def test_what_is_configured_for_the_story_can_be_configured() -> None:
    """Every knob exists, and the WARN on false rollbacks would not be given."""
    given = load(environ=dict(story.KNOBS))
    assert given.release.auto_canary
    assert given.release.auto_promote
    assert given.rollout.canary_fraction == given.release.ramp[-1] == 0.5
    from evaluation.false_rollback import lookup  # noqa: PLC0415

    rate = lookup(given.release.min_sample, given.release.winrate_delta_pp / 100, 0.5)
    assert rate <= given.release.false_rollback_budget


def test_the_environment_is_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a person's own value counts before the story's."""
    monkeypatch.setenv("RELEASE_RAMP", "0.2")
    monkeypatch.delenv("RELEASE_STEP_HOURS", raising=False)
    with story._environment(story.KNOBS):
        assert os.environ["RELEASE_RAMP"] == "0.2"
        assert os.environ["RELEASE_STEP_HOURS"] == "0"
    assert os.environ["RELEASE_RAMP"] == "0.2"
    assert "RELEASE_STEP_HOURS" not in os.environ


def test_a_fresh_registry_needs_no_clearing(tmp_path: Path) -> None:
    """Nothing is moved and nothing is said."""
    world = World.at(tmp_path)
    world.activate()
    console, shown = screen()
    epoch = world.registrar().head().epoch
    story.clear(console, world.registrar())
    assert (world.registrar().head().epoch, shown.getvalue()) == (epoch, "")


@pytest.mark.parametrize("left", ["shadow", "canary"])
def test_what_an_earlier_demo_left_on_trial_is_cleared(tmp_path: Path, left: str) -> None:
    """A shadow is rejected; a canary loses its share first, and the rollout is given back."""
    world = World.at(tmp_path)
    world.activate()
    getattr(world, left)(2)
    console, _ = screen()
    story.clear(console, world.registrar())
    head = world.registrar().head()
    assert (head.slots.active, head.slots.shadow, head.canary, head.states[2]) == (1, None, None, "rejected")
    assert head.rollout is not None
    assert head.rollout.mode != "disabled"


def test_a_rollout_that_a_rollback_disabled_is_enabled_when_the_cooldown_is_over(tmp_path: Path) -> None:
    """And it says by which command an operator does that."""
    world = World.at(tmp_path)
    world.activate()
    world.canary(2)
    world.registrar().rollback(SENSOR, "winrate_seq", "bad", subject="canary")
    world.now = story.now() - timedelta(hours=1)  # the registrar's clock decides, the story waits by the machine's
    world.passes(hours=2)
    console, shown = screen()
    story.clear(console, world.registrar())
    head = world.registrar().head()
    assert head.rollout is not None
    assert head.rollout.mode == "full"
    assert "python -m tidegate rollout enable" in shown.getvalue()


class Running:
    """A stack whose services run; `check` counts how often it was asked."""

    def __init__(self) -> None:
        self.bus = MemoryBus(lambda: 0)
        self.looks = 0

    def check(self) -> None:
        """They do."""
        self.looks += 1


def teller(world: World) -> tuple[Any, io.StringIO]:
    """A teller over a world's journal, with nobody who says a verdict."""
    console, shown = screen()
    knobs = settings({"registry": {"mirror": str(world.root)}})
    return story._Teller(console, knobs, cast(LiveStack, Running()), story.Story()), shown


def test_every_move_of_the_journal_is_told_once(tmp_path: Path) -> None:
    """Version, where it went, who moved it, and why."""
    world = World.at(tmp_path)
    world.activate()
    told, shown = teller(world)
    told._epoch = world.registrar().head().epoch
    world.canary(2)
    for _ in range(2):
        told._note(world.registrar().head())
    lines = shown.getvalue().splitlines()
    assert [line.split("->")[1].split()[0] for line in lines] == ["candidate", "shadow", "canary"]
    assert "as good" in lines[-1]
    assert [step.version for step in told._story.steps] == [2, 2, 2]


def test_waiting_ends_with_what_is_waited_for(tmp_path: Path) -> None:
    """Here it is there already."""
    world = World.at(tmp_path)
    world.activate()
    told, _ = teller(world)
    told._until(world.registrar(), "version 1 active", lambda head: head.slots.active == 1)
    assert told._stack.looks == 1
    assert told._evidence() == "no verdict yet"


def test_services_that_end_end_the_waiting(tmp_path: Path) -> None:
    """With their own words."""
    world = World.at(tmp_path)
    world.activate()
    told, _ = teller(world)

    def ended() -> None:
        raise StackError("the live services ended with 1")

    told._stack.check = ended
    with pytest.raises(StackError, match="ended with 1"):
        told._until(world.registrar(), "never", lambda _: False)


def test_the_moment_risk_finds_a_canary_bad_is_noted_once(tmp_path: Path) -> None:
    """From there the closing line counts to the sensor's move."""
    world = World.at(tmp_path)
    world.activate()
    told, _ = teller(world)
    assert told._evidence() == "no verdict yet"
    voice = Publisher(told._stack.bus, "risk", lambda: 1)
    for number, decision in enumerate(("hold", "roll_back", "roll_back")):
        assert (told._found_bad is None) == (number < 2)
        voice.publish(VERDICTS, heard("canary", decision)["canary"].verdict, message_id=str(number))
        voice.flush()
        assert "canary v2: 700 canary trades" in told._evidence()
    assert told._found_bad is not None
