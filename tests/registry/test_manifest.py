"""The mirror: slots turned whole, histories that only grow, and what is refused."""

from pathlib import Path

import msgspec
import pytest

from registry.bundle import MODEL_FILE, Scorer, stamp_bundle, verify_bundle
from registry.errors import CorruptBundle, ManifestError, WrongBundle
from registry.manifest import Cause, Event, Manifest, Mirror
from registry.slots import SLOTS
from tests.registry.graphs import Forest, card, forest_graph, written

_PROMOTED = Cause(at="2026-01-08T01:00:00Z", by="tests", reason="passed its gates")
_ROLLED_BACK = Cause(at="2026-01-08T02:00:00Z", by="tests", reason="winrate")


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two registered bundles, versions 1 and 2."""
    root = tmp_path_factory.mktemp("store")
    for version in (1, 2):
        written(root / f"v{version}", forest_graph(Forest.grown(seed=version)))
        stamp_bundle(root / f"v{version}", version, run_id=f"run{version}")
    return [root / "v1", root / "v2"]


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    """An empty mirror."""
    return Mirror(tmp_path / "registry")


def test_an_empty_mirror_has_no_versions_and_no_slots(mirror: Mirror) -> None:
    """Before the first promotion the manifest is empty and every slot is None; nothing is made by asking."""
    assert mirror.manifest() == Manifest()
    assert [mirror.slot(slot) for slot in SLOTS] == [None, None, None]


def test_a_filled_slot_holds_the_bundle(mirror: Mirror, versions: list[Path], tmp_path: Path) -> None:
    """The slot's folder scores as the source does, under the path that the runbook names."""
    sha256 = verify_bundle(versions[0]).sha256
    assert mirror.fill("active", versions[0], _PROMOTED, sha256).version == 1
    assert Scorer(tmp_path / "registry" / "active", sha256).card.version == 1
    folder = mirror.slot("active")
    assert folder is not None
    assert (folder / MODEL_FILE).read_bytes() == (versions[0] / MODEL_FILE).read_bytes()


def test_a_slot_turns_from_one_version_to_the_next(mirror: Mirror, versions: list[Path]) -> None:
    """The new version enters, the old one leaves, both with cause; the older history stays as it was."""
    _fill(mirror, "active", versions[0])
    before = mirror.manifest()
    _fill(mirror, "active", versions[1])
    manifest = mirror.manifest()
    assert [entry.version for entry in manifest.entries] == [2, 1]
    old, new = manifest.find(1), manifest.find(2)
    assert old is not None
    assert new is not None
    assert [(event.what, event.slot) for event in old.history] == [("entered", "active"), ("left", "active")]
    assert old.history[:1] == before.entries[0].history
    assert new.history == (
        Event(what="entered", slot="active", at=_PROMOTED.at, by=_PROMOTED.by, reason=_PROMOTED.reason),
    )
    folder = mirror.slot("active")
    assert folder is not None
    assert verify_bundle(folder).version == 2


def test_a_version_may_stand_in_two_slots(mirror: Mirror, versions: list[Path]) -> None:
    """Shadow and active may be one version; leaving one slot does not touch the other."""
    _fill(mirror, "shadow", versions[0])
    _fill(mirror, "active", versions[0])
    mirror.empty("shadow", _ROLLED_BACK)
    assert mirror.slot("shadow") is None
    assert mirror.slot("active") is not None
    entry = mirror.manifest().find(1)
    assert entry is not None
    assert [(event.what, event.slot) for event in entry.history] == [
        ("entered", "shadow"),
        ("entered", "active"),
        ("left", "shadow"),
    ]


def test_filling_again_changes_nothing(mirror: Mirror, versions: list[Path]) -> None:
    """A repeated fill, or a repeated emptying, adds no line: a crashed promotion may simply be run again."""
    _fill(mirror, "active", versions[0])
    manifest = mirror.manifest()
    _fill(mirror, "active", versions[0])
    assert mirror.manifest() == manifest
    mirror.empty("active", _ROLLED_BACK)
    emptied = mirror.manifest()
    mirror.empty("active", _ROLLED_BACK)
    assert mirror.manifest() == emptied


def test_a_line_lost_to_a_crash_is_written_by_the_next_call(
    mirror: Mirror, versions: list[Path], tmp_path: Path
) -> None:
    """When the slot was turned and the manifest not yet written, the same call completes it."""
    _fill(mirror, "active", versions[0])
    complete = mirror.manifest()
    (tmp_path / "registry" / "manifest.json").unlink()
    _fill(mirror, "active", versions[0])
    assert mirror.manifest() == complete


def test_a_damaged_copy_is_mended(mirror: Mirror, versions: list[Path]) -> None:
    """Filling a slot whose copy was torn on disk fetches the copy anew."""
    _fill(mirror, "active", versions[0])
    folder = mirror.slot("active")
    assert folder is not None
    (folder / MODEL_FILE).write_bytes(b"torn")
    _fill(mirror, "active", versions[0])
    verify_bundle(folder)


@pytest.mark.parametrize("wrong", ["sha256", "schema"])
def test_a_bundle_that_does_not_verify_leaves_the_slot_alone(mirror: Mirror, versions: list[Path], wrong: str) -> None:
    """A version with another sha256 or feature schema never gets in, and the slot keeps what it held."""
    _fill(mirror, "active", versions[0])
    before = (mirror.slot("active"), mirror.manifest())
    sha256 = "0" * 64 if wrong == "sha256" else verify_bundle(versions[1]).sha256
    with pytest.raises(WrongBundle):
        mirror.fill("active", versions[1], _PROMOTED, sha256, schema_hash="ab" * 32)
    assert (mirror.slot("active"), mirror.manifest()) == before


