"""A wake is seen by whoever waits on its descriptor, once it was said and until it is cleared."""

import select
import threading

from bus.wake import Wake


def readable(wake: Wake) -> bool:
    """Whether a poll would end."""
    return bool(select.select([wake], [], [], 0)[0])


def test_a_wake_stays_until_cleared() -> None:
    """However often it was said."""
    with Wake() as wake:
        assert not readable(wake)
        wake.wake()
        wake.wake()
        assert readable(wake)
        wake.clear()
        assert not readable(wake)
        wake.clear()


def test_a_wake_from_another_thread_ends_a_wait() -> None:
    """The wait has no time limit here."""
    with Wake() as wake:
        thread = threading.Thread(target=wake.wake)
        thread.start()
        assert select.select([wake], [], [])[0] == [wake]
        thread.join()


def test_a_closed_wake_is_silent() -> None:
    """Threads that end late may still call it."""
    wake = Wake()
    wake.close()
    wake.wake()
    wake.clear()
    wake.close()
    assert wake.fileno() == -1
