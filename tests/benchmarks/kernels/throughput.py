"""From which size on is one plain call faster than one message?

``z = x + y`` over 2^6 to 2^22 floats: one `compute` waited for, many pipelined, NumPy with
``out=`` (on this driver the plain launch). Data is resident for both. Prints where NumPy wins.
"""

from __future__ import annotations

import numpy as np

import gpures_lab as gl
from tests.benchmarks.duel import OURS, Contender, Duel, duel, duration
from tests.benchmarks.row import Row

SIZES = tuple(2**power for power in range(6, 23, 2))
PIPELINED = f"{OURS}, pipelined"
FLOATS = 2**20  # a repeat's work: more calls where they are small


def measure(lab: gl.GrainManager, size: int, repeats: int = 5) -> Duel:
    """Race the three."""
    calls = max(1, min(1_000, FLOATS // size))
    random = np.random.default_rng(size)
    host_x, host_y = random.random((2, size), np.float32)
    host_z = np.empty(size, np.float32)
    wanted = (host_x.astype(np.float64) + host_y).astype(np.float32)
    with lab.grain(f"add-{size}") as grain:
        x, y, z = (grain.allocate(size) for _ in range(3))
        grain.write(x, host_x)
        grain.write(y, host_y)

        def post() -> gl.Completion[gl.ComputeResult]:
            return grain.compute("kernels/Add", inputs=[x, y], outputs=[z])

        def waited() -> None:
            for _ in range(calls):
                post().result()

        def pipelined() -> None:
            for _ in range(calls):
                last = post()
            last.result()

        def numpy() -> None:
            for _ in range(calls):
                np.add(host_x, host_y, out=host_z)

        def poison() -> None:
            grain.write(z, np.nan).result()

        def check() -> None:
            np.testing.assert_array_equal(z.read().result(), wanted)

        return duel(
            [
                Contender(OURS, waited, poison, check),
                Contender(PIPELINED, pipelined, poison, check),
                Contender(
                    "NumPy",
                    numpy,
                    lambda: host_z.fill(np.nan),
                    lambda: np.testing.assert_array_equal(host_z, wanted),
                ),
            ],
            repeats=repeats,
            units=calls,
        )


def run() -> list[Row]:
    """Measure each size; two rows, and the curve for the plots."""
    with gl.GrainManager(device="host") as lab:
        found = {size: measure(lab, size) for size in SIZES}
    names = (OURS, PIPELINED, "NumPy")
    curve = {
        "x": list(SIZES),
        "floats_per_s": {n: [s / found[s].best_s(n) for s in SIZES] for n in names},
    }
    rows = []
    for size in (SIZES[0], SIZES[2], SIZES[5], SIZES[-1]):
        each = found[size]
        winner, factor = each.verdict()
        rows.append(
            Row(
                what=f"one addition of {size:,} floats",
                measured=f"{duration(each.best_s())} waited for, "
                f"{duration(each.best_s(PIPELINED))} pipelined; "
                f"NumPy {duration(each.best_s('NumPy'))}",
                winner=winner,
                factor=factor,
                figures=each.figures() | ({"curve": curve} if size == SIZES[0] else {}),
            )
        )
    return rows
