"""How many messages a second: in a program, in a batch, one call each from Python?

A Noop touches no memory, so the first figure is the serve loop's own. Pipelined calls add two
numbers to 64 floats each; the clock stops when the last is answered. Rivals for handing over one
call each: NumPy's call for the same arithmetic.
"""

from __future__ import annotations

import numpy as np

import gpures_lab as gl
from tests.benchmarks.duel import OURS, Contender, Duel, duel
from tests.benchmarks.row import Row

NOOPS = 10_000_000
STEPS = 1_000
CALLS = 50_000
ROWS = 100_000
SIZE = 64


def noops(lab: gl.GrainManager) -> Duel:
    """Replay Noops; the ring's own count says how many."""
    grain = lab.grain("noops")
    with grain.record() as step:
        for _ in range(STEPS):
            grain.ping()
    results: list[gl.RunResult] = []

    def check() -> None:
        result = results.pop()
        assert (result.iterations, result.steps) == (NOOPS // STEPS, NOOPS)

    def ours() -> None:
        results.append(step.run(repeat=NOOPS // STEPS).result())

    return duel([Contender(OURS, ours, results.clear, check)], units=NOOPS)


def calls(lab: gl.GrainManager) -> Duel:
    """One `compute` call a message, none waited for but the last."""
    grain = lab.grain("calls")
    x, z = grain.allocate(SIZE), grain.allocate(SIZE)
    inputs, outputs = [x, z], [z]
    grain.write(x, 1.0)
    host_x, host_z = np.ones(SIZE, np.float32), np.empty(SIZE, np.float32)
    wanted = np.full(SIZE, CALLS, np.float32)

    def ours() -> None:
        compute = grain.compute
        for _ in range(CALLS):
            compute("kernels/VectorAdd", inputs=inputs, outputs=outputs)
        grain.barrier().result()

    def numpy() -> None:
        add = np.add
        for _ in range(CALLS):
            add(host_x, host_z, out=host_z)

    return duel(
        [
            Contender(
                OURS,
                ours,
                lambda: grain.write(z, 0.0).result(),
                lambda: np.testing.assert_array_equal(grain.read(z).result(), wanted),
            ),
            Contender(
                "NumPy",
                numpy,
                lambda: host_z.fill(0),
                lambda: np.testing.assert_array_equal(host_z, wanted),
            ),
        ],
        units=CALLS,
    )


def batch(lab: gl.GrainManager) -> Duel:
    """The same messages as the rows of one array, one call and one completion."""
    grain = lab.grain("batch")
    x, z = grain.allocate(SIZE), grain.allocate(SIZE)
    grain.write(x, 1.0)
    rows = gl.messages(ROWS, kernel="kernels/VectorAdd")
    rows["handles"][:, :3] = int(x), int(z), int(z)
    wanted = np.full(SIZE, ROWS, np.float32)
    return duel(
        [
            Contender(
                OURS,
                lambda: grain.submit(rows).result(),
                lambda: grain.write(z, 0.0).result(),
                lambda: np.testing.assert_array_equal(grain.read(z).result(), wanted),
            )
        ],
        units=ROWS,
    )


def run() -> list[Row]:
    """Measure the three."""
    with gl.GrainManager(device="host") as lab:
        replayed, single, submitted = noops(lab), calls(lab), batch(lab)

    def rate(measured: Duel) -> float:
        return 1e-6 / measured.best_s()

    def text(measured: Duel) -> str:
        return f"{rate(measured):.3g} M/s (median {1e-6 / measured.median_s():.3g})"

    winner, factor = single.verdict()
    return [
        Row(
            what="Noop in a program, one ring",
            measured=text(replayed),
            wanted=">= 60 M messages/s",
            met=rate(replayed) >= 60,
            figures=replayed.figures(),
        ),
        Row(
            what=f"compute() of {SIZE} floats from Python, pipelined",
            measured=f"{text(single)}; NumPy's call {1e-6 / single.best_s('NumPy'):.3g} M/s",
            wanted=">= 1.5 M messages/s",
            met=rate(single) >= 1.5,
            winner=winner,
            factor=factor,
            figures=single.figures(),
        ),
        Row(
            what=f"submit of {ROWS:,} computes of {SIZE} floats",
            measured=text(submitted),
            wanted=">= 10 M messages/s",
            met=rate(submitted) >= 10,
            figures=submitted.figures(),
        ),
    ]
