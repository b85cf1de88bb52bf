"""What a device may answer that the double does not by itself: refusals, faults, stalls, a fork."""

from __future__ import annotations

import gc
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.grain import device
from tests.grain.engines import LIMIT_S, add

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.double.cupy_double import CupyDouble

NO_BINARY = 209  # CUDA_ERROR_NO_BINARY_FOR_GPU
OUT_OF_MEMORY = 2


def test_a_first_image_that_is_refused_leaves_nothing_behind(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble
) -> None:
    """Would catch: an engine that goes on with memory that was given back."""
    grain = make_lab().grain()
    double.refused["load"] = NO_BINARY
    with pytest.raises(gl.DriverUnavailable, match=f"cudaError {NO_BINARY}"):
        grain.allocate(16)
    x = grain.allocate(16)
    x.write(3)
    assert (x.read().result(LIMIT_S) == 3).all()


@pytest.mark.parametrize("step", ["load", "get_function"])
def test_an_image_that_is_refused_leaves_the_one_before(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble, step: str
) -> None:
    """Would catch: entry points of an image that was unloaded already."""
    grain = make_lab().grain()
    x = grain.allocate(16)
    x.write(3)
    grain.compute(add, inputs=[x, x], outputs=[x]).result(LIMIT_S)
    double.refused[step] = NO_BINARY
    with pytest.raises(gl.DeviceLost, match=f"an image of .* cudaError {NO_BINARY}"):
        grain.compute("kernels/Mul", inputs=[x, x], outputs=[x])
    grain.compute(add, inputs=[x, x], outputs=[x]).result(LIMIT_S)
    grain.compute("kernels/Mul", inputs=[x, x], outputs=[x]).result(LIMIT_S)
    assert (x.read().result(LIMIT_S) == 144).all()