def test_a_torn_bundle_leaves_the_slot_alone(mirror: Mirror, versions: list[Path], tmp_path: Path) -> None:
    """A source without all of its files is refused before anything is touched."""
    with pytest.raises(CorruptBundle):
        mirror.fill("active", tmp_path / "nowhere", _PROMOTED, "0" * 64)
    assert mirror.slot("active") is None


def test_an_unregistered_bundle_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    """A bundle without a version is not for the mirror."""
    sha256 = written(tmp_path / "fresh")
    with pytest.raises(ManifestError, match="has no version; register it first"):
        mirror.fill("active", tmp_path / "fresh", _PROMOTED, sha256)
    assert mirror.slot("active") is None


def test_a_version_never_changes(mirror: Mirror, versions: list[Path], tmp_path: Path) -> None:
    """Another bundle under a known version number is refused, and both sha256 are named."""
    _fill(mirror, "active", versions[0])
    sha256 = written(tmp_path / "impostor", forest_graph(Forest.grown(seed=77)))
    stamp_bundle(tmp_path / "impostor", version=1, run_id="other")
    with pytest.raises(ManifestError, match=f"version 1 has sha256 {sha256}, the manifest knows it by"):
        mirror.fill("shadow", tmp_path / "impostor", _PROMOTED, sha256)
    assert mirror.slot("shadow") is None


def test_events_of_others_are_recorded(mirror: Mirror) -> None:
    """A version seen without a slot is entered, newest first, with the words of whoever saw it."""
    for version in (3, 5, 4):
        seen = Event(what="seen", at="2026-01-08T00:00:00Z", by="model_sync", reason="registered")
        mirror.record(card(version=version, sha256="ab" * 32, id=f"m{version}"), seen)
    assert [entry.version for entry in mirror.manifest().entries] == [5, 4, 3]
    assert mirror.manifest().entries[0].history[0].what == "seen"


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 2}', b'{"entries": [{"version": "one"}]}'])
def test_a_damaged_manifest_is_refused_and_kept(mirror: Mirror, tmp_path: Path, content: bytes) -> None:
    """A manifest that is torn or of another format is reported with its path, and is not overwritten."""
    path = tmp_path / "registry" / "manifest.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"manifest\.json: .*; move it aside"):
        mirror.manifest()
    with pytest.raises(ManifestError):
        mirror.record(card(version=1), Event(what="seen", at="", by="", reason=""))
    assert path.read_bytes() == content


def test_a_link_to_nowhere_is_reported(mirror: Mirror, versions: list[Path], tmp_path: Path) -> None:
    """A slot whose folder was removed by hand says so instead of looking empty."""
    _fill(mirror, "active", versions[0])
    folder = mirror.slot("active")
    assert folder is not None
    folder.rename(tmp_path / "gone")
    with pytest.raises(ManifestError, match=r"active: points at .* fill the slot again"):
        mirror.slot("active")


def test_an_unknown_slot_is_refused(mirror: Mirror) -> None:
    """Only the three slots of the architecture exist."""
    with pytest.raises(ManifestError, match="slot 'canary' is none of active, shadow, previous"):
        mirror.slot("canary")  # type: ignore[arg-type]  # the point of the test


def test_the_manifest_is_plain_json(mirror: Mirror, versions: list[Path], tmp_path: Path) -> None:
    """An operator can read which version stands where, and why."""
    _fill(mirror, "active", versions[0])
    shown = msgspec.json.decode((tmp_path / "registry" / "manifest.json").read_bytes())
    assert shown["format"] == 1
    assert shown["entries"][0]["history"][0]["reason"] == "passed its gates"


def _fill(mirror: Mirror, slot: str, folder: Path) -> None:
    mirror.fill(slot, folder, _PROMOTED, verify_bundle(folder).sha256)  # type: ignore[arg-type]


def test_a_decision_names_its_move_and_the_links_follow(mirror: Mirror, versions: list[Path]) -> None:
    """One write says which versions the slots hold and by which move; a slot that is not named stays as it is."""
    first, second = (mirror.keep(folder, verify_bundle(folder).sha256) for folder in versions)
    assert [mirror.slot(slot) for slot in SLOTS] == [None, None, None]
    mirror.decide(4, "ab", {"active": second, "previous": first}, _PROMOTED)
    for slot, kept in (("active", second), ("previous", first)):
        mirror.point(slot, kept)  # type: ignore[arg-type]  # two of the three slots
    assert (mirror.manifest().epoch, mirror.manifest().head) == (4, "ab")
    assert [mirror.slot(slot) for slot in SLOTS] == [second.folder.resolve(), None, first.folder.resolve()]
    history = mirror.manifest()
    mirror.decide(4, "ab", {"active": second, "previous": first}, _PROMOTED)
    assert mirror.manifest() == history, "done again it says the same"
    mirror.decide(5, "cd", {"previous": None}, _ROLLED_BACK)
    mirror.point("previous", None)
    assert mirror.slot("previous") is None
    _fill(mirror, "shadow", versions[0])
    assert (mirror.manifest().epoch, mirror.manifest().head) == (5, "cd"), "a fill is no move"


def test_only_a_sound_copy_is_kept(mirror: Mirror, versions: list[Path]) -> None:
    """A damaged one is none, and is replaced when the bundle is brought again."""
    sha256 = verify_bundle(versions[0]).sha256
    assert mirror.kept(1, sha256) is None
    kept = mirror.keep(versions[0], sha256)
    assert mirror.kept(1, sha256) == kept
    (kept.folder / MODEL_FILE).write_bytes(b"torn")
    assert mirror.kept(1, sha256) is None
    assert mirror.keep(versions[0], sha256) == kept
    assert mirror.kept(1, sha256) == kept
