"""What a ring costs the program beside it, and what that program costs the ring."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

import gpures_lab as gl
from tests.gpu.measure import LIMIT_S, busy_program, median_us, summary, tell, timed

__all__ = ["cost_to_others", "idle_exit", "lease_and_synchronize"]

SIDE = 4096  # of the matrices: about 137 GFLOP a product
COPY_BYTES = 256 << 20
ENDLESS = 1 << 40
PINGS = 5_000
QUIET_S = 10
MOST_S = 2.0


def _device_us(cupy: Any, call: Callable[[], Any], repeats: int = 20) -> float:
    """Of the middle one of so many calls, by the device's own events."""
    call()
    spans = []
    for _ in range(repeats):
        begun, ended = cupy.cuda.Event(), cupy.cuda.Event()
        begun.record()
        call()
        ended.record()
        ended.synchronize()
        spans.append(cupy.cuda.get_elapsed_time(begun, ended) * 1e3)  # it tells milliseconds
    return float(np.median(spans))


@contextmanager
def _rings(count: int, *, busy: bool) -> Iterator[None]:
    """So many rings: kept in their launch by a poster's pings, or each with an endless program."""
    with ExitStack() as stack:
        if count == 0:
            yield
            return
        lab = stack.enter_context(
            gl.GrainManager(device="cuda:0", ring=gl.RingOptions(linger_us=3000))
        )
        grains = [
            lab.grain(f"g{n}", placement="dedicated" if n else "shared") for n in range(count)
        ]
        for grain in grains:
            grain.ping().result(LIMIT_S)
        over = threading.Event()
        keeper = threading.Thread(target=_keep_up, args=(grains[0], over), daemon=True)
        runs = [busy_program(grain, ENDLESS)[0] for grain in grains] if busy else []
        if not busy:
            keeper.start()
        try:
            yield
        finally:
            over.set()
            if keeper.is_alive():
                keeper.join(LIMIT_S)
            for grain, run in zip(grains, runs, strict=False):
                grain.cancel()
                run.exception(LIMIT_S)


def _keep_up(grain: gl.Grain, over: threading.Event) -> None:
    while not over.wait(1e-3):
        grain.ping()


def cost_to_others() -> dict[str, Any]:
    """CuPy's matmul and its copy of 256 MiB, with no ring, with idle ones and with busy ones."""
    import cupy

    a = cupy.random.random((SIDE, SIDE), dtype=cupy.float32)
    x, y = cupy.zeros(COPY_BYTES, cupy.uint8), cupy.empty(COPY_BYTES, cupy.uint8)
    few = cupy.zeros(256, cupy.float32)

    def small() -> None:
        cupy.add(few, few, out=few)
        cupy.cuda.get_current_stream().synchronize()

    found: dict[str, Any] = {}
    for name, count, busy in (
        ("no ring", 0, False),
        ("1 idle", 1, False),
        ("1 busy", 1, True),
        ("8 idle", 8, False),
        ("8 busy", 8, True),
    ):
        with _rings(count, busy=busy):
            found[name] = {
                "matmul_us": _device_us(cupy, lambda: cupy.matmul(a, a)),
                "copy_us": _device_us(cupy, lambda: cupy.copyto(y, x)),
                # What a program feels that waits for each of its small kernels.
                "small_and_wait_us": median_us(small),
            }
        tell(found)
    for row in found.values():
        row["matmul_ratio"] = row["matmul_us"] / found["no ring"]["matmul_us"]
        row["small_ratio"] = row["small_and_wait_us"] / found["no ring"]["small_and_wait_us"]
        row["copy_ratio"] = row["copy_us"] / found["no ring"]["copy_us"]
    return found


def lease_and_synchronize() -> dict[str, Any]:
    """Pings while another thread synchronizes the device, and its synchronizing calls."""
    import cupy

    found: dict[str, Any] = {}
    for linger_us, lease_ms in ((500, 20), (0, 20), (3000, 20), (500, 5), (500, 100)):
        ring = gl.RingOptions(linger_us=linger_us, lease_ms=lease_ms)
        with gl.GrainManager(device="cuda:0", ring=ring) as lab:
            grain = lab.grain()
            grain.ping().result(LIMIT_S)
            over = threading.Event()
            waits: list[float] = []

            def synchronize(over: threading.Event = over, waits: list[float] = waits) -> None:
                while not over.is_set():
                    since = time.perf_counter_ns()
                    cupy.cuda.Device(0).synchronize()
                    waits.append(time.perf_counter_ns() - since)

            def ping(grain: gl.Grain = grain) -> None:
                grain.ping().result(LIMIT_S)

            alone = _for_a_while(ping)
            other = threading.Thread(target=synchronize, daemon=True)
            launches = lab.metrics().relaunches
            other.start()
            beside = _for_a_while(ping)
            over.set()
            other.join(LIMIT_S)
            assert not other.is_alive(), "a synchronizing call did not return"
            found[f"linger {linger_us} us, lease {lease_ms} ms"] = {
                "ping_alone": summary(alone, least=1),
                "ping_beside": summary(beside, least=1),
                "synchronize": summary(waits, least=1),
                "relaunches": lab.metrics().relaunches - launches,
            }
        tell(found)
    return found


def _for_a_while(call: Callable[[], Any]) -> list[float]:
    """Nanoseconds of so many calls, or of those of two seconds: one may take a whole lease."""
    spans: list[float] = []
    call()
    end = time.perf_counter() + MOST_S
    while not spans or (len(spans) < PINGS and time.perf_counter() < end):
        spans.extend(timed(call, 1, 0))
    return spans


def idle_exit() -> dict[str, Any]:
    """How long after its last message the ring is out; launches in the ten seconds after."""
    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        grain.ping().result(LIMIT_S)
        spans = []
        for _ in range(50):
            grain.ping().result(LIMIT_S)
            since = time.perf_counter_ns()
            while lab.metrics().engine_state != "PARKED":
                if time.perf_counter_ns() - since > 5_000_000_000:
                    raise TimeoutError("the ring is still there 5 s after its last message")
            spans.append(time.perf_counter_ns() - since)
        launches = lab.metrics().relaunches
        threading.Event().wait(QUIET_S)
        return {
            "exit": summary(spans, least=50),
            f"launches_in_{QUIET_S}_s": lab.metrics().relaunches - launches,
        }
