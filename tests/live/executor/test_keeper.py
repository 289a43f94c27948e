"""The keeper: nothing is true before it is durable, and a disk that refuses stops orders and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from live.errors import JournalDamaged
from live.executor.journal import Journal
from live.executor.keeper import Keeper
from tests.live.executor.disks import FlakyFile
from tests.live.executor.test_ledger import round_trip
from tests.live.executor.trading import BID, Trading


class Disk:
    """One file over many processes."""

    def __init__(self) -> None:
        self.file = FlakyFile()

    def __call__(self) -> FlakyFile:
        return self.file


def trading_on(tmp_path: Path, disk: Callable[[], FlakyFile], *, real: bool = False) -> Trading:
    """A warm executor over a disk in memory."""
    made = Trading(tmp_path, real=real, journal_file=disk)
    made.warm()
    return made


def test_an_intent_is_durable_before_the_venue_hears_of_it(tmp_path: Path) -> None:
    """I2: whenever a place arrives at the venue, the file that survives a power cut has its intent."""
    disk = Disk()
    trading = trading_on(tmp_path, disk)
    seen: list[bool] = []
    send = trading.paper.send

    def watched(request: object) -> None:
        key = getattr(request, "client_id", "")
        if type(request).__name__ == "Place":
            seen.append(key.encode() in disk.file.durable)
        send(request)  # type: ignore[arg-type]

    trading.paper.send = watched  # type: ignore[method-assign,assignment]
    trading.approve(1)
    assert seen == [True, True]


def test_both_rungs_cost_one_sync(tmp_path: Path) -> None:
    """One write and one sync for the whole entry."""
    disk = Disk()
    trading = trading_on(tmp_path, disk)
    before = disk.file.syncs
    trading.give("sig:approved", trading.approval(1))
    assert disk.file.syncs == before + 1


def test_a_full_disk_stops_orders_then_falls_to_paper_and_says_crit(tmp_path: Path) -> None:
    """Fault 28: the approval is dropped, nothing is sent, real orders end; when there is room again it goes on."""
    disk = Disk()
    trading = trading_on(tmp_path, disk, real=True)
    assert trading.real is not None
    trading.approve(1, route="full")
    disk.file.room = 0
    trading.approve(1, route="full")
    assert len(trading.real.places()) == 2
    assert trading.drops() == ["halted"]
    trading.run(1)
    assert trading.executor.status()["mode"] == "paper"
    assert set(trading.real.cancels()) == {place.client_id for place in trading.real.places()}
    assert [event.reason for event in trading.events("ALERT")] == ["journal_error"]
    trading.approve(1)
    assert trading.drops() == ["halted", "halted"]
    disk.file.room = 2**20
    trading.run(3)
    trading.approve(1)
    assert len(trading.paper.places()) == 2
    assert trading.executor.status()["halts"] == []
    assert trading.executor.status()["mode"] == "paper"


def test_what_happened_while_the_disk_refused_is_there_after_it_mended(tmp_path: Path) -> None:
    """Fills are true whatever the disk says; the new file holds them."""
    disk = Disk()
    trading = trading_on(tmp_path, disk)
    trading.approve(1)
    disk.file.fails_sync = True
    trading.paper.fill(trading.paper.places()[0].client_id)
    trading.executor.tick()
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 3}
    disk.file.fails_sync = False
    trading.run(3)
    trading.restart()
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 3}


@pytest.mark.parametrize("kept", [0, 1, 30, 60, 200])
def test_a_power_cut_loses_nothing_that_the_venue_knows(tmp_path: Path, kept: int) -> None:
    """Whatever part of the unsynced tail is left: after the start the position is the venue's."""
    disk = Disk()
    trading = trading_on(tmp_path, disk)
    trading.approve(1)
    for place in trading.paper.places():
        trading.paper.fill(place.client_id)
    trading.crash_at = "after_result"
    with pytest.raises(Exception, match="after_result"):
        trading.executor.tick()
    disk.file.crash(kept)
    trading.restart()
    trading.run(8)
    assert trading.executor.status()["positions"] == {"BTCUSDT:paper": 5}
    assert trading.executor.status()["unknown_orders"] == 0


def test_an_approval_whose_orders_were_torn_off_is_taken_again(tmp_path: Path) -> None:
    """A power cut in the write of an entry, at every byte: nothing was sent, so its next delivery is acted on."""
    for kept in range(0, 420, 7):
        disk = Disk()
        trading = Trading(tmp_path / f"{kept}", {"signals": {"ttl_ms": 600_000}}, journal_file=disk)
        trading.warm()
        approval = trading.approval(1, ttl_ms=600_000)
        whole = len(disk.file.durable)
        trading.crash_at = "after_intent"
        with pytest.raises(Exception, match="after_intent"):
            trading.hand(approval)
        disk.file.durable = disk.file.durable[: whole + kept]
        trading.restart()
        trading.warm()
        trading.hand(approval)
        trading.run(14)
        status = trading.executor.status()
        assert {place.client_id[-4:-2] for place in trading.paper.places()} <= {"e0", "e1"}
        assert trading.paper.places()
        assert (status["open_trips"], status["live_orders"], status["unknown_orders"]) == (0, 0, 0)


def test_a_long_journal_is_shortened_and_says_the_same(tmp_path: Path) -> None:
    """Compaction again and again: few records, the same state and reports after a restart, one chain of hashes."""
    trading, file = Trading(tmp_path), FlakyFile()
    keeper = Keeper(trading.parts, file, longest=2_000)
    told: list[str] = []
    for number in range(300):
        for record in round_trip(f"{number}", 1_000_000, 1_001_000):
            keeper.keep(record)  # type: ignore[arg-type]
        keeper.settle()
        told = [report.id for report in trading.reports()]
    assert len(Journal(FlakyFile(file.read())).recovered) < 300 * 7
    again = Keeper(trading.parts, file, longest=2_000)
    assert (again.ledger.encoded(), again.head) == (keeper.ledger.encoded(), keeper.head)
    trading.said.said.clear()
    again.tell_again()
    assert [report.id for report in trading.reports()] == told[-256:]
    trading.stop()


def test_the_same_history_has_the_same_hash(tmp_path: Path) -> None:
    """I9: two runs of one market and one list of approvals; another list gives another hash."""
    heads = []
    for name, sides in (("a", (1, 1)), ("b", (1, 1)), ("c", (1, -1))):
        trading = Trading(tmp_path / name)
        trading.warm()
        for side in sides:
            trading.approve(side)
            for key in trading.paper.open():
                trading.paper.fill(key)
            trading.run(1, BID + 2_000, BID + 2_010)
            trading.run(3)
        heads.append(trading.executor.journal_head)
        trading.stop()
    assert heads[0] == heads[1] != heads[2]


def test_a_record_of_another_version_is_refused(tmp_path: Path) -> None:
    """Whole by its sum and still no record of ours: nothing is guessed."""
    disk = Disk()
    journal = Journal(disk.file)
    journal.append([b"\x93nonsense"])
    journal.sync()
    trading = Trading(tmp_path)
    with pytest.raises(JournalDamaged, match="this version"):
        Keeper(trading.parts, disk.file)
    trading.stop()
