"""Sharing process and device: several posters, Numba, torch, another process, a killed one."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.gpu
LIMIT_S = 25
KILLED_S = 3.0  # the promise itself
LEAST_SHARE = 0.4  # likewise
GIB = 1 << 30


@pytest.mark.parametrize("placement", ["shared", "dedicated"])
def test_several_posters(make_gpu: Callable[..., gl.GrainManager], placement: str) -> None:
    """Would catch: messages of two threads in one slot, or two launches at once."""
    lab = make_gpu()

    def work(number: int) -> None:
        grain = lab.grain(f"{placement}{number}", placement=placement)
        x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
        one.write(1)
        for _ in range(20_000):
            grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
        assert x.read().result(LIMIT_S)[0] == 20_000

    in_threads(4, work)


def _busy(grain: gl.Grain, repeat: int) -> tuple[Any, gl.ResidentArray]:
    """Start a program of so many steps; its completion, and what must hold ``repeat`` after."""
    x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
    one.write(1)
    with grain.record() as step:
        grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
    return step.run(repeat=repeat), x


def test_numba_beside_the_ring(gpu: gl.GrainManager) -> None:
    """Would catch: a JIT's module load that waits for a ring which never leaves, or its context."""
    import cupy
    from numba import cuda

    run, x = _busy(gpu.grain(), 1_000_000)

    @cuda.jit  # type: ignore[untyped-decorator]
    def twice(a: Any) -> None:
        i = cuda.grid(1)
        if i < a.size:
            a[i] *= 2

    array = cupy.arange(1000, dtype=cupy.float32)
    cupy.cuda.get_current_stream().synchronize()
    twice[128, 128](array)  # cupy arrays export the CUDA array interface
    cuda.synchronize()
    np.testing.assert_array_equal(cupy.asnumpy(array), 2 * np.arange(1000, dtype=np.float32))
    assert run.result(LIMIT_S).iterations == 1_000_000
    assert x.read().result(LIMIT_S)[0] == 1_000_000


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed: pip install torch"
)
def test_torch_beside_the_ring(gpu: gl.GrainManager) -> None:
    """Would catch: a synchronize that hangs, or a capture that our thread's queries end."""
    import torch

    run, x = _busy(gpu.grain(), 1_000_000)
    a = torch.arange(1000, dtype=torch.float32, device="cuda:0")
    torch.cuda.synchronize()
    warm = torch.cuda.Stream()
    with torch.cuda.stream(warm):  # torch asks for a run outside the capture first
        b = a * 2
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        b = a * 2
    graph.replay()
    torch.cuda.synchronize()
    np.testing.assert_array_equal(b.cpu().numpy(), 2 * np.arange(1000, dtype=np.float32))
    assert run.result(LIMIT_S).iterations == 1_000_000
    assert x.read().result(LIMIT_S)[0] == 1_000_000


RATE = """
import sys, time
import gpures_lab as gl
lab = gl.GrainManager(device="cuda:0", pool_limit_bytes=64 << 20)
grain = lab.grain()
x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
one.write(1)
grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x]).result(60)
print("ready", flush=True)
sys.stdin.readline()
sent, end = 0, time.perf_counter() + 3
while time.perf_counter() < end:
    for _ in range(100):
        last = grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
    last.result(60)
    sent += 100
assert x.read().result(60)[0] == sent + 1
limit = time.monotonic() + 30
while lab.metrics().engine_state != "PARKED":
    assert time.monotonic() < limit, "it does not park when idle"
print(sent / 3, flush=True)
"""


def _rates(count: int) -> list[float]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RATE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                pytest.fail(process.communicate(timeout=LIMIT_S)[1], pytrace=False)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        found = []
        for process in processes:
            out, err = process.communicate(timeout=LIMIT_S)
            assert process.returncode == 0, err
            found.append(float(out.split()[-1]))
        return found
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()


def test_two_processes_share_a_gpu() -> None:
    """Would catch: a ring that keeps its time slice while the other process waits."""
    (alone,) = _rates(1)
    for rate in _rates(2):
        assert rate >= LEAST_SHARE * alone, f"{rate:.0f} messages/s beside {alone:.0f} alone"


NOTEBOOK = f"""
import gpures_lab as gl
lab = gl.GrainManager(device="cuda:0", pool_limit_bytes={2 * GIB})
grain = lab.grain()
held = grain.allocate({GIB // 4})
x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
held.write(1).result(60)
with grain.record() as step:
    grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
run = step.run(repeat=1 << 40)
print("ready", flush=True)
run.result()
"""


def test_a_killed_notebook_frees_the_gpu() -> None:
    """Would catch: a kernel that outlives its host, and keeps the memory with it."""
    import cupy

    def free() -> int:
        return int(cupy.cuda.runtime.memGetInfo()[0])

    before = free()
    process = subprocess.Popen(
        [sys.executable, "-c", NOTEBOOK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            pytest.fail(process.communicate(timeout=LIMIT_S)[1], pytrace=False)
        assert free() <= before - GIB // 2, "the notebook holds no memory to give back"
        os.kill(process.pid, signal.SIGKILL)
        since = time.monotonic()
        while free() < before - GIB // 8:
            assert time.monotonic() - since < KILLED_S, "the GPU is still held"
    finally:
        process.kill()
        process.communicate()


ENDLESS = """
import os
import gpures_lab as gl
endless = gl.cpp_kernel(
    "endless",
    "const float* x, float* z",
    "const volatile float* at = x; while (*at == 0) {} z[i] = 1;",
    checked=False,
)
lab = gl.GrainManager(device="cuda:0", stall_s=2)
grain = lab.grain()
x, z = grain.allocate(8), grain.allocate(8)
grain.ping().result(30)
pending = [grain.compute(endless, inputs=[x], outputs=[z]), grain.ping()]
for each in pending:
    assert type(each.exception(30)) is gl.RingStalled, each.exception(1)
print("named", flush=True)
os._exit(0)  # its kernel ends with its process only
"""


def test_a_kernel_that_never_ends_is_named() -> None:
    """Would catch: a wait without end for a loop inside one index. In its own process."""
    done = subprocess.run(
        [sys.executable, "-c", ENDLESS],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert "named" in done.stdout, done.stderr