def test_a_kernel_that_the_table_has_no_room_for_harms_no_other(
    make_lab: Callable[..., gl.GrainManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: launches of an image that was unloaded, or a kernel that counts as linked."""

    class Full:
        def __init__(self, engine: Any) -> None:
            self.engine = engine

        def __getattr__(self, name: str) -> Any:
            return getattr(self.engine, name)

        def use_kernel(self, function: int, ids: list[int]) -> int:
            self.engine.use_kernel(function, [])
            return ids[0]

    lab = make_lab("slots4-stream")
    grain = lab.grain()
    x = grain.allocate(16)
    x.write(3)
    grain.compute(add, inputs=[x, x], outputs=[x]).result(LIMIT_S)
    with monkeypatch.context() as patch:
        patch.setattr(lab._device, "_engine", Full(lab._engine))
        for _ in range(2):
            with pytest.raises(gl.DeviceLost, match="table of kernels is full"):
                grain.compute("kernels/Mul", inputs=[x, x], outputs=[x])
    grain.compute(add, inputs=[x, x], outputs=[x]).result(LIMIT_S)
    assert (x.read().result(LIMIT_S) == 12).all()


def test_a_device_without_memory_is_pool_exhausted(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble
) -> None:
    """Would catch: CuPy's own exception, or an arena that is thought to have grown."""
    grain = make_lab().grain()
    grain.ping().result(LIMIT_S)
    double.refused["malloc"] = OUT_OF_MEMORY
    with pytest.raises(gl.PoolExhausted, match="no memory left for .* bytes of device memory"):
        grain.allocate(1 << 20)
    grain.allocate(1 << 20).write(1).result(LIMIT_S)


@pytest.fixture
def other_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test's device, and no other's, be one that this process cannot use any more."""
    monkeypatch.setattr(device, "_unusable", set())
    monkeypatch.setattr(device, "_started", WeakSet())


@pytest.fixture
def faults(double: CupyDouble) -> Iterator[Callable[[int], None]]:
    """Return what breaks the context; it is whole again afterwards."""
    yield double.native.fake_cuda_fault
    double.native.fake_cuda_fault(0)


@pytest.mark.usefixtures("other_devices")
def test_close_ends_after_somebodys_fault(
    make_lab: Callable[..., gl.GrainManager], faults: Callable[[int], None]
) -> None:
    """Would catch: a close() that raises half-way, with its store and its threads left open."""
    lab = make_lab()
    x = lab.grain().allocate(16)
    x.write(1).result(LIMIT_S)
    lab.park()
    faults(700)  # by a kernel of the user's own: nothing of ours is under way
    lab.close()
    assert lab.closed
    assert not lab.grains


@pytest.mark.usefixtures("other_devices")
def test_a_fault_at_the_end_of_a_borrow_is_device_lost(
    make_lab: Callable[..., gl.GrainManager], faults: Callable[[int], None]
) -> None:
    """Would catch: CuPy's own exception out of a with block, or a grain that stays borrowed."""
    grain = make_lab().grain()
    x = grain.allocate(16)
    x.write(2)
    with grain.borrow(x) as array:
        array *= 3
    assert (x.read().result(LIMIT_S) == 6).all()
    with (
        pytest.raises(gl.DeviceLost, match="CUDA error 700 at the end of a borrow"),
        grain.borrow(x),
    ):
        faults(700)
    with pytest.raises(gl.DeviceLost):
        grain.ping().result(LIMIT_S)


@pytest.mark.usefixtures("other_devices")
def test_a_device_that_was_reset_inside_a_borrow_is_lost(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble
) -> None:
    """Would catch: an event made in whichever context the thread had, and a grain that goes on."""
    lab = make_lab()
    grain = lab.grain()
    x = grain.allocate(16)
    lost = pytest.raises(gl.DeviceLost, match="CUDA error .* at the end of a borrow")
    try:
        with lost, grain.borrow(x):
            double.native.fake_cuda_reset(1)
        lab.close()
    finally:
        double.native.fake_cuda_reset(0)


@pytest.mark.usefixtures("other_devices")
def test_a_stalled_device_is_not_started_again(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble
) -> None:
    """Would catch: an allocation behind a kernel that never ends, or an engine without memory."""
    lab = make_lab(gl.RingOptions(slots=4, linger_us=900_000, lease_ms=1_000), stall_s=0.1)
    grain = lab.grain()
    grain.ping().result(LIMIT_S)
    double.native.fake_cuda_hang(1)
    try:
        stalled = grain.ping()
        with pytest.raises(gl.RingStalled, match="new process") as caught:
            stalled.result(LIMIT_S)
        assert "lab.restore" not in str(caught.value)
        with pytest.raises(gl.DeviceLost, match="does not end.*manager.*restore"):
            lab.restore(grain.key)
        for _ in range(2):  # while the old one lives, and after it
            with pytest.raises(gl.DriverUnavailable, match="cannot be used by this process any"):
                make_lab().grain().allocate(4)
            lab.close()
    finally:
        double.native.fake_cuda_hang(0)


@pytest.mark.usefixtures("other_devices")
def test_many_waiters_do_not_take_a_living_program_for_a_stall(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble
) -> None:
    """Would catch: two who look at the stall clock at once, and an age below zero."""
    lab = make_lab(gl.RingOptions(slots=16, linger_us=900_000, lease_ms=1_000), stall_s=0.1)
    grain = lab.grain()
    x = grain.allocate(8)
    with grain.record() as program:
        grain.compute(add, inputs=[x, x], outputs=[x])
    program.run(repeat=10).result(LIMIT_S)
    double.native.fake_cuda_keep_queries(1)  # the keeper is kept; those who wait stand in
    run = program.run(repeat=100_000_000)
    seen: list[BaseException] = []

    def wait() -> None:
        try:
            run.result(0.7)
        except BaseException as error:  # noqa: BLE001 - looked at below
            seen.append(error)

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    double.native.fake_cuda_keep_queries(0)
    grain.cancel()
    assert [type(error) for error in seen] == [TimeoutError] * 4
    with suppress(gl.Cancelled):
        run.result(LIMIT_S)


def test_nobody_keeps_the_interpreter_while_a_launch_waits_for_the_driver(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble
) -> None:
    """Would catch: a repr or a gauge that stops every cell while another thread has the driver."""
    lab = make_lab(gl.RingOptions(slots=4, linger_us=0))
    grain = lab.grain()
    grain.ping().result(LIMIT_S)
    lab.park()
    double.native.fake_cuda_keep_launches(1)
    threads = [
        threading.Thread(target=ask)
        for ask in (
            lambda: grain.ping().result(LIMIT_S),
            lambda: repr(lab),
            lab.metrics,
            lambda: lab.grain("hot", placement="dedicated"),
        )
    ]
    threads[0].start()
    assert double.native.fake_cuda_launch_is_kept()
    for thread in threads[1:]:
        thread.start()
    assert not threading.Event().wait(0.2)  # they are at it
    double.native.fake_cuda_keep_launches(0)
    for thread in threads:
        thread.join(LIMIT_S)
    assert not double.native.fake_cuda_kept_too_long()


IN_A_CHILD: dict[str, Callable[[Any], Any]] = {
    "repr": lambda kept: [repr(each) for each in kept.values()],
    "state": lambda kept: kept["lab"].metrics(),
    "post": lambda kept: kept["grain"].ping(),
    "done": lambda kept: kept["pending"].done(),
    "result": lambda kept: kept["pending"].result(1),
    "answered": lambda kept: kept["answered"].result(1),
    "array": lambda kept: np.asarray(kept["x"]),
    "release": lambda kept: kept["x"].release(),
    "borrow": lambda kept: kept["grain"].borrow(kept["x"]).__enter__(),
    "close": lambda kept: kept["lab"].close(),
    "collect": lambda kept: (kept.clear(), gc.collect()),
}


def test_a_forked_child_touches_no_memory_of_the_drivers(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble
) -> None:
    """Would catch: a child that crashes, for pinned memory is not mapped there."""
    lab = make_lab()
    grain = lab.grain()
    kept: dict[str, Any] = {"lab": lab, "grain": grain, "x": grain.allocate(16)}
    kept["answered"] = kept["x"].read()
    kept["answered"].result(LIMIT_S)
    double.native.fake_cuda_hold_launches(1)
    try:
        lab.park()
        kept["pending"] = kept["x"].read()
        child = os.fork()
        if child == 0:
            step = 0
            try:
                for ask in IN_A_CHILD.values():
                    step += 1
                    with suppress(gl.GpuResError, TimeoutError):
                        ask(kept)
                step = 0
            finally:
                os._exit(step)
        _, status = os.waitpid(child, 0)
    finally:
        double.native.fake_cuda_hold_launches(0)
    assert not os.WIFSIGNALED(status), f"signal {os.WTERMSIG(status)}"
    assert os.WEXITSTATUS(status) == 0, list(IN_A_CHILD)[os.WEXITSTATUS(status) - 1]
    kept["pending"].result(LIMIT_S)
