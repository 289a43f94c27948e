"""The operator's moves: what will change is shown, asked for, and made; a refusal is one line and exit 1."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from config.settings import Settings
from registry.audit import log
from registry.guards import Case
from registry.journal import read_head
from registry.states import Head, Plan, Refusal, ReleaseRules, Slots
from registry.store import ModelStore
from registry.transitions import decide
from registry.versions import TrainingData
from tests.live.mirrors import Models, registered
from tests.live.parts import settings
from tests.registry.cases import FIT
from tests.registry.stores import START
from tidegate.releasing import Order, diff, entered, release, request_of, run
from tidegate.versions import Meant

RULES = ReleaseRules()
HEAD = Head(
    epoch=5, slots=Slots(active=2, previous=1, shadow=3), canary=None, active_history=(2, 1), active_since=START,
    states={1: "archived", 2: "active", 3: "shadow", 4: "candidate", 5: "rolled_back"},
)  # fmt: skip
SHADOW = Meant(3, "m3")


def order(verb: str, which: str = "3", **changes: object) -> Order:
    """An order of Anna's."""
    return replace(Order(verb, "anna", "better", which), **changes)  # type: ignore[arg-type]


def planned(made: Order, meant: Meant | None, head: Head = HEAD) -> Plan | Refusal:
    """What an order would lead to, were the version fit."""
    seen = entered(head, made, meant)
    return decide(Case(seen, request_of(made, meant, seen), FIT, RULES, START))


def text_of(head: Head, plan: Plan | Refusal) -> str:
    """The shown difference."""
    assert isinstance(plan, Plan)
    table = diff(head, plan, lambda number: f"v{number}" if number else "none", head.epoch + 1, START)
    return "\n".join(" | ".join(str(cell) for cell in column.cells) for column in table.columns)


def test_a_promotion_shows_every_slot_that_changes() -> None:
    """A canary that becomes active displaces two, and is watched by the one before."""
    canary = Head(
        **{name: getattr(HEAD, name) for name in Head.__struct_fields__}
        | {"canary": 3, "canary_since": START - timedelta(days=2), "states": HEAD.states | {3: "canary"}}
    )
    shown = text_of(canary, planned(order("active", force=True), SHADOW, canary))
    assert shown.splitlines()[0] == "active | previous | shadow | canary | rollout | version 2 | version 3"
    assert shown.splitlines()[2].count("v2") == 2


def test_an_earlier_active_version_goes_back_by_a_rollback() -> None:
    """With a cooldown, and its state again."""
    request = request_of(order("active", "1"), Meant(1, "m1"), HEAD)
    assert (request.transition, request.subject, request.target) == ("rollback", "active", 1)
    shown = text_of(HEAD, planned(order("active", "1"), Meant(1, "m1")))
    assert "no promotion until 12:15:00 UTC" in shown
    assert "rolled_back" in shown


def test_what_cannot_be_is_refused_before_anybody_is_asked() -> None:
    """Shadow twice, a withdrawn version, nothing to enable."""
    for made, meant, code in (
        (order("shadow"), SHADOW, "already"),
        (order("shadow", "5"), Meant(5, "m5"), "withdrawn"),
        (order("enable", ""), None, "already"),
        (order("canary", "4"), Meant(4, "m4"), "state"),
    ):
        found = planned(made, meant)
        assert isinstance(found, Refusal), made
        assert found.code == code


def test_a_version_the_journal_does_not_know_is_entered_on_its_way() -> None:
    """To shadow; to canary there is no such way."""
    assert isinstance(planned(order("shadow", "9"), Meant(9, "m9")), Plan)
    assert isinstance(planned(order("canary", "9"), Meant(9, "m9")), Refusal)
    assert isinstance(planned(order("candidate", "9"), Meant(9, "m9")), Plan)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Settings, Models]]:
    """A registry on SQLite with three versions, the first of them active, in a folder of its own."""
    models = Models(tmp_path / "bundles", tmp_path / "mirror")
    uri, artifacts = f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "artifacts")
    store = ModelStore(uri, artifacts)
    for number in (1, 2, 3):
        models.sha256[number] = registered(models.folder / f"v{number}", number)
        run_id = store.log_training_run(
            parameters={}, metrics={}, tags={}, artifacts={}, data=TrainingData("d", "ab" * 32, "lake", 1)
        )
        assert store.register(models.folder / f"v{number}", run_id).number == number
    knobs = {"tracking_uri": uri, "artifacts": artifacts, "mirror": str(models.root)}
    made = settings({"registry": knobs, "paths": {"var": str(tmp_path / "var")}, "release": {"min_hours": 0.0}})
    with patch.dict(os.environ, {"REDIS_URL": ""}):
        yield made, models


