"""What does a dependent step cost in a program?

1,000 in-place steps ``x = a * x + b`` over 1,024 floats (and over 16,384), each on the result of
the one before. Floor: the same machine code called by a bare C loop. Rivals: one Numba loop around
the same arithmetic, NumPy with ``out=`` (two calls a step). All start from the same numbers and
must end with the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gpures_lab as gl
from tests.benchmarks.bare_loop import bare_loop
from tests.benchmarks.duel import OURS, Contender, Duel, duel, duration
from tests.benchmarks.row import Row

STEPS = 1_000
SIZES = {1024: 60, 16_384: 25}  # and repeats of each: short runs meet other work more often
A, B = 0.998, 0.003  # exact in no float: a wrong rounding shows after a few steps


@gl.kernel
def affine(i, x, a, b):  # type: ignore[no-untyped-def]
    """One step."""
    x[i] = a * x[i] + b


def numba_chain() -> Any:
    """One loop around the same arithmetic, compiled with Numba's defaults."""
    import numba

    @numba.njit
    def chain(x: Any, a: Any, b: Any, steps: int) -> None:
        for _ in range(steps):
            for i in range(x.size):
                x[i] = a * x[i] + b

    return chain


def expected(start: np.ndarray) -> np.ndarray:
    """The same, independently: float64 products rounded once, as an IEEE float32 multiply does."""
    x = start.astype(np.float64)
    a, b = np.float64(np.float32(A)), np.float64(np.float32(B))
    for _ in range(STEPS):
        x = (
            ((a * x).astype(np.float32).astype(np.float64) + b)
            .astype(np.float32)
            .astype(np.float64)
        )
    return x.astype(np.float32)


def measure(size: int, repeats: int) -> tuple[Duel, float]:
    """Race the four over arrays of ``size``; also a step by the worker's own clock, at its best."""
    start = np.random.default_rng(11).random(size, np.float32)
    wanted = expected(start)
    a, b = np.float32(A), np.float32(B)
    arrays = {name: np.empty(size, np.float32) for name in ("C loop", "Numba", "NumPy")}
    chain = numba_chain()
    bare = bare_loop(affine, [], [arrays["C loop"]], {"a": A, "b": B}, STEPS)

    def numpy_chain() -> None:
        x = arrays["NumPy"]
        for _ in range(STEPS):
            np.multiply(x, a, out=x)
            np.add(x, b, out=x)

    def host(name: str, run: Any) -> Contender:
        array = arrays[name]

        def restart() -> None:
            array[:] = start

        return Contender(name, run, restart, lambda: np.testing.assert_array_equal(array, wanted))

    with gl.GrainManager(device="host") as lab:
        grain = lab.grain("chain")
        x = grain.allocate(size)
        with grain.record() as step:
            grain.compute(affine, outputs=[x], params={"a": A, "b": B})

        worker = float("inf")

        def ours() -> None:
            nonlocal worker
            result = step.run(repeat=STEPS).result()
            assert result.steps == STEPS
            worker = min(worker, result.execution_time_ns / STEPS)

        measured = duel(
            [
                Contender(
                    OURS,
                    ours,
                    lambda: grain.write(x, start).result(),
                    lambda: np.testing.assert_array_equal(grain.read(x).result(), wanted),
                ),
                host("C loop", bare),
                host("Numba", lambda: chain(arrays["Numba"], a, b, STEPS)),
                host("NumPy", numpy_chain),
            ],
            repeats=repeats,
            units=STEPS,
        )
    return measured, worker


def run() -> list[Row]:
    """Measure both sizes."""
    (small, worker), (large, _) = (measure(size, repeats) for size, repeats in SIZES.items())
    inside = worker - small.best_s("C loop") * 1e9
    over = (small.best_s() - small.best_s("C loop")) * 1e9
    what = f"{STEPS:,} dependent in-place {{:,}}-float operations as a program, per step"
    against_numba, against_numpy = small.ratio("Numba"), 1 / small.ratio("NumPy")
    large_numba = large.ratio("Numba")
    return [
        Row(
            what=what.format(1024) + ", over a bare C loop",
            measured=f"{over:+.1f} ns ({duration(small.best_s())} against "
            f"{duration(small.best_s('C loop'))}) with the run's own round trip in it; "
            f"{inside:+.1f} ns by the worker's clock",
            wanted="<= 20 ns over the C loop",
            met=over <= 20,
            figures={"over_c_loop_ns": over, "over_c_loop_by_worker_ns": inside},
        ),
        small.row(
            what.format(1024),
            wanted="<= 1.5 x Numba's time, >= 15 x faster than NumPy",
            met=against_numba <= 1.5 and against_numpy >= 15,
        ),
        large.row(what.format(16_384), wanted="<= 1.10 x Numba's time", met=large_numba <= 1.10),
    ]
