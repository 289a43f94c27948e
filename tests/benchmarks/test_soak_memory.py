"""Memory of a process and its slope: a leak is told from a spike, a restart begins anew."""

import os

from benchmarks.soak_memory import Sample, of_last, resident_bytes, slope_per_hour

MIB = 2**20


def test_a_leak_is_told_by_the_hour() -> None:
    """A MiB a minute is 60 an hour."""
    leak = [Sample(float(each), 1, 100 * MIB + each * MIB // 60) for each in range(600)]
    assert round(slope_per_hour(leak) / MIB, 1) == 60.0


def test_a_spike_and_a_late_cache_are_no_leak() -> None:
    """Ten seconds of much memory, and a step at the begin."""
    flat = [Sample(float(each), 1, (100 if each < 30 else 120) * MIB) for each in range(600)]
    spiked = [each._replace(resident_bytes=400 * MIB) if 300 <= each.seconds < 310 else each for each in flat]
    assert slope_per_hour(spiked) == 0.0


def test_less_than_two_moments_have_no_slope() -> None:
    """Nothing is told of nothing."""
    assert slope_per_hour([]) == slope_per_hour([Sample(1.0, 1, MIB)]) == 0.0


def test_only_the_process_that_was_there_last_counts() -> None:
    """The one before was killed; of the last one only what came since."""
    samples = [Sample(1.0, 7, 5), Sample(2.0, 8, 6), Sample(3.0, 8, 7)]
    assert of_last(samples, 2.5) == [Sample(3.0, 8, 7)]
    assert of_last(samples, 0.0) == samples[1:]
    assert of_last([], 0.0) == []


def test_this_process_is_resident_and_none_is_not() -> None:
    """Read from the kernel."""
    assert resident_bytes(os.getpid()) > MIB
    assert resident_bytes(2**22 + 1) == 0
