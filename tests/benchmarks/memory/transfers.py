"""What does it cost to move data in and out of a grain?

Write and read of 1 KiB to 16 MiB, each waited for, against `np.copyto` into an array that is
there already (the floor: the same bytes moved once); and `borrow`, which moves none.
"""

from __future__ import annotations

import numpy as np

import gpures_lab as gl
from tests.benchmarks.duel import OURS, Contender, Duel, duel, duration
from tests.benchmarks.row import Row

SIZES = (256, 16_384, 4 * 2**20)  # floats: 1 KiB, 64 KiB, 16 MiB
CALLS = {256: 1_000, 16_384: 200, 4 * 2**20: 2}


def measure(lab: gl.GrainManager, size: int, direction: str) -> Duel:
    """Race a write or a read against a copy."""
    calls = CALLS[size]
    data = np.random.default_rng(size).random(size, np.float32)
    there = np.empty(size, np.float32)
    out = np.empty(size, np.float32)
    with lab.grain(f"{direction}-{size}") as grain:
        x = grain.allocate(size)

        def write() -> None:
            for _ in range(calls):
                grain.write(x, data).result()

        def read() -> None:
            for _ in range(calls):
                grain.read(x, out=out).result()

        def copy() -> None:
            for _ in range(calls):
                np.copyto(there, data)

        if direction == "write":
            poison = lambda: grain.write(x, np.nan).result()  # noqa: E731
            run, found = write, lambda: x.read().result()
        else:
            grain.write(x, data).result()
            poison = lambda: out.fill(np.nan)  # noqa: E731
            run, found = read, lambda: out
        return duel(
            [
                Contender(OURS, run, poison, lambda: np.testing.assert_array_equal(found(), data)),
                Contender(
                    "np.copyto",
                    copy,
                    lambda: there.fill(np.nan),
                    lambda: np.testing.assert_array_equal(there, data),
                ),
            ],
            repeats=7,
            units=calls,
        )


def borrowed(lab: gl.GrainManager) -> Duel:
    """Read one element of 16 MiB by borrowing the array."""
    calls = 1_000
    grain = lab.grain("borrow")
    x = grain.allocate(SIZES[-1])
    grain.write(x, 3.0).result()
    seen: list[float] = []

    def borrow() -> None:
        for _ in range(calls):
            with grain.borrow(x) as array:
                seen.append(array[-1])

    return duel(
        [Contender(OURS, borrow, seen.clear, lambda: np.testing.assert_equal(seen, [3.0] * calls))],
        repeats=5,
        units=calls,
    )


def run() -> list[Row]:
    """Measure both directions at each size, then borrow."""
    rows = []
    with gl.GrainManager(device="host") as lab:
        for direction in ("write", "read"):
            rows += [
                measure(lab, size, direction).row(f"{direction} of {4 * size / 1024:,.0f} KiB")
                for size in SIZES
            ]
        one = borrowed(lab)
    rows.append(
        Row(
            what="borrow of 16,384 KiB and one element read",
            measured=duration(one.best_s()),
            figures=one.figures(),
        )
    )
    return rows
