"""Slots: what is loaded is proven, what is not stays out, and the one before stays in."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from live.errors import ModelRefused
from live.model_slots import Engine, LoadedModel, ModelSlots, Refusal, Swapped, load
from live.worker import Task, Worker, at_once
from market.barriers import BarrierRule
from market.candidates import CandidateRule
from market.feature_spec import FEATURE_NAMES, N_FEATURES, schema_hash
from registry.bundle import CARD_FILE, GOLDEN_FILE, MODEL_FILE
from registry.card import Label
from registry.manifest import MANIFEST_FILE
from tests.live.mirrors import CAUSE, Models
from tests.live.parts import settings
from tests.registry.graphs import Forest, card, rows

ENGINE = Engine(schema_hash(), settings().candidate.rule(), settings().label.rule())
ASKED = rows(64, N_FEATURES, seed=5)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    """An empty store and an empty mirror."""
    return Models(tmp_path / "store", tmp_path / "mirror")


def slots_of(models: Models, run: Callable[[Task], None] = at_once) -> ModelSlots:
    """Slots whose models are loaded at once, unless told otherwise."""
    return ModelSlots(models.root, ENGINE, run, lambda: None)


def looked(slots: ModelSlots) -> list[str]:
    """What a look and a take change, in words."""
    slots.look()
    return [
        f"{each.slot} v{each.now.version if each.now else '-'}"
        if isinstance(each, Swapped)
        else f"{each.slot} {each.reason}"
        for each in slots.take()
    ]


def refused(models: Models, engine: Engine = ENGINE) -> ModelRefused:
    """How the active slot is refused."""
    with pytest.raises(ModelRefused) as caught:
        load(models.root, "active", engine)
    return caught.value


def answers(model: LoadedModel) -> bytes:
    """What a model says to 64 rows."""
    return model.scorer.score_many(ASKED).margin.tobytes()


def test_what_the_mirror_holds_is_loaded(models: Models) -> None:
    """Version, id, threshold and label come from the card; an empty mirror has none."""
    slots = slots_of(models)
    assert looked(slots) == []
    models.put("active", 3, tau=0.7)
    assert looked(slots) == ["active v3"]
    model = slots.model("active")
    assert model is not None
    assert (model.version, model.id, model.tau, model.label) == (3, models.id(3), 0.7, ENGINE.label)
    assert looked(slots) == []


def test_each_turn_of_a_link_is_a_swap(models: Models) -> None:
    """There and back; a fill with what is there already is loaded again and changes nothing else."""
    slots = slots_of(models)
    for version in (1, 2, 1, 1):
        models.put("active", version)
        assert looked(slots) == [f"active v{version}"]
    models.put("shadow", 2)
    assert looked(slots) == ["shadow v2"]


def test_an_emptied_slot_is_empty(models: Models) -> None:
    """Somebody took the version out."""
    slots = slots_of(models)
    models.put("active", 1)
    models.put("shadow", 2)
    looked(slots)
    models.mirror.empty("shadow", CAUSE)
    assert looked(slots) == ["shadow v-"]
    assert slots.model("shadow") is None
    assert slots.model("active") is not None


def test_the_one_before_scores_until_the_new_one_has_answered(models: Models) -> None:
    """Loading waits for the worker, putting in for `take`; a link turned twice loads the last one only."""
    tasks: list[Task] = []
    slots = slots_of(models, tasks.append)
    models.put("active", 1)
    slots.look(at_once)
    slots.take()
    before = slots.model("active")
    models.put("active", 2)
    slots.look()
    models.put("active", 3)
    slots.look()
    assert slots.take() == []
    for task in tasks:
        task()
        assert slots.model("active") is before
    assert [each.now.version for each in slots.take() if isinstance(each, Swapped) and each.now] == [3]


def test_a_slot_emptied_while_it_loads_stays_empty(models: Models) -> None:
    """What comes late is for nobody."""
    tasks: list[Task] = []
    slots = slots_of(models, tasks.append)
    models.put("shadow", 1)
    slots.look()
    models.mirror.empty("shadow", CAUSE)
    slots.look()
    tasks[0]()
    assert slots.take() == []
    assert slots.model("shadow") is None


def test_a_worker_loads_and_wakes(models: Models) -> None:
    """Nothing is waited for in `look`; the wake comes when there is something to take."""
    worker, woken = Worker("test"), list[int]()
    slots = ModelSlots(models.root, ENGINE, worker.submit, lambda: woken.append(1))
    models.put("active", 1)
    slots.look()
    assert worker.stop(30.0)
    assert woken == [1]
    assert [type(each) for each in slots.take()] == [Swapped]


@pytest.mark.parametrize("name", [MODEL_FILE, CARD_FILE, GOLDEN_FILE])
def test_no_flipped_byte_changes_an_answer(models: Models, name: str) -> None:
    """One of 100 random bytes of a file, with a random bit: refused, or the very same answers under the same name."""
    folder = models.put("active", 1)
    sound = load(models.root, "active", ENGINE)
    path, draw = folder / name, random.Random(name)
    content = path.read_bytes()
    refusals = 0
    for _ in range(100):
        damaged = bytearray(content)
        damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            found = load(models.root, "active", ENGINE)
        except ModelRefused as error:
            assert error.reason == "corrupt"
            refusals += 1
        else:
            assert answers(found) == answers(sound)
            assert (found.id, found.version, found.tau) == (sound.id, sound.version, sound.tau)
    assert refusals >= (100 if name != CARD_FILE else 50)


@pytest.mark.parametrize("name", [MODEL_FILE, CARD_FILE, GOLDEN_FILE])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_or_missing_file_is_refused(models: Models, name: str, share: float) -> None:
    """At any length, and the model before goes on with the answers it had."""
    slots = slots_of(models)
    models.put("active", 1)
    looked(slots)
    before = slots.model("active")
    path = models.put("active", 2) / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert looked(slots) == ["active corrupt"]
    path.unlink()
    assert refused(models).reason == "corrupt"
    assert slots.model("active") is before


def test_a_refused_bundle_is_tried_again_when_it_is_filled_again(models: Models) -> None:
    """The mirror mends its copy; until then nobody asks again."""
    slots = slots_of(models)
    path = models.put("active", 1) / MODEL_FILE
    path.write_bytes(b"no graph")
    assert looked(slots) == ["active corrupt"]
    assert looked(slots) == []
    models.put("active", 1)
    assert looked(slots) == ["active v1"]


def test_a_leaf_that_answers_otherwise_fails_parity(models: Models) -> None:
    """A bundle whose hashes are right and whose graph is not the one that the golden rows were made by."""
    models.put_otherwise("active", 1)
    error = refused(models)
    assert error.reason == "parity"
    assert "golden rows get another" in str(error)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_hash": "5c" * 32}, "schema"),
        ({"feature_names": tuple(reversed(FEATURE_NAMES))}, "schema"),
        ({"candidate_rule": {"interval_ms": 500, "pressure_feature": "queue_imbalance_5"}}, "interval_ms=500"),
        ({"candidate_rule": {"every": "tick"}}, "cannot be"),
        ({"candidate_rule": {"interval_ms": 0}}, "cannot be"),
        ({"label": Label(tp_pct=0.001, sl_pct=0.00048, horizon_s=60.0, net_of_fees=False)}, "tp_pct=0.001"),
        ({"label": Label(tp_pct=0.00048, sl_pct=0.00048, horizon_s=60.0, net_of_fees=True)}, "net_of_fees=True"),
        ({"label": Label(tp_pct=0.0, sl_pct=0.00048, horizon_s=60.0, net_of_fees=False)}, "cannot be"),
    ],
)
def test_a_model_made_for_something_else_is_refused(models: Models, changes: dict[str, Any], said: str) -> None:
    """Another schema, rule or label: the reason is schema, and what differs is named."""
    if "feature_names" in changes:
        changes = {**changes, "baseline": card(feature_names=changes["feature_names"]).baseline}
    models.put("active", 1, **changes)
    error = refused(models)
    assert error.reason == "schema"
    assert said in str(error)


def test_an_engine_of_another_rule_takes_models_made_for_it(models: Models) -> None:
    """The configuration decides, not the default."""
    engine = Engine(schema_hash(), CandidateRule(interval_ms=500), BarrierRule(0.001, 0.002, 30.0))
    facts = Label(tp_pct=0.001, sl_pct=0.002, horizon_s=30.0, net_of_fees=False)
    models.put("active", 1, candidate_rule={"interval_ms": 500}, label=facts)
    assert load(models.root, "active", engine).label == engine.label


def test_a_link_to_nowhere_and_a_folder_without_a_name_are_refused(models: Models) -> None:
    """The mirror names its folders for what is in them."""
    folder = models.put("active", 1)
    shutil.copytree(folder, folder.parent / "newest")
    (models.root / "active").unlink()
    (models.root / "active").symlink_to("bundles/newest")
    assert refused(models).reason == "corrupt"
    shutil.rmtree(folder.parent / "newest")
    assert refused(models).reason == "unreadable"
    (models.root / "active").unlink()
    (models.root / "active").mkdir()
    assert refused(models).reason == "unreadable"


def test_a_bundle_under_the_name_of_another_is_refused(models: Models) -> None:
    """A sound bundle, but not the version that the folder and the manifest speak of."""
    first = models.put("active", 1)
    second = models.put("shadow", 2)
    for path in first.iterdir():
        path.write_bytes((second / path.name).read_bytes())
    assert refused(models).reason == "corrupt"


def test_right_after_a_fill_the_manifest_may_not_know_it_yet(models: Models) -> None:
    """The link is turned first: the folder's name vouches until the manifest is written."""
    models.put("active", 1)
    (models.root / MANIFEST_FILE).unlink()
    assert load(models.root, "active", ENGINE).version == 1


