import os

from tidegate.drills.training import environment, utc_now


def test_overrides_hold_for_a_block_alone() -> None:
    """What was set is set again, what was not is gone."""
    os.environ.pop("TRAINING_SEED", None)
    before = dict(os.environ)
    with environment({"TRAINING_SEED": "9", "PATH": "/nowhere"}):
        assert (os.environ["TRAINING_SEED"], os.environ["PATH"]) == ("9", "/nowhere")
    assert dict(os.environ) == before


def test_the_time_has_a_zone() -> None:
    """A registrar asks for it."""
    assert utc_now().utcoffset() is not None
