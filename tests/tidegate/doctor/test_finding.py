import pytest

from tidegate.doctor.finding import Finding, joined


def test_whatever_is_not_ok_says_what_mends_it() -> None:
    """And what is ok has nothing to mend."""
    for level, mend in (("ok", "make setup"), ("warn", ""), ("fail", "")):
        with pytest.raises(ValueError, match="says what mends it"):
            Finding("disk", level, "full", mend)  # type: ignore[arg-type]


def test_without_troubles_a_thing_is_well() -> None:
    """With some it is only them."""
    trouble = Finding("disk", "fail", "full", "make room")
    assert joined("disk", "9 GB free", ()) == (Finding("disk", "ok", "9 GB free"),)
    assert joined("disk", "9 GB free", [trouble]) == (trouble,)
