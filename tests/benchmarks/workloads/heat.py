"""Heat spreads over a plate: 1,000 steps on 256 x 256 points, edges held.

Floor and rival: one fused Numba loop of the same arithmetic; NumPy on slices with ``out=``.
All three round every operation to float32 in the same order, so all must end with the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gpures_lab as gl
from tests.benchmarks.duel import OURS, Contender, Duel, duel
from tests.benchmarks.row import Row

SIDE = 256
STEPS = 1_000
C = 0.2


@gl.kernel
def spread(i, j, u, v, c):  # type: ignore[no-untyped-def]
    """One step; the space is the inner points, so the edges stay."""
    around = u[i, j + 1] + u[i + 2, j + 1] + u[i + 1, j] + u[i + 1, j + 2]
    v[i + 1, j + 1] = u[i + 1, j + 1] + c * (around - 4 * u[i + 1, j + 1])


class Plate:
    """The plate on a grain: two arrays, and a program of a step there and a step back."""

    def __init__(self, grain: gl.Grain, side: int) -> None:
        self.grain = grain
        self.here, self.there = grain.allocate((side, side)), grain.allocate((side, side))
        inner = (side - 2, side - 2)
        with grain.record() as self.two_steps:
            for u, v in ((self.here, self.there), (self.there, self.here)):
                grain.compute(spread, inputs=[u], outputs=[v], params={"c": C}, shape=inner)

    def start(self, plate: np.ndarray) -> None:
        """Put the same plate into both arrays: their edges are never written again."""
        self.grain.write(self.here, plate)
        self.grain.write(self.there, plate).result()

    def run(self, steps: int) -> None:
        """Wait for an even number of steps."""
        assert self.two_steps.run(repeat=steps // 2).result().steps == steps


def numba_heat() -> Any:
    """Return the fused loop."""
    import numba

    @numba.njit
    def heat(u: Any, v: Any, c: Any, steps: int) -> None:
        four = np.float32(4)
        for _ in range(steps):
            # From 0 on, as the kernel above: Numba tests i - 1 for a wrap to the last element.
            for i in range(u.shape[0] - 2):
                for j in range(u.shape[1] - 2):
                    around = u[i, j + 1] + u[i + 2, j + 1] + u[i + 1, j] + u[i + 1, j + 2]
                    v[i + 1, j + 1] = u[i + 1, j + 1] + c * (around - four * u[i + 1, j + 1])
            u, v = v, u

    return heat


def numpy_heat(u: np.ndarray, v: np.ndarray, c: np.float32, steps: int) -> None:
    """The same on slices, without fresh arrays."""
    around, middle = np.empty((2, *u[1:-1, 1:-1].shape), np.float32)
    for _ in range(steps):
        np.add(u[:-2, 1:-1], u[2:, 1:-1], out=around)
        np.add(around, u[1:-1, :-2], out=around)
        np.add(around, u[1:-1, 2:], out=around)
        np.multiply(u[1:-1, 1:-1], np.float32(4), out=middle)
        np.subtract(around, middle, out=around)
        np.multiply(around, c, out=around)
        np.add(u[1:-1, 1:-1], around, out=v[1:-1, 1:-1])
        u, v = v, u


def expected(plate: np.ndarray, steps: int) -> np.ndarray:
    """The solution in float64 by matrix products, which shares no loop with the others."""
    side = plate.shape[0]
    second = np.diag(np.full(side - 1, 1.0), 1) + np.diag(np.full(side - 1, 1.0), -1)
    second -= 2 * np.eye(side)
    u = plate.astype(np.float64)
    for _ in range(steps):
        step = second @ u + u @ second
        u[1:-1, 1:-1] += C * step[1:-1, 1:-1]
    return u


def measure(repeats: int = 9) -> Duel:
    """Race the three."""
    plate = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    wanted = expected(plate, STEPS)
    c = np.float32(C)
    fused = numba_heat()
    bits: list[np.ndarray] = []

    def judge(found: np.ndarray) -> None:
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5)
        bits.append(found.copy())
        np.testing.assert_array_equal(found, bits[0])

    def host(name: str, solve: Any) -> Contender:
        u, v = np.empty((2, SIDE, SIDE), np.float32)

        def restart() -> None:
            u[:] = v[:] = plate

        return Contender(name, lambda: solve(u, v, c, STEPS), restart, lambda: judge(u))

    with gl.GrainManager(device="host") as lab:
        ours = Plate(lab.grain("plate"), SIDE)
        return duel(
            [
                Contender(
                    OURS,
                    lambda: ours.run(STEPS),
                    lambda: ours.start(plate),
                    lambda: judge(ours.here.read().result()),
                ),
                host("Numba", fused),
                host("NumPy", numpy_heat),
            ],
            repeats=repeats,
        )


def run() -> list[Row]:
    """Measure."""
    measured = measure()
    return [
        measured.row(
            f"heat equation {SIDE} x {SIDE} x {STEPS:,} steps",
            wanted="<= 1.15 x Numba's time, >= 3 x faster than NumPy",
            met=measured.ratio("Numba") <= 1.15 and measured.ratio("NumPy") <= 1 / 3,
        )
    ]
