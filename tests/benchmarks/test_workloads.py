"""The workloads give right answers, in small: what the benchmark would only say when it is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.sparse import issparse

import gpures_lab as gl
from tests.benchmarks.workloads import chain, heat, inference, kmeans, pagerank, zscore

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def grain() -> Iterator[gl.Grain]:
    with gl.GrainManager(device="host") as lab:
        yield lab.grain("workload")


def test_heat_spreads_and_the_edges_stay(grain: gl.Grain) -> None:
    """Would catch: a neighbour read twice, the two arrays mixed up, an edge that is written."""
    plate = np.random.default_rng(1).random((20, 20), np.float32)
    ours = heat.Plate(grain, 20)
    ours.start(plate)
    ours.run(60)
    found = ours.here.read().result()
    np.testing.assert_allclose(found, heat.expected(plate, 60), rtol=0, atol=1e-6)
    rival = plate.copy(), plate.copy()
    heat.numpy_heat(*rival, np.float32(heat.C), 60)
    np.testing.assert_array_equal(found, rival[0])


def test_pagerank_stops_where_scipy_stops(grain: gl.Grain) -> None:
    """Would catch: rank lost in nodes without a way out, `until` looked at a step late."""
    matrix = pagerank.random_graph(60, 2)
    dangling = np.flatnonzero(np.asarray(matrix.sum(1)).ravel() == 0)
    assert dangling.size, "the graph should have a node without a way out"
    assert issparse(matrix)
    ours = pagerank.Ranks(grain, matrix)
    iterations = ours.solve()
    rank, wanted_iterations = pagerank.scipy_pagerank(matrix, dangling)
    assert iterations == wanted_iterations < pagerank.MOST
    np.testing.assert_allclose(ours.rank.read().result(), rank, rtol=1e-12)
    assert np.abs(rank - pagerank.expected(matrix)).sum() <= pagerank.slack(60)


def test_pagerank_of_a_real_graph_equals_networkx(grain: gl.Grain) -> None:
    """Would catch: weights of edges ignored."""
    matrix, by_networkx = pagerank.real_graph()
    ours = pagerank.Ranks(grain, matrix)
    ours.solve()
    np.testing.assert_allclose(ours.rank.read().result(), by_networkx, rtol=1e-12)


def test_kmeans_finds_the_clusters(grain: gl.Grain) -> None:
    """Would catch: a stop before nothing changes, sums kept from the iteration before."""
    points, start = kmeans.digits()
    points = points[:300]
    ours = kmeans.Clusters(grain, points)
    labels, centers = kmeans.expected(points, start)
    for _ in range(2):  # the second fit starts from what the first one left
        assert 1 < ours.fit(start) < kmeans.MOST
        np.testing.assert_array_equal(ours.labels.read().result(), labels)
        np.testing.assert_allclose(ours.centers.read().result(), centers, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(kmeans.numpy_fit(points, start)[0], labels)


@pytest.mark.parametrize("size", [1, 100])
def test_zscores_over_the_whole_window(grain: gl.Grain, size: int) -> None:
    """Would catch: a value scored before it is in the window, a window that does not wrap."""
    points = zscore.WINDOW + 700
    data = zscore.stream(points)
    fresh = data[zscore.WINDOW :].reshape(-1, size)
    scorer, rival = zscore.Scorer(grain, size), zscore.NumpyScorer()
    scores, others = np.full((2, *fresh.shape), np.nan, np.float32)
    for each, out in ((scorer, scores), (rival, others)):
        each.start(data[: zscore.WINDOW])
        for values, place in zip(fresh, out, strict=True):
            if size == 1 and each is scorer:
                scorer.tick(float(values[0]), place)
            else:
                each.batch(values, place)
    zscore.judge(scores.ravel(), data)
    zscore.judge(others.ravel(), data)


def test_inference_of_single_digits_equals_all_at_once(grain: gl.Grain) -> None:
    """Would catch: a layer that reads the digit before, weights transposed."""
    model, images, layers = inference.trained()
    network = inference.Network(grain, layers)
    found = np.full((40, 10), np.nan, np.float32)
    for digit, out in zip(images[:40], found, strict=True):
        network.predict(digit, out)
    np.testing.assert_allclose(found, model.predict_proba(images[:40]), rtol=1e-4, atol=1e-6)


def test_a_chain_ends_with_the_same_bits(grain: gl.Grain) -> None:
    """Would catch: a product and a sum contracted into one rounding."""
    start = np.random.default_rng(2).random(100, np.float32)
    x = grain.allocate(100)
    grain.write(x, start)
    with grain.record() as step:
        grain.compute(chain.affine, outputs=[x], params={"a": chain.A, "b": chain.B})
    step.run(repeat=chain.STEPS)
    np.testing.assert_array_equal(x.read().result(), chain.expected(start))
