import json

import pytest

from bus.streams import CONTROL
from tests.live.parts import settings
from tests.tidegate.live_side import NOW_NS, beat, bus, event, say
from tidegate.situation import look
from tidegate.status import as_plain, run


def test_as_json_everything_has_a_name() -> None:
    """Also what travels as an array."""
    on = bus()
    beat(on, "executor", {"mode": "paper"})
    say(on, "risk", CONTROL, event())
    plain = json.loads(json.dumps(as_plain(look(on, "memory", NOW_NS))))
    assert plain["well"] is False
    assert plain["events"][0]["reason"] == "precision_halt"
    assert plain["services"][4]["beat"]["status"] == {"mode": "paper"}


@pytest.mark.parametrize("as_json", [True, False])
def test_without_a_bus_it_says_so_and_how_to_start_one(
    as_json: bool, tmp_path: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1."""
    assert run(settings({"paths": {"var": str(tmp_path)}}), "", watch=False, as_json=as_json) == 1
    told = capsys.readouterr()
    assert "python -m live all" in (told.out if as_json else told.err)
    if as_json:
        assert "error" in json.loads(told.out)
