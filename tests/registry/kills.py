"""python -m tests.registry.kills FOLDER N: N processes die by kill -9 inside a move; each time everything must agree.

The registry in memory is kept in a file between them, and the events in another.
"""

import json
import os
import pickle
import signal
import sys
from pathlib import Path
from random import Random

from registry.journal import HeadReader
from tests.registry.agreement import check_agreement, check_prefixes
from tests.registry.stores import MemoryStore, World
from tests.registry.walks import Death, step


class KeptStore(MemoryStore):
    """Writes itself to the disk with every write that was asked of it, as MLflow's database does."""

    def _write(self) -> None:
        super()._write()
        self.save()

    def save(self) -> None:
        """Replace the file; a write that it does not hold yet is one that MLflow never got."""
        beside = self.bundles.parent / "store.writing"
        beside.write_bytes(pickle.dumps((self.known, self.named, self.tags)))
        beside.replace(self.bundles.parent / "store")

    def load(self) -> None:
        """Take back what was written."""
        self.known, self.named, self.tags = pickle.loads((self.bundles.parent / "store").read_bytes())  # noqa: S301


def main(folder: Path, wanted: int) -> int:
    """Walk until so many processes were killed."""
    world, random = World(folder / "mirror", KeptStore(folder / "bundles")), Random(9)
    assert isinstance(world.store, KeptStore)
    for number in range(1, 7):
        world.store.register(number)
    world.store.save()
    deaths = moves = 0
    while deaths < wanted:
        moves += 1
        death = Death(random.randint(0, 9), strike=lambda: os.kill(os.getpid(), signal.SIGKILL))
        make = step(world, random, f"tx{moves}", death)
        child = os.fork()
        if child == 0:
            make()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        world.store.load()
        is_killed = os.WIFSIGNALED(status)
        deaths += is_killed
        is_made = make(Death()) if is_killed else f"tx{moves}" in HeadReader(world.root).folded().moves
        assert is_made or not is_killed
        world.registrar().reconcile()
        check_agreement(world)
        world.store.save()
    check_prefixes(world.root)
    sys.stdout.write(json.dumps({"deaths": deaths}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