def test_the_way_up_and_back(place: tuple[Settings, Models], capsys: pytest.CaptureFixture[str]) -> None:
    """First activation, shadow, canary and active by force, back by the older id: each one epoch, each with its why."""
    made, models = place
    for verb, number, force in (
        ("active", 1, False), ("shadow", 2, False), ("canary", 2, True), ("active", 2, True), ("active", 1, False),
    ):  # fmt: skip
        asked = order(verb, models.id(number) if number == 2 else str(number), force=force)
        assert run(made, asked, is_sure=True) == 0, capsys.readouterr().err
    head = read_head(models.root)
    assert (head.slots.active, head.states[2], head.states[1]) == (1, "rolled_back", "active")
    assert head.rollout is not None
    assert head.rollout.mode == "disabled"
    newest = log(models.root, 1)[0]
    assert (newest.transition, newest.by, newest.reason, newest.text) == (
        "rollback",
        "human:anna",
        "operator",
        "better",
    )
    shown = capsys.readouterr().out
    assert "the streams do not answer: the event follows when they are back" in shown
    assert run(made, order("shadow", "3"), is_sure=True) == 0
    assert run(made, order("canary", "3", force=True), is_sure=True) == 1
    assert capsys.readouterr().err.startswith("refused: nothing is promoted in the cooldown, until ")


