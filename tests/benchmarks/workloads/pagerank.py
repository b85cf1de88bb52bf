"""PageRank to convergence, as a program that stops itself.

One iteration is five steps; `until` reads a resident scalar after it, so the host takes no part
until the ranks have settled. Rival: the power iteration on a SciPy CSR matrix, as networkx does
it, matrix ready. Both do the same arithmetic in float64 and must stop at the same iteration.
Judge: the linear system solved directly; for the real graph networkx too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gpures_lab as gl
from tests.benchmarks.duel import OURS, Contender, Duel, duel
from tests.benchmarks.row import Row

DAMPING = 0.85
TOLERANCE = 1e-6  # summed over all nodes it is multiplied by their number, as networkx does
MOST = 100
EDGES = {"sparse": 2, "medium": 10, "dense": 50}  # a node


@gl.reduction(init=0.0)
def lost(acc, rank, dangling):  # type: ignore[no-untyped-def]
    """Rank that leaves through nodes without a way out."""
    return acc + rank * dangling


@gl.kernel
def gather(i, start, source, weight, rank, leak, fresh):  # type: ignore[no-untyped-def]
    """The rank that comes in over a node's edges, with what every node gets."""
    incoming = 0.0
    for k in range(start[i], start[i + 1]):
        incoming += weight[k] * rank[source[k]]
    nodes = fresh.size
    fresh[i] = DAMPING * (incoming + leak[0] / nodes) + (1 - DAMPING) / nodes


@gl.reduction(init=0.0)
def change(acc, fresh, rank):  # type: ignore[no-untyped-def]
    """How far the ranks moved."""
    return acc + abs(fresh - rank)


@gl.kernel
def settle(i, moved, nodes, done):  # type: ignore[no-untyped-def]
    """Whether that is little enough."""
    done[i] = moved[i] < nodes[i] * TOLERANCE


class Ranks:
    """A graph on a grain."""

    def __init__(self, grain: gl.Grain, matrix: Any) -> None:
        self.grain = grain
        self.nodes = matrix.shape[0]

        def resident(values: Any, dtype: Any) -> gl.ResidentArray:
            values = np.asarray(values, dtype)
            handle = grain.allocate(values.shape, dtype=dtype)
            grain.write(handle, values)
            return handle

        # Row i of the transposed matrix: the edges that end in node i.
        incoming = matrix.T.tocsr()
        start, source, weight = (
            resident(incoming.indptr, np.int32),
            resident(incoming.indices, np.int32),
            resident(incoming.data, np.float64),
        )
        dangling = resident(np.asarray(matrix.sum(1)).ravel() == 0, np.float64)
        nodes = resident([self.nodes], np.int64)
        self.rank, fresh = (grain.allocate(self.nodes, dtype=np.float64) for _ in range(2))
        leak, moved = (grain.allocate(1, dtype=np.float64) for _ in range(2))
        self.done = grain.allocate(1, dtype=np.bool_)
        with grain.record() as self.iteration:
            grain.compute(lost, inputs=[self.rank, dangling], outputs=[leak])
            grain.compute(gather, inputs=[start, source, weight, self.rank, leak], outputs=[fresh])
            grain.compute(change, inputs=[fresh, self.rank], outputs=[moved])
            grain.compute("kernels/Copy", inputs=[fresh], outputs=[self.rank])
            grain.compute(settle, inputs=[moved, nodes], outputs=[self.done])

    def solve(self) -> int:
        """Iterate until settled; returns how often."""
        self.grain.write(self.rank, 1 / self.nodes)
        return self.iteration.run(repeat=MOST, until=self.done).result().iterations


def scipy_pagerank(matrix: Any, dangling: np.ndarray) -> tuple[np.ndarray, int]:
    """The power iteration on a CSR matrix whose rows sum to one or zero."""
    nodes = matrix.shape[0]
    rank = np.full(nodes, 1 / nodes)
    for iteration in range(1, MOST + 1):
        last = rank
        rank = DAMPING * (last @ matrix + last[dangling].sum() / nodes) + (1 - DAMPING) / nodes
        if np.abs(rank - last).sum() < nodes * TOLERANCE:
            return rank, iteration
    return rank, MOST


