"""Mixed traffic against a NumPy twin, on rings so small that they always wrap."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, add, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable


class Twin:
    """One grain and, beside it, plain arrays that go through the same steps."""

    def __init__(self, grain: gl.Grain, seed: int) -> None:
        self.grain = grain
        self.random = random.Random(seed)
        self.pairs: list[tuple[Any, np.ndarray]] = []
        self.reads: list[tuple[gl.Completion, np.ndarray]] = []

    def step(self) -> None:
        choice = self.random.randrange(6)
        if choice == 0 or len(self.pairs) < 3:
            size = self.random.choice((1, 7, 1024, 1025, 3000))
            self.pairs.append((self.grain.allocate(size), np.zeros(size, np.float32)))
            return
        handle, twin = self.random.choice(self.pairs)
        if choice == 1:
            data = np.full(twin.size, self.random.randrange(1000), np.float32)
            data[0] = -1
            self.grain.write(handle, data)
            twin[:] = data
        elif choice == 2:
            first = self.random.randrange(twin.size)
            data = np.arange(self.random.randint(1, twin.size - first), dtype=np.float32)
            self.grain.write(handle, data, offset=first)
            twin[first : first + data.size] = data
        elif choice == 3:
            other, other_twin = self.random.choice(self.pairs)
            n = min(twin.size, other_twin.size)
            self.grain.compute(add, inputs=[handle, other], outputs=[handle], n=n)
            twin[:n] = twin[:n] + other_twin[:n]
        elif choice == 4:
            self.reads.append((self.grain.read(handle), twin.copy()))
        elif len(self.pairs) > 4:
            self.pairs = [pair for pair in self.pairs if pair[0] is not handle]
            self.grain.release(handle)

    def check(self) -> None:
        for completion, wanted in self.reads:
            np.testing.assert_array_equal(completion.result(timeout=LIMIT_S), wanted)
        for handle, wanted in self.pairs:
            np.testing.assert_array_equal(handle.read().result(timeout=LIMIT_S), wanted)


def grains_of(lab: gl.GrainManager, count: int, name: str) -> list[gl.Grain]:
    """Shared ones, and every third dedicated."""
    return [
        lab.grain(f"{name}{k}", placement="dedicated" if k % 3 == 2 else "shared")
        for k in range(count)
    ]


def test_mixed_traffic_of_several_grains_from_one_thread(any_lab: gl.GrainManager) -> None:
    """A lost, doubled or reordered message, a slot reused too early, a stale block."""
    twins = [Twin(grain, k) for k, grain in enumerate(grains_of(any_lab, 5, "g"))]
    order = random.Random(5)
    for _ in range(1500):
        order.choice(twins).step()
    for twin in twins:
        twin.check()


def test_mixed_traffic_from_four_threads(any_lab: gl.GrainManager) -> None:
    """A race of two posters for one slot, or of two harvesters for one completion."""
    twins = [Twin(grain, 40 + k) for k, grain in enumerate(grains_of(any_lab, 4, "t"))]

    def work(number: int) -> None:
        for _ in range(400):
            twins[number].step()
        twins[number].check()

    in_threads(4, work)


def test_four_threads_on_one_grain(any_lab: gl.GrainManager) -> None:
    """Two threads of one grain whose messages are mixed up or answered to the wrong one."""
    grain = any_lab.grain()

    def work(number: int) -> None:
        handle = grain.allocate(64)
        for k in range(200):
            grain.write(handle, np.float32(number * 1000 + k))
            assert (grain.read(handle).result(timeout=LIMIT_S) == number * 1000 + k).all()

    in_threads(4, work)


@pytest.mark.parametrize("placement", ["shared", "dedicated"])
def test_messages_of_a_grain_run_in_call_order(
    make_lab: Callable[..., gl.GrainManager], placement: str
) -> None:
    """A ring that overtakes: 500 dependent steps end in one wrong number."""
    grain = make_lab("slots4").grain(placement=placement)
    x, one = grain.allocate(1), grain.allocate(1)
    grain.write(one, 1)
    seen = []
    for k in range(500):
        grain.write(x, float(k))
        grain.compute(add, inputs=[x, one], outputs=[x])
        seen.append(grain.read(x))
    assert [c.result(timeout=LIMIT_S)[0] for c in seen] == [k + 1 for k in range(500)]


def test_a_failed_message_does_not_stop_later_ones(tiny: gl.GrainManager) -> None:
    """A worker that gives up a grain, or a whole batch, after its first error."""

    @gl.kernel
    def past_the_end(i, x, z):  # type: ignore[no-untyped-def]
        z[i + 1] = x[i]

    grain = tiny.grain()
    x, z = grain.allocate(8), grain.allocate(8)
    failures, good = [], []
    for k in range(20):
        grain.write(x, float(k))
        failures.append(grain.compute(past_the_end, inputs=[x], outputs=[z]))
        good.append(grain.read(z))
    for k in range(20):
        assert isinstance(failures[k].exception(timeout=LIMIT_S), gl.OutOfBounds)
        assert good[k].result(timeout=LIMIT_S)[1:].tolist() == [float(k)] * 7


def test_every_message_is_answered_exactly_once(any_lab: gl.GrainManager) -> None:
    """A completion lost or counted twice where the ring wraps or a launch ends."""
    grain = any_lab.grain()
    pings = [grain.ping() for _ in range(1000)]
    for ping in pings:
        assert ping.result(timeout=LIMIT_S) is None
    assert len({ping.request for ping in pings}) == 1000
    metrics = any_lab.metrics()
    assert metrics.total_messages_processed == 1000
    assert metrics.pending_message_count == 0


def test_ten_thousand_grains_are_ten_thousand_entries(lab: gl.GrainManager) -> None:
    """Per-grain threads or rings: ten thousand of either would not start."""
    waiting = []
    for k in range(10_000):
        x = lab.grain(f"grain {k}").allocate(2)
        x.write(float(k))
        waiting.append(x.read())
    values = [completion.result(timeout=LIMIT_S)[1] for completion in waiting]
    assert values == list(range(10_000))