def test_evidence_is_wanted_and_an_unknown_id_named(
    place: tuple[Settings, Models], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line each."""
    made, _ = place
    run(made, order("active", "1"), is_sure=True)
    run(made, order("shadow", "2"), is_sure=True)
    capsys.readouterr()
    assert run(made, order("canary", "2"), is_sure=True) == 1
    assert "wanted a verdict of the shadow trial of version 2" in capsys.readouterr().err
    assert run(made, order("shadow", "signal_scorer-none"), is_sure=True) == 1
    told_of = capsys.readouterr().err
    assert "signal_scorer-none" in told_of
    assert told_of.count("\n") == 1


@pytest.mark.parametrize(("tag", "value", "says"), [
    ("parity", "", "version 2 has parity proof 'none', wanted '0 margin mismatches, 0 flips'; export it again"),
    ("schema_hash", "f" * 64, "version 2 is of feature schema ffffffffffffffff, this release computes "),
    ("gate.parity_flips", "failed", "version 2 failed gate.parity_flips; train again"),
])  # fmt: skip
def test_an_unfit_version_changes_nothing_and_nothing_is_shown(
    place: tuple[Settings, Models], capsys: pytest.CaptureFixture[str], tag: str, value: str, says: str
) -> None:
    """Not even its entry: the epoch stays, however it is asked for."""
    made, models = place
    run(made, order("active", "1"), is_sure=True)
    ModelStore(made.registry.tracking_uri, made.registry.artifacts).set_version_tags(2, {tag: value})
    epoch = read_head(models.root).epoch
    capsys.readouterr()
    for force in (False, True):
        assert run(made, order("shadow", "2", force=force), is_sure=True) == 1
        told = capsys.readouterr()
        assert (told.out, told.err.count("\n")) == ("", 1)
        assert told.err.startswith(f"refused: {says}")
    assert read_head(models.root).epoch == epoch


def test_a_version_that_is_entered_on_its_way_is_shown_with_the_epoch_it_gets(
    place: tuple[Settings, Models], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two moves: the entry, then the slot."""
    made, models = place
    run(made, order("active", "1"), is_sure=True)
    capsys.readouterr()
    assert run(made, order("shadow", "2"), is_sure=True) == 0
    told, epoch = capsys.readouterr().out, read_head(models.root).epoch
    assert f"epoch {epoch - 2}" in told
    assert told.count(f"epoch {epoch}") == 2


def test_a_registry_without_a_version_before_refuses_to_go_back(
    place: tuple[Settings, Models], capsys: pytest.CaptureFixture[str]
) -> None:
    """And what trades goes on; no canary is withdrawn where none runs, and no version is meant by an empty word."""
    made, models = place
    run(made, order("active", "1"), is_sure=True)
    before = read_head(models.root)
    capsys.readouterr()
    for asked, says in (
        (order("rollback", ""), "version 1 is active and there is no healthy version before it to go back to"),
        (order("rollback", "", subject="canary"), "there is no canary version to withdraw"),
        (order("shadow", ""), "signal_scorer has no version with id ''"),
    ):
        assert run(made, asked, is_sure=True) == 1
        assert says in capsys.readouterr().err
    assert read_head(models.root) == before


def test_an_empty_canary_becomes_nothing(place: tuple[Settings, Models], capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has judged a trade of it: it is not promoted, and goes on as it is."""
    made, models = place
    run(made, order("active", "1"), is_sure=True)
    run(made, order("shadow", "2"), is_sure=True)
    run(made, order("canary", "2", force=True), is_sure=True)
    capsys.readouterr()
    assert run(made, order("active", "2"), is_sure=True) == 1
    assert "wanted a verdict of the canary trial of version 2 that says promote, found none" in capsys.readouterr().err
    head = read_head(models.root)
    assert (head.slots.active, head.canary) == (1, 2)


def test_with_mlflow_away_a_promotion_is_refused_and_a_rollback_made(
    place: tuple[Settings, Models], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is lost: the journal, and what trades, stand as they did; the rollback's aliases follow later."""
    made, models = place
    for verb, number, force in (("active", 1, False), ("shadow", 2, False), ("canary", 2, True), ("active", 2, True)):
        run(made, order(verb, str(number), force=force), is_sure=True)
    before = read_head(models.root)
    away = made.model_copy(update={"registry": made.registry.model_copy(update={"tracking_uri": "http://127.0.0.1:1"})})
    capsys.readouterr()
    assert run(away, order("shadow", "3"), is_sure=True) == 1
    told = capsys.readouterr().err
    assert "the server does not answer" in told
    assert told.count("\n") == 1
    assert len(told) < 600
    assert read_head(models.root) == before
    assert run(away, order("rollback", ""), is_sure=True) == 0
    assert "MLflow does not answer: live trades by the new state already" in capsys.readouterr().out
    assert read_head(models.root).slots.active == 1


def test_release_brings_a_version_into_shadow_and_says_what_holds_it_there(
    place: tuple[Settings, Models], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without evidence it stays; with the rollout disabled nothing is asked; the active version needs no shadow."""
    made, models = place
    run(made, order("active", "1"), is_sure=True)
    assert release(made, "2", "anna", "new", disable_rollout=False) == 0
    assert read_head(models.root).slots.shadow == 2
    assert "it stays in shadow" in capsys.readouterr().out
    assert release(made, "1", "anna", "keep it off", disable_rollout=True) == 0
    head = read_head(models.root)
    assert head.rollout is not None
    assert (head.rollout.mode, head.slots.active) == ("disabled", 1)
    epoch = head.epoch
    assert release(made, "1", "anna", "again", disable_rollout=True) == 0
    assert read_head(models.root).epoch == epoch


@pytest.mark.parametrize(
    ("mode", "answer", "code"),
    [("paper", "y", 0), ("paper", "", 1), ("paper", "no", 1), ("real", "y", 1), ("real", "ID", 0)],
)
def test_a_person_is_asked(
    place: tuple[Settings, Models], capsys: pytest.CaptureFixture[str], mode: str, answer: str, code: int
) -> None:
    """On paper by y; where orders are real by the model's id, typed."""
    made, models = place
    made = made.model_copy(update={"exchange": made.exchange.model_copy(update={"mode": mode})})
    word = models.id(1) if answer == "ID" else answer
    assert run(made, order("active", "1"), is_sure=False, ask=lambda _: word) == code
    assert (read_head(models.root).epoch > 0) is (code == 0)
    assert ("not confirmed" in capsys.readouterr().err) is (code == 1)


def test_somebody_who_was_faster_is_not_overruled(place: tuple[Settings, Models]) -> None:
    """The move is made from the epoch that was shown."""
    made, models = place
    run(made, order("active", "1"), is_sure=True)

    def late(_: str) -> str:
        run(made, order("shadow", "3"), is_sure=True)
        return "y"

    assert run(made, order("shadow", "2"), is_sure=False, ask=late) == 1
    assert read_head(models.root).slots.shadow == 3