def test_a_manifest_that_cannot_be_read_is_asked_again_when_it_changes(models: Models) -> None:
    """Half a file: nothing new is loaded, what runs goes on, and a whole one is taken without a turn of the link."""
    slots = slots_of(models)
    models.put("active", 1)
    looked(slots)
    models.put("active", 2)
    whole = (models.root / MANIFEST_FILE).read_bytes()
    (models.root / MANIFEST_FILE).write_bytes(whole[:100])
    assert looked(slots) == ["active unreadable"]
    assert looked(slots) == []
    model = slots.model("active")
    assert model is not None
    assert model.version == 1
    (models.root / "manifest.whole").write_bytes(whole)
    (models.root / "manifest.whole").replace(models.root / MANIFEST_FILE)
    assert looked(slots) == ["active v2"]


def test_files_being_written_beside_are_not_looked_at(models: Models) -> None:
    """What a crash left half-written has a name of its own."""
    models.put("active", 1)
    (models.root / "bundles" / ".v2-000000000000.writing").mkdir()
    (models.root / ".active.1.writing").symlink_to("bundles/.v2-000000000000.writing")
    (models.root / ".manifest.json.writing").write_bytes(b"{")
    assert looked(slots_of(models)) == ["active v1"]


def test_a_loader_that_breaks_is_a_refusal(models: Models) -> None:
    """Whatever comes out of a bundle, the slots go on."""
    slots = ModelSlots(models.root, object(), at_once, lambda: None)  # type: ignore[arg-type]  # no engine at all
    models.put("active", 1)
    slots.look()
    found = slots.take()[0]
    assert isinstance(found, Refusal)
    assert (found.reason, "AttributeError" in found.text) == ("unreadable", True)


def test_a_thrown_out_model_comes_back_with_the_next_turn(models: Models) -> None:
    """And not before."""
    slots = slots_of(models)
    models.put("shadow", 1)
    looked(slots)
    assert slots.throw_out("shadow") is not None
    assert looked(slots) == []
    assert slots.model("shadow") is None
    models.put("shadow", 1)
    assert looked(slots) == ["shadow v1"]


def test_models_answer_as_their_trees_do(models: Models) -> None:
    """A swap brings other answers: those of the version that the slot names."""
    models.put("active", 1)
    models.put("shadow", 2)
    for version, slot in ((1, "active"), (2, "shadow")):
        model = load(models.root, slot, ENGINE)  # type: ignore[arg-type]
        wanted = Forest.grown(trees=5, width=N_FEATURES, seed=version).margins(ASKED)
        assert np.allclose(model.scorer.score_many(ASKED).margin, wanted, atol=1e-12)
