"""How far is each new value from the last 10,000? A windowed z-score over a stream.

The window stays on a grain. A micro-batch is three messages (write, compute, read) and one wait,
one tick two messages and one wait. Every value is scored against the window that ends with it.
Rivals: NumPy by cumulative sums, a Numba loop called directly, the same loop behind a thread pool
(what owns the window there is a thread, as here it is the grain).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import gpures_lab as gl
from tests.benchmarks.duel import OURS, Contender, Duel, duel
from tests.benchmarks.latency import Latency, round_trips
from tests.benchmarks.row import Row

WINDOW = 10_000
BATCHES = (100, 500, 1_000)
POINTS = 100_000
TICKS = 20_000


@gl.kernel
def score_batch(i, points, window, total, cursor, z):  # type: ignore[no-untyped-def]
    """Slide over a batch: one index walks it, because each score needs the sums before it."""
    at = cursor[0]
    summed, squared = total[0], total[1]
    for k in range(points.size):
        new, old = np.float64(points[k]), np.float64(window[at])
        window[at] = points[k]
        at = at + 1 if at + 1 < window.size else 0
        summed += new - old
        squared += new * new - old * old
        mean = summed / window.size
        z[k] = (new - mean) / np.sqrt(squared / window.size - mean * mean)
    cursor[0] = at
    total[0] = summed
    total[1] = squared


@gl.kernel
def score_tick(i, window, total, cursor, z, value):  # type: ignore[no-untyped-def]
    """The same for one value, which comes as a parameter."""
    at = cursor[0]
    new, old = np.float64(np.float32(value)), np.float64(window[at])
    window[at] = value
    cursor[0] = at + 1 if at + 1 < window.size else 0
    total[0] += new - old
    total[1] += new * new - old * old
    mean = total[0] / window.size
    z[0] = (new - mean) / np.sqrt(total[1] / window.size - mean * mean)


class Scorer:
    """A stream's window on a grain."""

    def __init__(self, grain: gl.Grain, batch: int) -> None:
        self.grain = grain
        self.window = grain.allocate(WINDOW)
        self.total = grain.allocate(2, dtype=np.float64)
        self.cursor = grain.allocate(1, dtype=np.int64)
        self.points, self.z = grain.allocate(batch), grain.allocate(batch)
        self._inputs = [self.points]
        self._outputs = [self.window, self.total, self.cursor, self.z]

    def start(self, history: np.ndarray) -> None:
        """Fill the window."""
        exact = history.astype(np.float64)
        self.grain.write(self.window, history)
        self.grain.write(self.total, [exact.sum(), (exact * exact).sum()])
        self.grain.write(self.z, np.nan)
        self.grain.write(self.cursor, 0).result()

    def batch(self, points: np.ndarray, out: np.ndarray) -> None:
        """Score a batch into ``out``."""
        grain = self.grain
        grain.write(self.points, points)
        grain.compute(score_batch, inputs=self._inputs, outputs=self._outputs, n=1)
        grain.read(self.z, out=out).result()

    def tick(self, value: float, out: np.ndarray) -> None:
        """Score one value into ``out``."""
        grain = self.grain
        grain.compute(score_tick, outputs=self._outputs, params={"value": value}, n=1)
        grain.read(self.z, out=out).result()


class NumpyScorer:
    """The rival: a ring buffer and cumulative sums."""

    def start(self, history: np.ndarray) -> None:
        """Fill the window."""
        self.window = history.copy()
        exact = history.astype(np.float64)
        self.summed, self.squared, self.at = exact.sum(), (exact * exact).sum(), 0

    def batch(self, points: np.ndarray, out: np.ndarray) -> None:
        """Score a batch into ``out``; batches divide the window, so none wraps."""
        place = slice(self.at, self.at + points.size)
        new, old = points.astype(np.float64), self.window[place].astype(np.float64)
        self.window[place] = points
        summed = self.summed + np.cumsum(new - old)
        squared = self.squared + np.cumsum(new * new - old * old)
        mean = summed / WINDOW
        np.divide(new - mean, np.sqrt(squared / WINDOW - mean * mean), out=out, casting="same_kind")
        self.summed, self.squared = summed[-1], squared[-1]
        self.at = (self.at + points.size) % WINDOW


def numba_loop() -> Any:
    """Return the loop of `score_batch` as a Numba function."""
    import numba

    @numba.njit
    def loop(points: Any, window: Any, total: Any, cursor: Any, z: Any) -> None:
        at = cursor[0]
        summed, squared = total[0], total[1]
        for k in range(points.size):
            new, old = np.float64(points[k]), np.float64(window[at])
            window[at] = points[k]
            at = at + 1 if at + 1 < window.size else 0
            summed += new - old
            squared += new * new - old * old
            mean = summed / window.size
            z[k] = (new - mean) / np.sqrt(squared / window.size - mean * mean)
        cursor[0] = at
        total[0], total[1] = summed, squared

    return loop


