"""Living with the notebook: what synchronizes the device returns, whatever the ring is doing."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import gpures_lab as gl
from tests.grain.engines import run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.gpu
LIMIT_S = 25
MANY, FEWER = 10_000_000, 2_000_000  # steps of the program that runs meanwhile
MOST_S = 0.2  # the promise itself: a hazard test is about time


def _synchronize(cupy: Any) -> None:
    cupy.cuda.Device().synchronize()


def _free_blocks(cupy: Any) -> None:
    cupy.get_default_memory_pool().free_all_blocks()


def _allocate(cupy: Any) -> None:
    cupy.cuda.runtime.free(cupy.cuda.runtime.malloc(1 << 20))


def _capture(cupy: Any) -> None:
    x = cupy.zeros(16, cupy.float32)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        x += 1
        graph = stream.end_capture()
        graph.launch(stream)
    stream.synchronize()
    assert float(x[0]) == 1


def _torch(_cupy: Any) -> None:
    import torch

    torch.cuda.synchronize()


HAZARDS: dict[str, Callable[[Any], None]] = {
    "device synchronize": _synchronize,
    "free all blocks": _free_blocks,
    "allocate and free": _allocate,
    "graph capture": _capture,
}
if importlib.util.find_spec("torch") is not None:
    HAZARDS["torch synchronize"] = _torch


@pytest.fixture(params=["idle", "posting", "program"])
def busy(request: pytest.FixtureRequest, make_gpu: Callable[..., gl.GrainManager]) -> Iterator[str]:
    """Keep the ring busy in one of three ways, and check that its work ends right."""
    grain = make_gpu().grain()
    x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
    one.write(1)
    over = threading.Event()
    sent = [0]

    def post() -> None:
        while not over.is_set():
            grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
            sent[0] += 1

    grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x]).result(LIMIT_S)
    poster = threading.Thread(target=post, daemon=True)
    run, steps = None, 0
    if request.param == "posting":
        poster.start()
    if request.param == "program":
        with grain.record() as step:
            grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
        # As many as were promised for one of them: the others need not wait for so many.
        steps = MANY if "device synchronize" in request.node.name else FEWER
        run = step.run(repeat=steps)
        sent[0] = steps
    yield str(request.param)
    over.set()
    if poster.is_alive():
        poster.join(LIMIT_S)
    if run is not None:
        assert run.result(LIMIT_S).iterations == steps
    assert x.read().result(LIMIT_S)[0] == sent[0] + 1


@pytest.mark.parametrize("hazard", sorted(HAZARDS))
def test_a_synchronizing_call_returns(busy: str, hazard: str) -> None:
    """Would catch: a notebook that hangs in somebody else's call."""
    import cupy

    slowest = 0.0
    for number in range(5):
        since = time.perf_counter()
        HAZARDS[hazard](cupy)
        took = time.perf_counter() - since
        # The first of each compiles or makes CuPy's own things.
        slowest = max(slowest, took) if number else slowest
    assert slowest < MOST_S, f"{hazard} took {slowest * 1e3:.0f} ms while the ring was {busy}"


def test_a_new_elementwise_kernel_loads(busy: str) -> None:
    """Would catch: lazy module loading that waits for a ring which never leaves."""
    import cupy

    del busy
    name = f"fresh_{time.perf_counter_ns()}"
    kernel = cupy.ElementwiseKernel("float32 x", "float32 z", "z = x + 1", name)
    assert float(kernel(cupy.zeros(4, cupy.float32))[0]) == 1


def test_idle_exits_and_stays_out(gpu: gl.GrainManager) -> None:
    """Would catch: an idle notebook that keeps its GPU busy."""
    gpu.grain().ping().result(LIMIT_S)
    limit = time.monotonic() + LIMIT_S
    while gpu.metrics().engine_state != "PARKED":
        assert time.monotonic() < limit
    launches = gpu.metrics().relaunches
    assert not threading.Event().wait(2)
    assert gpu.metrics().relaunches == launches


INTERRUPTED = """
import gpures_lab as gl
lab = gl.GrainManager(device="cuda:0", pool_limit_bytes=64 << 20)
grain = lab.grain()
x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
one.write(1).result(25)
with grain.record() as step:
    grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
run = step.run(repeat=1 << 40)
try:
    print("ready", flush=True)
    run.result(25)
except KeyboardInterrupt:
    print("interrupted", flush=True)
grain.cancel()
assert type(run.exception(25)) is gl.Cancelled
lab.close()
"""


def test_ctrl_c_returns() -> None:
    """Would catch: a wait inside the driver, which no signal ends."""
    done = run_python(INTERRUPTED, send=signal.SIGINT)
    assert done.returncode == 0, done.stderr
    assert "interrupted" in done.stdout


FAULT = """
import gpures_lab as gl
bad = gl.cpp_kernel("bad", "const float* x, float* z", "z[i + (1ll << 40)] = x[i];", checked=False)
lab = gl.GrainManager(device="cuda:0")
grain = lab.grain()
x, z = grain.allocate(64), grain.allocate(64)
pending = [grain.compute(bad, inputs=[x], outputs=[z]), grain.ping(), grain.read(x)]
for each in pending:
    assert type(each.exception(30)) is gl.DeviceLost, each.exception(1)
print("all lost")
"""


def test_an_illegal_address_answers_everything() -> None:
    """Would catch: a wait without end after a fault, which changes no word. In its own process."""
    done = subprocess.run(
        [sys.executable, "-c", FAULT], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert "all lost" in done.stdout, done.stderr
