"""Runs under a Python that has PyDotCompute: echo round trips and throughput of its tiers.

The form is that of its own latency and streaming benchmarks: an actor that answers each message
with a message; send, wait for the answer; then send all, wait for all. Prints one JSON object.
Imports nothing of gpures_lab.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any
from uuid import UUID, uuid4

from pydotcompute import RingKernelRuntime, message, ring_kernel
from pydotcompute.ring_kernels import CythonRingKernel, is_cython_kernel_available

ROUND_TRIPS = 5_000
MESSAGES = 20_000
SLOW_TRIPS = 300  # two Python threads that wait for each other's GIL: milliseconds each


@message
@dataclass
class Echo:
    """A message with a number, which comes back."""

    value: float
    message_id: UUID = field(default_factory=uuid4)
    priority: int = 128
    correlation_id: UUID | None = None


@ring_kernel(  # type: ignore[untyped-decorator]
    kernel_id="echo", input_type=Echo, output_type=Echo, queue_size=MESSAGES + 1
)
async def echo(context: Any) -> None:
    """Answer each message with its number."""
    while not context.should_terminate:
        if not context.is_active:
            await context.wait_active()
            continue
        try:
            request = await context.receive(timeout=0.1)
        except Exception:  # noqa: BLE001, S112 - a timeout; which class differs between versions
            continue
        await context.send(Echo(value=request.value))


async def actors() -> dict[str, Any]:
    """Tier 1: asyncio, with uvloop where that is installed."""
    async with RingKernelRuntime() as runtime:
        await runtime.launch("echo")
        await runtime.activate("echo")
        spans = []
        for n in range(ROUND_TRIPS + 200):
            begin = time.perf_counter()
            await runtime.send("echo", Echo(value=float(n)))
            answer = await runtime.receive("echo", timeout=5.0)
            spans.append(time.perf_counter() - begin)
            assert answer.value == n
        best = float("inf")
        for _ in range(3):
            begin = time.perf_counter()
            for n in range(MESSAGES):
                await runtime.send("echo", Echo(value=float(n)))
            for n in range(MESSAGES):
                assert (await runtime.receive("echo", timeout=10.0)).value == n
            best = min(best, time.perf_counter() - begin)
        loop = type(asyncio.get_running_loop()).__module__
    return figures(spans[200:], MESSAGES / best) | {"loop": loop}


def cython_echo(context: Any) -> None:
    """Tier 3: a thread between two queues of the Cython extension."""
    while not context.should_terminate:
        request = context.receive(timeout=0.1)
        if request is not None:
            context.send(request, timeout=1.0)


def cython_kernel() -> dict[str, Any]:
    """Round trips and throughput of tier 3."""
    with CythonRingKernel("fast", cython_echo) as kernel:
        spans = []
        for n in range(SLOW_TRIPS):
            begin = time.perf_counter()
            kernel.send(Echo(value=float(n)))
            answer = kernel.receive(timeout=5.0)
            spans.append(time.perf_counter() - begin)
            assert answered(answer, n)
        best = float("inf")
        for _ in range(3):
            begin = time.perf_counter()
            for start in range(0, MESSAGES, 2_000):  # the queues hold 4,096
                for n in range(2_000):
                    kernel.send(Echo(value=float(start + n)))
                for n in range(2_000):
                    assert answered(kernel.receive(timeout=10.0), start + n)
            best = min(best, time.perf_counter() - begin)
    return figures(spans[20:], MESSAGES / best)


def answered(answer: Any, number: int) -> bool:
    """Whether this is the answer to that message; LookupError where none came."""
    if answer is None:
        raise LookupError(f"message {number} was never answered")
    return bool(answer.value == number)


def figures(spans: list[float], rate: float) -> dict[str, Any]:
    """Seconds and messages a second."""
    quantiles = statistics.quantiles(spans, n=100)
    return {"p50_s": statistics.median(spans), "p99_s": quantiles[98], "per_s": rate}


def main() -> dict[str, Any]:
    """The figures of each tier that answers every message, and why there are none of the others."""
    tiers: dict[str, Any] = {}
    missing: dict[str, str] = {}
    measures = {"1, asyncio": lambda: asyncio.run(actors())}
    if is_cython_kernel_available():
        measures["3, Cython"] = cython_kernel
    else:
        missing["3, Cython"] = "its Cython extension is not built"
    for tier, measure in measures.items():
        try:
            tiers[tier] = measure()
        except (LookupError, AssertionError, TimeoutError) as error:
            missing[tier] = f"failed: {type(error).__name__}: {error}"
    return {"version": version("pydotcompute"), "tiers": tiers, "missing": missing}


if __name__ == "__main__":
    print(json.dumps(main()))