class NumbaScorer:
    """The rival: the same loop, state in NumPy arrays; on a thread of its own if one is given."""

    def __init__(self, loop: Any, threads: ThreadPoolExecutor | None = None) -> None:
        self.loop, self.threads = loop, threads

    def start(self, history: np.ndarray) -> None:
        """Fill the window."""
        exact = history.astype(np.float64)
        total = np.array([exact.sum(), (exact * exact).sum()])
        self.state = (history.copy(), total, np.zeros(1, np.int64))

    def batch(self, points: np.ndarray, out: np.ndarray) -> None:
        """Score a batch into ``out``."""
        if self.threads is None:
            self.loop(points, *self.state, out)
        else:
            self.threads.submit(self.loop, points, *self.state, out).result()


def stream(points: int) -> np.ndarray:
    """A history of one window, then ``points`` values: two waves, noise, a spike in a hundred."""
    random = np.random.default_rng(42)
    t = np.arange(WINDOW + points)
    signal = np.sin(t / 160) + 0.5 * np.sin(t / 16) + 0.1 * random.standard_normal(t.size)
    spikes = random.random(t.size) < 0.01
    return np.where(spikes, signal + random.choice((-4.0, 4.0), t.size), signal).astype(np.float32)


def expected(data: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Mean and deviation of each whole window, in two passes, with nothing carried along."""
    windows = np.lib.stride_tricks.sliding_window_view(data, WINDOW)[positions + 1]
    means, deviations = windows.mean(1, dtype=np.float64), windows.std(1, dtype=np.float64)
    scores: np.ndarray = (data[positions + WINDOW].astype(np.float64) - means) / deviations
    return scores


def judge(scores: np.ndarray, data: np.ndarray) -> None:
    """Compare every 97th score, and find that none is missing."""
    assert not np.isnan(scores).any()
    positions = np.arange(0, scores.size, 97)
    np.testing.assert_allclose(scores[positions], expected(data, positions), rtol=1e-4, atol=1e-4)


def measure_batches(lab: gl.GrainManager, size: int, repeats: int = 7) -> Duel:
    """Score the stream in micro-batches, each waited for before the next is there."""
    data = stream(POINTS)
    history, fresh = data[:WINDOW], data[WINDOW:].reshape(-1, size)
    scores = np.empty_like(fresh)
    positions = np.arange(0, POINTS, 997)
    wanted = expected(data, positions)

    def contender(name: str, scorer: Any) -> Contender:
        def poison() -> None:
            scores.fill(np.nan)
            scorer.start(history)

        def score() -> None:
            batch = scorer.batch
            for points, out in zip(fresh, scores, strict=True):
                batch(points, out)

        def check() -> None:
            assert not np.isnan(scores).any()
            np.testing.assert_allclose(scores.ravel()[positions], wanted, rtol=1e-4, atol=1e-4)

        return Contender(name, score, poison, check)

    loop = numba_loop()
    with ThreadPoolExecutor(1) as threads, lab.grain(f"z-{size}") as grain:
        return duel(
            [
                contender(OURS, Scorer(grain, size)),
                contender("NumPy", NumpyScorer()),
                contender("Numba", NumbaScorer(loop)),
                contender("Numba in ThreadPoolExecutor", NumbaScorer(loop, threads)),
            ],
            repeats=repeats,
            units=POINTS,
        )


def measure_ticks(lab: gl.GrainManager) -> Latency:
    """Score the stream one value at a time."""
    data = stream(2 * TICKS)
    values = data[WINDOW:].tolist()
    scores = np.full(2 * TICKS, np.nan, np.float32)
    scorer = Scorer(lab.grain("ticks"), 1)
    scorer.start(data[:WINDOW])
    places = [scores[n : n + 1] for n in range(2 * TICKS)]
    position = iter(range(2 * TICKS))

    def tick(_n: int) -> None:
        n = next(position)
        scorer.tick(values[n], places[n])

    measured = round_trips(tick, TICKS)
    judge(scores[: next(position)], data)
    return measured


def run() -> list[Row]:
    """Measure batches of each size, then ticks."""
    rows = []
    with gl.GrainManager(device="host") as lab:
        for size in BATCHES:
            measured = measure_batches(lab, size)
            rate = 1e-6 / measured.best_s()
            promised = size == BATCHES[0]
            rates = ", ".join(
                f"{name} {1e-6 / measured.best_s(name):.3g}" for name in list(measured.spans_s)[1:]
            )
            winner, factor = measured.verdict()
            rows.append(
                Row(
                    what=f"z-score, window {WINDOW:,}, micro-batches of {size:,}",
                    measured=f"{rate:.3g} M points/s (median {1e-6 / measured.median_s():.3g}); "
                    f"{rates} M/s",
                    wanted=">= 3 M points/s" if promised else "",
                    met=rate >= 3 if promised else None,
                    winner=winner,
                    factor=factor,
                    figures=measured.figures(),
                )
            )
        ticks = measure_ticks(lab)
    rows.append(
        Row(
            what=f"z-score, window {WINDOW:,}, one tick at a time, round trip from Python",
            measured=ticks.text(),
            wanted="p99 <= 10 us",
            met=ticks.p99_s <= 10e-6,
            figures=ticks.figures(),
        )
    )
    return rows
