"""What must hold of a registry, whatever happened to it: at every line of its journal, and between its four voices."""

from pathlib import Path

from registry import rollout
from registry.audit import verify
from registry.journal import JOURNAL_FILE, Folded, read_head
from registry.manifest import Mirror
from registry.states import Head
from tests.registry.stores import World


def check_prefixes(root: Path) -> int:
    """Hold the invariants against every prefix of a journal, and return the number of its lines."""
    path = root / JOURNAL_FILE
    folded = Folded()
    was_active = False
    txs: set[str] = set()
    for line in path.read_bytes().splitlines() if path.exists() else []:
        before = folded.head.epoch
        folded.take(line, path)
        head = folded.head
        assert head.epoch in (before, before + 1)
        assert was_active <= (head.slots.active is not None), "once there is an active version, there is one for ever"
        was_active = head.slots.active is not None
        check_head(head)
        assert len(folded.moves) == head.epoch, "no move is lost, none is counted twice"
        txs |= set(folded.moves)
    assert len(txs) == folded.head.epoch
    return folded.lines


def check_head(head: Head) -> None:
    """Hold the invariants against one head."""
    active = [version for version, state in head.states.items() if state == "active"]
    assert active == ([] if head.slots.active is None else [head.slots.active])
    canaries = [version for version, state in head.states.items() if state == "canary"]
    assert canaries == ([] if head.canary is None else [head.canary])
    if head.canary is not None:
        assert head.canary == head.slots.shadow
        assert head.rollout is not None
        assert head.rollout.mode == "canary"
        assert head.rollout.canary_fraction > 0
    elif head.rollout is not None:
        assert head.rollout.canary_fraction == 0
    if head.slots.previous is not None:
        assert head.states[head.slots.previous] == "archived"
        assert head.slots.previous in head.active_history
    if head.slots.shadow is not None:
        assert head.states[head.slots.shadow] in ("shadow", "canary", "archived")
    assert head.slots.active not in (head.slots.shadow, head.slots.previous) or head.slots.active is None


def check_agreement(world: World) -> None:
    """Journal, evidence, manifest, links, rollout and MLflow say the same."""
    found = verify(world.root, world.store.tags)
    assert found.holds, found.text
    head = read_head(world.root)
    assert not head.unfinished
    assert not head.pending
    manifest = Mirror(world.root).manifest()
    assert (manifest.epoch, manifest.head) == (head.epoch, head.hash)
    assert rollout.read(world.root) == head.rollout
    slots = {slot: getattr(head.slots, slot) for slot in ("active", "shadow", "previous")}
    assert {slot: world.slot(slot) for slot in slots} == slots
    assert world.store.named == head.aliases
    if head.epoch:
        assert world.store.tags["tidegate.epoch"] == str(head.epoch)
        assert world.store.tags["tidegate.head"] == head.hash
    assert {number: world.store.known[number].state for number in head.states} == head.states
