"""States, park, quiesced windows, leases, dedicated rings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, Latch, add, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable


def state(lab: gl.GrainManager) -> str:
    return lab.metrics().engine_state


def test_state_names(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A state that is reported before it is true, or by another name."""
    lab = make_lab(gl.RingOptions(slots=4, linger_us=1_000_000, lease_ms=1000))
    grain = lab.grain()
    assert state(lab) == "CREATED"
    grain.ping().result(timeout=LIMIT_S)
    assert state(lab) == "RUNNING"
    lab.park()
    assert state(lab) == "PARKED"
    grain.ping().result(timeout=LIMIT_S)
    assert state(lab) == "RUNNING"
    lab.close()
    assert state(lab) == "TERMINATED"


def test_park_keeps_memory_and_the_next_message_relaunches(any_lab: gl.GrainManager) -> None:
    """Memory lost with the ring kernel, or a message that a parked engine never sees."""
    grain = any_lab.grain()
    x = grain.allocate(8)
    for k in range(50):
        x.write(float(k))
        any_lab.park()
        assert state(any_lab) == "PARKED"
        assert x.read().result(timeout=LIMIT_S)[7] == k


def test_park_of_an_engine_that_never_ran_returns(tiny: gl.GrainManager) -> None:
    """A wait for the exit of a launch that never was."""
    tiny.park()
    tiny.park()
    assert state(tiny) == "CREATED"


def test_park_takes_work_under_way_to_its_end(lab: gl.GrainManager) -> None:
    """Messages dropped, or answered twice, by a launch that ends between them."""
    grain = lab.grain()
    x, one = grain.allocate(4), grain.allocate(4)
    one.write(1)
    for _ in range(30):
        for _ in range(20):
            grain.compute(add, inputs=[x, one], outputs=[x])
        lab.park()
    assert x.read().result(timeout=LIMIT_S)[0] == 600


def test_posting_goes_on_inside_quiesced_and_leaving_relaunches(any_lab: gl.GrainManager) -> None:
    """A relaunch inside the window, or none after it: the messages would be stranded."""
    grain = any_lab.grain()
    x = grain.allocate(4)
    x.write(1)
    with any_lab.quiesced():
        before = any_lab.metrics().relaunches
        pending = [grain.ping(), x.read()]
        with pytest.raises(TimeoutError):
            pending[0].result(timeout=0.05)
        assert state(any_lab) == "PARKED"
        assert any_lab.metrics().relaunches == before
    assert pending[1].result(timeout=LIMIT_S).tolist() == [1] * 4


def test_quiesced_windows_nest(tiny: gl.GrainManager) -> None:
    """An inner window whose end relaunches inside the outer one."""
    grain = tiny.grain()
    with tiny.quiesced():
        with tiny.quiesced():
            pending = grain.ping()
        assert not pending.done()
        assert state(tiny) in {"PARKED", "CREATED"}
    pending.result(timeout=LIMIT_S)


def test_an_error_inside_quiesced_ends_the_window(tiny: gl.GrainManager) -> None:
    """A window left open by an exception: nothing would ever run again."""
    with pytest.raises(RuntimeError, match="mine"), tiny.quiesced():
        raise RuntimeError("mine")
    tiny.grain().ping().result(timeout=LIMIT_S)


def test_park_inside_quiesced_returns(tiny: gl.GrainManager) -> None:
    """A park that waits for an exit which already was."""
    tiny.grain().ping().result(timeout=LIMIT_S)
    with tiny.quiesced():
        tiny.park()
    tiny.grain().ping().result(timeout=LIMIT_S)


def test_leases_end_under_continuous_traffic_and_nothing_is_lost(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A launch that traffic keeps alive for ever, or a message lost between two launches."""
    lab = make_lab(gl.RingOptions(slots=64, lease_ms=1, linger_us=1_000_000))
    grain = lab.grain()
    x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
    one.write(1)
    steps = 0
    while lab.metrics().relaunches < 20:
        for _ in range(500):
            grain.compute(add, inputs=[x, one], outputs=[x])
        steps += 500
        assert steps < 10_000_000, "the lease never ended a launch"
    assert x.read().result(timeout=LIMIT_S)[0] == steps


def test_linger_zero_is_event_driven(make_lab: Callable[..., gl.GrainManager]) -> None:
    """An engine with linger 0 that stays, or that misses the message after its exit."""
    lab = make_lab("slots4-linger0")
    grain = lab.grain()
    for _ in range(200):
        grain.ping().result(timeout=LIMIT_S)
    while state(lab) != "PARKED":  # by itself; a hang here is the bug
        pass
    assert lab.metrics().relaunches > 1


def test_dedicated_grains_join_a_running_engine(any_lab: gl.GrainManager) -> None:
    """A ring that no worker serves because the launch began before it existed."""
    shared = any_lab.grain("shared")
    x = shared.allocate(4)
    for k in range(6):
        grain = any_lab.grain(f"own {k}", placement="dedicated")
        assert f"ring {k + 1}" in repr(grain)
        y = grain.allocate(4)
        y.write(float(k))
        x.write(float(k))
        assert y.read().result(timeout=LIMIT_S)[0] == k
        assert x.read().result(timeout=LIMIT_S)[0] == k


def test_a_dedicated_grain_beyond_the_last_ring_is_refused(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A grain silently put on somebody else's ring."""
    lab = make_lab(gl.RingOptions(slots=4, max_rings=2))
    lab.grain("a", placement="dedicated")
    with pytest.raises(gl.InvalidOption, match="all 2 are taken"):
        lab.grain("b", placement="dedicated")
    assert "b" not in lab.grains
    lab.grain("b").ping().result(timeout=LIMIT_S)


def test_a_busy_dedicated_ring_leaves_with_the_others(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """Workers that leave one by one: a lone ring's relaunch would wait for the busy one."""
    lab = make_lab(gl.RingOptions(slots=4, lease_ms=1))
    grains = [lab.grain("s"), *(lab.grain(f"d{k}", placement="dedicated") for k in range(3))]
    steps = [np.zeros(1, np.int64) for _ in grains]

    def work(number: int) -> None:
        x = grains[number].allocate(1, dtype="int64")
        one = grains[number].allocate(1, dtype="int64")
        one.write(1)
        for _ in range(400):
            grains[number].compute(add, inputs=[x, one], outputs=[x])
            x.read(out=steps[number]).result(timeout=LIMIT_S)

    in_threads(4, work)
    assert [int(s[0]) for s in steps] == [400] * 4


def test_a_long_kernel_outlives_its_lease(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A lease that cuts a kernel short, or a second launch beside the first."""
    lab = make_lab("slots4-hasty")
    grain = lab.grain()
    latch = Latch(grain)
    after = grain.ping()
    with pytest.raises(TimeoutError):
        after.result(timeout=0.02)
    assert state(lab) == "RUNNING"
    latch.open()
    latch.done.result(timeout=LIMIT_S)
    after.result(timeout=LIMIT_S)


def test_the_same_key_is_the_same_grain(tiny: gl.GrainManager) -> None:
    """A second body for one key; options that change silently."""
    grain = tiny.grain("k", dtype="int32")
    assert tiny.grain("k") is grain
    assert tiny.grain("k", dtype=np.int32, placement="shared", device="host") is grain
    with pytest.raises(gl.InvalidOption, match="dtype"):
        tiny.grain("k", dtype="float32")
    with pytest.raises(gl.InvalidOption, match="placement"):
        tiny.grain("k", placement="dedicated")
    assert tiny.grain().key == "notebook"
    assert tiny.grain().dtype == np.float32
    assert list(tiny.grains) == ["k", "notebook"]
