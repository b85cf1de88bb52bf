"""How the ring polls (shared/fetch.hpp): each variant in a process of its own, one figure.

Round trips tell what a variant costs one message, batches what it gains for many, and the copy
beside an idle ring what its looks take from the bus.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

import gpures_lab as gl
from gpures_lab._core import _native
from tests.gpu.measure import COUNT, LIMIT_S, WARM, median_us, summary, tell

__all__ = ["VARIANTS", "poll_variants"]

VARIANTS = ("", "look-ahead", "poller-warp", "look-ahead,poller-warp")
NOOPS = 200_000
EACH_S = 18


def poll_variants() -> dict[str, Any]:
    """Round trip, throughput and cost of the looks, of each way to poll."""
    found: dict[str, Any] = {}
    for variant in VARIANTS:
        name = variant or "as shipped"
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tests.gpu.variants"],
                env={**os.environ, "GPURES_RING_VARIANT": variant},
                capture_output=True,
                text=True,
                timeout=EACH_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:  # one that hangs must not hide the others
            found[name] = {"failed": f"ended after {EACH_S} s: {error.stderr!r:.300}"}
        else:
            lines = done.stdout.splitlines()
            found[name] = json.loads(lines[-1]) if lines else {"failed": done.stderr[-1000:]}
        tell(found)
    if wrong := [name for name, row in found.items() if "failed" in row]:
        raise RuntimeError(f"{wrong[0]}: {found[wrong[0]]['failed']}")
    return found


def _one() -> dict[str, Any]:
    import cupy

    with gl.GrainManager(device="cuda:0", ring=gl.RingOptions(linger_us=3000)) as lab:
        grain = lab.grain()
        grain.ping().result(LIMIT_S)
        spans = np.frombuffer(_native.round_trips(grain, WARM + COUNT), np.uint64)
        rows = gl.messages(NOOPS, op="noop")
        grain.submit(rows).result(LIMIT_S)
        since = time.perf_counter()
        grain.submit(rows).result(LIMIT_S)
        rate = NOOPS / (time.perf_counter() - since)
        x, z = grain.allocate(1024), grain.allocate(1024)
        x.write(2)
        since = time.perf_counter()
        for _ in range(COUNT):
            last = grain.compute("kernels/VectorAdd", inputs=[x, x], outputs=[z])
        last.result(LIMIT_S)
        adds = COUNT / (time.perf_counter() - since)
        assert (z.read().result(LIMIT_S) == 4).all()
        host, device = cupy.cuda.alloc_pinned_memory(32 << 20), cupy.empty(32 << 20, cupy.uint8)

        def copy() -> None:
            grain.ping()  # it lingers, and looks
            device.data.copy_from_host(host.ptr, 32 << 20)

        copy()
        return {
            "round_trip": summary(spans[WARM:]),
            "noops_per_s": rate,
            "adds_per_s": adds,
            "copy_of_32_mib_us": median_us(copy),
        }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_one()) + "\n")
