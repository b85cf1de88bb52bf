"""How often is a kernel compiled: in 1,000 calls, with other scalars, in a second process?"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time

import numpy as np

import gpures_lab as gl
from gpures_lab.kernels import cache_counters
from tests.benchmarks.row import Row

CALLS = 1_000


@gl.kernel
def scale_add(i, x, z, a):  # type: ignore[no-untyped-def]
    """A kernel that no library has."""
    z[i] = a * x[i] + 0.25


def use() -> dict[str, float]:
    """Call the kernel 1,000 times, each with another scalar; count what was compiled."""
    before = cache_counters()
    x_host = np.random.default_rng(3).random(256, np.float32)
    with gl.GrainManager(device="host") as lab:
        grain = lab.grain("cache")
        x, z = grain.allocate(256), grain.allocate(256)
        grain.write(x, x_host)
        begin = time.perf_counter()
        grain.compute(scale_add, inputs=[x], outputs=[z], params={"a": 0.5}).result()
        first = time.perf_counter() - begin
        for n in range(1, CALLS):
            grain.compute(scale_add, inputs=[x], outputs=[z], params={"a": n / 8})
        expected = np.float32((CALLS - 1) / 8) * x_host + np.float32(0.25)
        assert np.array_equal(grain.read(z).result(), expected)
    after = cache_counters()
    return {
        "compiled": after.compiled - before.compiled,
        "disk_hits": after.disk_hits - before.disk_hits,
        "first_call_s": first,
    }


def run() -> list[Row]:
    """Count here with an empty cache folder, then in a second process with what that left."""
    import os

    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "GPURES_CACHE_DIR": folder}
        found = []
        for _ in range(2):
            output = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.kernels.kernel_cache"],
                check=True,
                capture_output=True,
                text=True,
                env=environment,
            ).stdout
            found.append(json.loads(output))
    first, second = found
    return [
        Row(
            what=f"{CALLS:,} computes of a new kernel, each with another scalar",
            measured=f"compiled {first['compiled']} time(s), "
            f"first call {first['first_call_s'] * 1e3:.0f} ms with Numba's import",
            wanted="compiled exactly once",
            met=first["compiled"] == 1,
            figures=first,
        ),
        Row(
            what="the same in a second process",
            measured=f"compiled {second['compiled']} times, first call "
            f"{second['first_call_s'] * 1e3:.0f} ms from the disk cache",
            wanted="compiled zero times",
            met=second["compiled"] == 0 and second["disk_hits"] == 1,
            figures=second,
        ),
    ]


if __name__ == "__main__":
    print(json.dumps(use()))
