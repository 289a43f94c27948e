"""The worker: tasks in order, on another thread, ended in time."""

import sys
import threading

from live.worker import TURN_SECONDS, Worker, at_once


def test_at_once_is_done_before_it_returns() -> None:
    """On the caller's own thread."""
    done: list[int] = []
    at_once(lambda: done.append(threading.get_ident()))
    assert done == [threading.get_ident()]


def test_tasks_are_done_in_order_on_one_other_thread() -> None:
    """And all of them before `stop` returns."""
    worker, done = Worker("test"), list[tuple[int, int]]()
    for number in range(100):
        worker.submit(lambda number=number: done.append((number, threading.get_ident())))  # type: ignore[misc]
    assert worker.stop(10.0)
    assert [number for number, _ in done] == list(range(100))
    assert len({thread for _, thread in done} - {threading.get_ident()}) == 1


def test_a_worker_that_was_never_asked_has_no_thread() -> None:
    """Stopping it is nothing."""
    before = threading.active_count()
    assert Worker("test").stop(0.0)
    assert threading.active_count() == before


def test_a_task_that_takes_longer_is_left_behind() -> None:
    """`stop` says so, and the thread ends once the task does."""
    worker, go = Worker("test"), threading.Event()
    worker.submit(lambda: go.wait() and None)
    assert not worker.stop(0.0)
    go.set()
    assert worker.stop(10.0)


def test_turns_are_short_beside_a_worker() -> None:
    """A message does not wait for Python's own 5 ms."""
    worker = Worker("test")
    worker.submit(lambda: None)
    assert worker.stop(10.0)
    assert sys.getswitchinterval() <= TURN_SECONDS
