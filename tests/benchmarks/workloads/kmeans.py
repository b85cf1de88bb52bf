"""k-means on scikit-learn's digits until no image changes its cluster, without leaving the grain.

One iteration is seven steps and a look at `until`; the distances come from one product of the
library. Rivals: scikit-learn (Lloyd, the same start, its own threads) and NumPy. Judge: Lloyd's
algorithm in float64 as distances written out in full.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gpures_lab as gl
from tests.benchmarks.duel import OURS, Contender, Duel, duel
from tests.benchmarks.row import Row

CLUSTERS = 10
MOST = 300


@gl.kernel
def halve_squares(i, centers, norms):  # type: ignore[no-untyped-def]
    """Half the square of each centre's length."""
    total = 0.0
    for d in range(centers.shape[1]):
        total += centers[i, d] * centers[i, d]
    norms[i] = total / 2


@gl.kernel
def assign(i, products, norms, labels, changed):  # type: ignore[no-untyped-def]
    """The nearest centre of each point by the expanded square, and whether it is another."""
    best = 1e30
    nearest = 0
    for c in range(norms.size):
        distance = norms[c] - products[c, i]
        if distance < best:
            best = distance
            nearest = c
    changed[i] = labels[i] != nearest
    labels[i] = nearest


@gl.kernel
def add_up(i, points, labels, sums, sizes):  # type: ignore[no-untyped-def]
    """Every cluster's sum and size, in one pass over the points."""
    for c in range(sizes.size):
        sizes[c] = 0
        for d in range(sums.shape[1]):
            sums[c, d] = 0
    for p in range(labels.size):
        sizes[labels[p]] += 1
        for d in range(sums.shape[1]):
            sums[labels[p], d] += points[p, d]


@gl.kernel
def move(i, j, sums, sizes, centers):  # type: ignore[no-untyped-def]
    """Each centre to the mean of its points; one that has none stays."""
    if sizes[i] > 0:
        centers[i, j] = sums[i, j] / sizes[i]


@gl.reduction(init=0)
def count(acc, changed):  # type: ignore[no-untyped-def]
    """How many points changed."""
    return acc + changed


@gl.kernel
def settled(i, moved, done):  # type: ignore[no-untyped-def]
    """Whether none did."""
    done[i] = moved[i] == 0


class Clusters:
    """Points, centres and the iteration on a grain."""

    def __init__(self, grain: gl.Grain, points: np.ndarray) -> None:
        self.grain = grain
        number, dimensions = points.shape
        resident = grain.allocate(points.shape, dtype=points.dtype)
        columns = grain.allocate((dimensions, number), dtype=points.dtype)
        grain.write(resident, points)
        grain.write(columns, points.T)
        self.centers = grain.allocate((CLUSTERS, dimensions), dtype=points.dtype)
        self.labels = grain.allocate(number, dtype=np.int32)
        products = grain.allocate((CLUSTERS, number), dtype=points.dtype)
        norms = grain.allocate(CLUSTERS, dtype=points.dtype)
        sums = grain.allocate((CLUSTERS, dimensions), dtype=points.dtype)
        sizes = grain.allocate(CLUSTERS, dtype=np.int32)
        changed = grain.allocate(number, dtype=np.bool_)
        moved = grain.allocate(1, dtype=np.int64)
        self.done = grain.allocate(1, dtype=np.bool_)
        with grain.record() as self.iteration:
            grain.compute("kernels/Gemm", inputs=[self.centers, columns], outputs=[products])
            grain.compute(halve_squares, inputs=[self.centers], outputs=[norms])
            grain.compute(assign, inputs=[products, norms], outputs=[self.labels, changed])
            grain.compute(add_up, inputs=[resident, self.labels], outputs=[sums, sizes], n=1)
            grain.compute(move, inputs=[sums, sizes], outputs=[self.centers])
            grain.compute(count, inputs=[changed], outputs=[moved])
            grain.compute(settled, inputs=[moved], outputs=[self.done])

    def fit(self, start: np.ndarray) -> int:
        """Iterate from these centres until nothing changes; returns how often."""
        self.grain.write(self.labels, -1)
        self.grain.write(self.centers, start)
        return self.iteration.run(repeat=MOST, until=self.done).result().iterations


def numpy_fit(points: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances by the expanded square, sums by a product with the indicator matrix."""
    centers, labels = start.copy(), np.full(len(points), -1)
    squares = np.arange(CLUSTERS)
    for _ in range(MOST):
        nearest = ((centers * centers).sum(1) - 2 * points @ centers.T).argmin(1)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        member = (labels[:, None] == squares).astype(points.dtype)
        sizes = member.sum(0)
        filled = sizes > 0
        centers[filled] = (member.T @ points)[filled] / sizes[filled, None]
    return labels, centers


def expected(points: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same in float64 with every difference written out."""
    exact, centers = points.astype(np.float64), start.astype(np.float64)
    labels = np.full(len(points), -1)
    for _ in range(MOST):
        nearest = ((exact[:, None] - centers) ** 2).sum(2).argmin(1)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        for c in range(CLUSTERS):
            if (labels == c).any():
                centers[c] = exact[labels == c].mean(0)
    return labels, centers


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 images of 64 pixels, and ten of them to start from."""
    from sklearn.datasets import load_digits

    points = load_digits().data.astype(np.float64)
    return points, points[:CLUSTERS].copy()


def measure(repeats: int = 5) -> Duel:
    """Race the three."""
    from sklearn.cluster import KMeans

    points, start = digits()
    labels, centers = expected(points, start)
    found: dict[str, tuple[Any, Any]] = {}

    def check(name: str) -> None:
        got_labels, got_centers = found.pop(name)
        np.testing.assert_array_equal(got_labels, labels)
        np.testing.assert_allclose(got_centers, centers, rtol=0, atol=1e-9)

    with gl.GrainManager(device="host") as lab:
        grain = lab.grain("digits")
        ours = Clusters(grain, points)

        def fit() -> None:
            ours.fit(start)
            found[OURS] = ours.labels.read().result(), ours.centers.read().result()

        def poison() -> None:
            grain.write(ours.labels, -7)
            grain.write(ours.centers, np.nan).result()

        def sklearn() -> None:
            model = KMeans(CLUSTERS, init=start, n_init=1, max_iter=MOST, tol=0.0)
            fitted = model.fit(points)
            found["scikit-learn"] = fitted.labels_, fitted.cluster_centers_

        def numpy() -> None:
            found["NumPy"] = numpy_fit(points, start)

        return duel(
            [
                Contender(OURS, fit, poison, lambda: check(OURS)),
                Contender("scikit-learn", sklearn, found.clear, lambda: check("scikit-learn")),
                Contender("NumPy", numpy, found.clear, lambda: check("NumPy")),
            ],
            repeats=repeats,
        )


def run() -> list[Row]:
    """Measure."""
    return [measure().row("k-means on 1,797 digits, 10 clusters, until settled")]
