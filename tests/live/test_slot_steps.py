"""What is done to a slot of the mirror: the rules that must hold of every step, whatever stands and was followed."""

from hypothesis import given
from hypothesis import strategies as st

from live.slot_steps import EMPTIED, Standing, step_of, step_to
from registry.slots import SLOTS, Slot

numbers = st.none() | st.integers(1, 4)
standings = st.none() | st.just(EMPTIED) | st.builds(Standing, st.integers(1, 4), st.booleans())


@given(st.sampled_from(SLOTS), numbers, numbers, standings)
def test_a_step_by_the_alias(slot: Slot, named: int | None, followed: int | None, standing: Standing | None) -> None:
    """Whatever stands and was followed: the rules that must hold of the step."""
    step = step_of(slot, named, followed, standing)
    if step == "empty":
        assert slot != "active"
        assert named is None
    if step == "fill":
        assert named is not None
        assert standing is None or standing.version != named or not standing.is_sound
    if named is not None and standing is None:
        assert step == "fill"
    if named is not None and named == followed and standing is not None and standing.version != named:
        assert step == "keep", "a mirror that was turned by others since is left alone"
    if named is not None and named != followed and standing is not None and standing.version != named:
        assert step == "fill"
    if standing and named == standing.version:
        assert step == ("keep" if standing.is_sound else "fill")


@given(st.sampled_from(SLOTS), numbers, standings)
def test_a_step_by_the_head(slot: Slot, wanted: int | None, standing: Standing | None) -> None:
    """The slot holds what the head says, sound; the active one is never emptied."""
    step = step_to(slot, wanted, standing)
    if wanted is not None:
        assert step == ("keep" if standing == Standing(wanted, is_sound=True) else "fill")
    else:
        is_filled = standing is not None and standing != EMPTIED
        assert step == ("empty" if is_filled and slot != "active" else "keep")
