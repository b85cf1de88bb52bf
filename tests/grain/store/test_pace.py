"""Rests between the parts of a save."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

import numpy as np

from gpures_lab.grain.store import StateStore, pace
from gpures_lab.grain.store.pace import BUSY_MESSAGES_PER_S, BUSY_THREADS, RESTS, Pace

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def rests(monkeypatch: pytest.MonkeyPatch, served: list[int], cores: int) -> list[float]:
    """Work for two seconds a part, and return how long each rest was."""
    slept: list[float] = []
    for clock in ("thread_time", "perf_counter"):
        times = itertools.count(0, 2)
        monkeypatch.setattr(pace.time, clock, lambda times=times: next(times))
    numbers = iter(served)
    paced = Pace(lambda: next(numbers), cores, slept.append)
    mark = paced.mark()
    for _ in range(3):
        mark = paced.rest(mark)
    return slept


BUSY = 2 * BUSY_MESSAGES_PER_S + 1


def test_it_rests_while_messages_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A save that takes a core of two from who pings all the time."""
    served = [0, BUSY, BUSY, 2 * BUSY, 2 * BUSY, 3 * BUSY, 3 * BUSY]  # and after each rest
    assert rests(monkeypatch, served, cores=2) == [2 * RESTS] * 3


def test_it_goes_on_where_nobody_needs_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A save many times as slow as it could be."""
    assert rests(monkeypatch, [7] * 9, cores=2) == []
    assert rests(monkeypatch, [n * (BUSY - 1) for n in range(9)], cores=2) == []
    assert rests(monkeypatch, [n * BUSY for n in range(9)], cores=BUSY_THREADS) == []


def test_both_threads_of_a_save_rest(tmp_path: Path) -> None:
    """One of them that goes on at full speed."""
    served = itertools.count(step=1 << 40)
    who: set[str] = set()

    def sleep(_: float) -> None:
        who.add(threading.current_thread().name)

    with StateStore(f"sqlite:///{tmp_path}/state.sqlite", str(tmp_path / "blobs")) as store:
        data = np.arange(3 << 20, dtype=np.float32)
        store.save("k", {"x": data}, expected_etag=0, pace=Pace(lambda: next(served), 2, sleep))
        assert who == {"gpures-hash", threading.current_thread().name}
        np.testing.assert_array_equal(store.load("k")[1]["x"], data)
