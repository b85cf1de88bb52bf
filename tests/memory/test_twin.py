"""Random lives of allocations against a twin: memory never overlaps, data is never lost."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

import gpures_lab as gl
from gpures_lab._core import _native
from tests.grain.engines import LIMIT_S

LIMIT = 96 << 10


class PoolTwin(RuleBasedStateMachine):
    """Three grains on two rings under a small limit; every live byte is known."""

    def __init__(self) -> None:
        super().__init__()
        self.lab = gl.GrainManager(
            device="host", ring=gl.RingOptions(slots=4), pool_limit_bytes=LIMIT, full_wait_s=LIMIT_S
        )
        self.grains = [
            self.lab.grain("a", dtype="uint8"),
            self.lab.grain("b", dtype="uint8"),
            self.lab.grain("c", dtype="uint8", placement="dedicated"),
        ]
        self.data: dict[int, np.ndarray] = {}
        for grain in self.grains:
            grain._pin()  # the pool alone: nobody is deactivated to make room
        self.live: dict[int, gl.ResidentArray] = {}
        self.used = 0
        self.settled = True
        self.views: list[tuple[np.ndarray, int, int]] = []

    handles: Bundle[int] = Bundle("handles")

    @rule(target=handles, which=st.integers(0, 2), size=st.integers(1, 20_000), zero=st.booleans())
    def allocate(self, which: int, size: int, zero: bool) -> int:
        block = _native.class_bytes(size)
        try:
            handle = self.grains[which].allocate(size, zero=zero)
        except gl.PoolExhausted:
            assert self.used + block > LIMIT
            return -1
        assert self.used + block <= LIMIT
        self.used += block
        key = handle._handle
        assert key not in self.live, "an id of a live handle was given out again"
        first = handle.read().result(timeout=LIMIT_S)
        if zero:
            assert not first.any()
        self.live[key], self.data[key] = handle, first.copy()
        return key

    @rule(key=handles, value=st.integers(0, 255), at=st.floats(0, 0.99), part=st.floats(0.01, 1))
    def write(self, key: int, value: int, at: float, part: float) -> None:
        if key not in self.live:
            return
        size = self.data[key].size
        first = int(at * size)
        count = max(1, int(part * (size - first)))
        piece = np.full(count, value, np.uint8)
        self.live[key].write(piece, offset=first)
        self.data[key][first : first + count] = piece

    @rule(key=handles)
    def read(self, key: int) -> None:
        if key in self.live:
            np.testing.assert_array_equal(
                self.live[key].read().result(timeout=LIMIT_S), self.data[key]
            )

    @rule(key=handles)
    def borrow_and_keep_the_view(self, key: int) -> None:
        if key not in self.live:
            return
        handle = self.live[key]
        with handle.grain.borrow(handle) as view:
            np.testing.assert_array_equal(view, self.data[key])
            view[:] = 255 - view
        self.data[key] = 255 - self.data[key]
        self.views.append((view, key, _native.class_bytes(handle.nbytes)))

    @rule(key=consumes(handles), drop=st.booleans())
    def release(self, key: int, drop: bool) -> None:
        if key not in self.live:
            return
        handle = self.live.pop(key)
        if not drop:
            handle.release()
        self.settled = False
        if all(owner != key for _, owner, _ in self.views):
            self.used -= _native.class_bytes(handle.nbytes)
            del self.data[key]
        del handle

    @precondition(lambda self: self.views)
    @rule()
    def drop_a_view(self) -> None:
        self.settle()  # what was written lies in the memory that the view shows
        view, key, size = self.views.pop()
        np.testing.assert_array_equal(view, self.data[key])
        del view
        if key not in self.live and all(owner != key for _, owner, _ in self.views):
            self.used -= size
            del self.data[key]

    @rule()
    def settle(self) -> None:
        for grain in self.grains:
            grain.barrier().result(timeout=LIMIT_S)
        self.settled = True
        assert self.lab.metrics().used_pool_size_bytes == self.used

    @invariant()
    def views_are_untouched(self) -> None:
        for view, key, _ in self.views:
            if self.settled and key not in self.live:
                np.testing.assert_array_equal(view, self.data[key])

    def teardown(self) -> None:
        for key in self.live:
            self.read(key)
        assert self.lab.metrics().errors == 0
        self.lab.close()


TestPoolTwin = PoolTwin.TestCase
TestPoolTwin.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_canaries_around_every_allocation(tiny: gl.GrainManager) -> None:
    """Blocks that overlap by a few bytes: a neighbour's write changes this one's edge."""
    grain = tiny.grain(dtype="uint8")
    sizes = [1, 255, 256, 257, 2047, 2049, 4095, 4097, 70_000, 1 << 20]
    handles = [(grain.allocate(size), k) for k, size in enumerate(sizes * 3)]
    for handle, k in handles:
        handle.write(k + 1)
    for handle, k in reversed(handles):
        assert (handle.read().result(timeout=LIMIT_S) == k + 1).all()
    spans = []
    for handle, _ in handles:
        with grain.borrow(handle) as view:
            spans.append((view.ctypes.data, view.ctypes.data + view.nbytes))
    spans.sort()
    for (_, end), (begin, _) in itertools.pairwise(spans):
        assert end <= begin
    assert all(begin % 256 == 0 for begin, _ in spans)