def expected(matrix: Any) -> np.ndarray:
    """The fixed point, from the linear system."""
    nodes = matrix.shape[0]
    dense = matrix.toarray()
    dense[dense.sum(1) == 0] = 1 / nodes
    found: np.ndarray = np.linalg.solve(
        np.eye(nodes) - DAMPING * dense.T, np.full(nodes, (1 - DAMPING) / nodes)
    )
    return found


def slack(nodes: int) -> float:
    """How far from the fixed point, summed, ranks may be that moved less than the tolerance."""
    return nodes * TOLERANCE * DAMPING / (1 - DAMPING)


def stochastic(adjacency: Any) -> Any:
    """Rows divided by their sums; rows without edges stay zero."""
    from scipy import sparse

    sums = np.asarray(adjacency.sum(1)).ravel().astype(np.float64)
    return sparse.csr_array(
        sparse.diags_array(np.divide(1, sums, out=np.zeros_like(sums), where=sums != 0)) @ adjacency
    )


def random_graph(nodes: int, edges_per_node: int) -> Any:
    """A directed graph with different edges between random nodes."""
    from scipy import sparse

    random = np.random.default_rng(42)
    flat = random.choice(nodes * nodes, nodes * edges_per_node, replace=False)
    at, to = np.divmod(flat, nodes)
    kept = at != to
    ones = np.ones(int(kept.sum()))
    return stochastic(sparse.csr_array((ones, (at[kept], to[kept])), shape=(nodes, nodes)))


def real_graph() -> tuple[Any, np.ndarray]:
    """Who meets whom in Les Misérables, and networkx's ranks of them."""
    import networkx as nx

    graph = nx.les_miserables_graph()
    ranks = nx.pagerank(graph, alpha=DAMPING, tol=TOLERANCE, max_iter=MOST)
    return stochastic(nx.to_scipy_sparse_array(graph)), np.array(list(ranks.values()))


def measure(lab: gl.GrainManager, matrix: Any, key: str, repeats: int = 25) -> Duel:
    """Race the two over one graph; the matrix is ready, the ranks are not."""
    wanted = expected(matrix)
    dangling = np.flatnonzero(np.asarray(matrix.sum(1)).ravel() == 0)
    found: dict[str, tuple[np.ndarray, int]] = {}
    counts: set[int] = set()
    ours = Ranks(lab.grain(key), matrix)

    def judge(rank: np.ndarray, iterations: int) -> None:
        counts.add(iterations)
        assert len(counts) == 1, f"iterations differ: {counts}"
        assert np.abs(rank - wanted).sum() <= slack(matrix.shape[0])

    def solve() -> None:
        iterations = ours.solve()
        found[OURS] = ours.rank.read().result(), iterations

    def rival() -> None:
        found["SciPy"] = scipy_pagerank(matrix, dangling)

    def poison() -> None:
        ours.grain.write(ours.rank, np.nan)
        ours.grain.write(ours.done, True).result()
        found.clear()

    return duel(
        [
            Contender(OURS, solve, poison, lambda: judge(*found[OURS])),
            Contender("SciPy", rival, found.clear, lambda: judge(*found["SciPy"])),
        ],
        repeats=repeats,
    )


def run() -> list[Row]:
    """Measure the real graph and the random ones."""
    rows = []
    with gl.GrainManager(device="host") as lab:
        real, by_networkx = real_graph()
        assert np.abs(expected(real) - by_networkx).sum() <= slack(real.shape[0])
        measured = measure(lab, real, "real")
        rows.append(measured.row("PageRank, characters of Les Misérables"))
        for nodes in (100, 500, 1_000, 5_000):
            measured = measure(lab, random_graph(nodes, EDGES["medium"]), f"random-{nodes}")
            promised = nodes == 1_000
            rows.append(
                measured.row(
                    f"PageRank, {nodes:,} nodes, {EDGES['medium']} edges a node",
                    wanted="faster than SciPy sparse" if promised else "",
                    met=measured.ratio("SciPy") < 1 if promised else None,
                )
            )
    return rows
