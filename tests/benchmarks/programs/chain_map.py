"""Where does the ring win, and where a plain call? Chains of dependent steps, by size and length.

Each cell is one chain of ``x = a * x + b`` from Python to Python: a program run and waited for,
against two NumPy calls a step with ``out=`` (on this driver the plain launch). Ratios above 1 are
wins of the ring.
"""

from __future__ import annotations

import numpy as np

import gpures_lab as gl
from tests.benchmarks.duel import OURS, Contender, Duel, duel
from tests.benchmarks.row import Row
from tests.benchmarks.workloads.chain import affine

ELEMENTS = tuple(2**power for power in range(4, 19, 2))
LENGTHS = (1, 10, 100, 1_000)
MOST = 2**22  # element steps of a repeat


def measure(lab: gl.GrainManager, elements: int, length: int) -> Duel:
    """Race the two in one cell."""
    start = np.random.default_rng(elements).random(elements, np.float32)
    a, b = np.float32(0.5), np.float32(0.25)  # exact: both must end with the same bits
    host = np.empty(elements, np.float32)
    wanted = start.copy()
    for _ in range(length):
        wanted = a * wanted + b
    with lab.grain(f"chain-{elements}-{length}") as grain:
        x = grain.allocate(elements)
        with grain.record() as step:
            grain.compute(affine, outputs=[x], params={"a": 0.5, "b": 0.25})

        def numpy() -> None:
            for _ in range(length):
                np.multiply(host, a, out=host)
                np.add(host, b, out=host)

        def restart() -> None:
            host[:] = start

        return duel(
            [
                Contender(
                    OURS,
                    lambda: step.run(repeat=length).result(),
                    lambda: grain.write(x, start).result(),
                    lambda: np.testing.assert_array_equal(x.read().result(), wanted),
                ),
                Contender(
                    "NumPy", numpy, restart, lambda: np.testing.assert_array_equal(host, wanted)
                ),
            ],
            repeats=5 if elements * length > MOST else 9,
        )


def run() -> list[Row]:
    """Measure every cell; one row, and the map for the plots."""
    with gl.GrainManager(device="host") as lab:
        ratios = [
            [1 / measure(lab, elements, length).ratio("NumPy") for elements in ELEMENTS]
            for length in LENGTHS
        ]
    won = sum(ratio > 1 for line in ratios for ratio in line)
    cells = len(ELEMENTS) * len(LENGTHS)
    best = max(max(line) for line in ratios)
    parts = []
    for length, line in zip(LENGTHS, ratios, strict=True):
        lost = [f"{e:,}" for e, ratio in zip(ELEMENTS, line, strict=True) if ratio <= 1]
        low, high = min(line), max(line)
        where = f", loses at {', '.join(lost)} floats" if lost else ""
        parts.append(f"{length:,} steps {low:.2g}-{high:.2g} x{where}")
    return [
        Row(
            what=f"chains against NumPy, {ELEMENTS[0]} to {ELEMENTS[-1]:,} floats",
            measured=f"ring wins {won} of {cells} cells; " + "; ".join(parts),
            winner=OURS if won > cells / 2 else "NumPy",
            factor=best if won > cells / 2 else 1 / min(min(line) for line in ratios),
            figures={
                "map": {"elements": list(ELEMENTS), "lengths": list(LENGTHS), "ratios": ratios}
            },
        )
    ]
