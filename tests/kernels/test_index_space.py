"""Elements that belong to no index: what a call may run over is checked before anything runs."""

# Kernel bodies carry no annotations.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.errors import CompileError, GpuResError, InvalidOption
from tests.grain.engines import lab, make_lab

if TYPE_CHECKING:
    from gpures_lab.grain import GrainManager
    from gpures_lab.kernels import Kernel

__all__ = ["lab", "make_lab"]


class Bench:
    """A grain with v = 1…100, hist = 4 zeros and total = one zero."""

    def __init__(self, manager: GrainManager) -> None:
        self.grain = manager.grain("sums", dtype="f8")
        self.v = self.grain.allocate(100, name="v")
        self.v.write(np.arange(1.0, 101.0))
        self.hist = self.grain.allocate(4, name="hist")
        self.total = self.grain.allocate(1, name="total")

    def run(self, kernel: Kernel, output: Any, *inputs: Any, n: int | None = None) -> list[float]:
        output.write(0 if output is not self.v else np.arange(1.0, 101.0))
        self.grain.compute(kernel, inputs=inputs, outputs=[output], n=n).result()
        found: list[float] = output.read().result().tolist()
        return found

    def refused(
        self, kernel: Kernel, output: Any, *inputs: Any, n: int | None = None
    ) -> GpuResError:
        before = output.read().result()
        with pytest.raises(GpuResError) as caught:
            self.grain.compute(kernel, inputs=inputs, outputs=[output], n=n)
        np.testing.assert_array_equal(output.read().result(), before)
        return caught.value


@pytest.fixture
def bench(lab: GrainManager) -> Bench:
    return Bench(lab)


def add_up(i, v, total):
    total[0] += v[i]


adds = gl.kernel(add_up)


@gl.kernel
def first(i, v, total):
    total[0] = v[i]


adds_cpp = gl.cpp_kernel("adds_cpp", "const double* v, double* total", "total[0] += v[i];")
first_cpp = gl.cpp_kernel("first_cpp", "const double* v, double* total", "total[0] = v[i];")


@pytest.mark.parametrize("kernel", [adds, adds_cpp, first, first_cpp], ids=lambda each: each.name)
def test_an_output_without_the_index_gives_no_index_space(bench: Bench, kernel: Kernel) -> None:
    """Catches the sum that is v[0]: one index, because the output has one element."""
    error = bench.refused(kernel, bench.total, bench.v)
    assert isinstance(error, InvalidOption)
    adds_up = ("kernels/Sum", "@gl.reduction", "give n=1")
    cures = adds_up if kernel in (adds, adds_cpp) else ("give n=100",)
    for part in ("total", "1 index", "v has 100 elements", *cures):
        assert part in str(error), part
    assert ("n=100" in str(error)) is (kernel not in (adds, adds_cpp))


@pytest.mark.parametrize("kernel", [adds, adds_cpp], ids=lambda each: each.name)
def test_adding_up_over_many_indices_is_refused(bench: Bench, kernel: Kernel) -> None:
    """Catches a race that the host driver hides."""
    error = bench.refused(kernel, bench.total, bench.v, n=100)
    assert isinstance(error, CompileError)
    for part in ("total", "100 indices", "kernels/Sum", "@gl.reduction", "n=1"):
        assert part in str(error), part
    assert bench.run(kernel, bench.total, bench.v, n=1) == [1.0]


def test_in_a_program_and_in_a_batch_too(bench: Bench) -> None:
    with bench.grain.record() as program:
        with pytest.raises(CompileError, match="100 indices"):
            bench.grain.compute(adds, inputs=[bench.v], outputs=[bench.total], n=100)
        bench.grain.compute(adds, inputs=[bench.v], outputs=[bench.total], n=1)
    program.run(repeat=3).result()
    assert bench.total.read().result().tolist() == [3.0]
    rows = gl.messages(1, op="compute", kernel=adds)
    rows["handles"][:, :2] = int(bench.v), int(bench.total)
    with pytest.raises(InvalidOption, match="v has 100 elements"):
        bench.grain.submit(rows)


def test_in_place(bench: Bench) -> None:
    """Catches what the search for another index's element leaves out: a constant subscript."""

    @gl.kernel
    def onto_first(i, v):
        v[0] = v[0] + v[i]

    @gl.kernel
    def counts(i, v):
        v[0] += 1
        v[i] = v[i] * 2

    @gl.kernel
    def through_a_local(i, v):
        before = v[3]
        v[3] = before + 1

    @gl.kernel
    def each_of_three(i, v):
        for q in range(3):
            v[q] += 1

    for kernel in (onto_first, counts, through_a_local, each_of_three):
        assert isinstance(bench.refused(kernel, bench.v), CompileError)


def test_a_histogram_needs_a_count(bench: Bench) -> None:
    """Catches four of a hundred values counted, because there are four bins."""

    @gl.kernel
    def histogram(i, v, hist):
        place = int(v[i]) % 4
        hist[place] += 1

    @gl.kernel
    def by_place(i, v, hist):
        hist[i % 4] += v[i]

    error = bench.refused(histogram, bench.hist, bench.v)
    assert "4 indices" in str(error)
    bench.refused(by_place, bench.hist, bench.v)


def test_what_is_right_stays_legal(bench: Bench) -> None:
    """One index that loops, a guarded store, a flag, a part of an input, a scatter."""

    @gl.kernel
    def loops(i, v, total):
        total[0] = 0
        for q in range(v.size):
            total[0] += v[q]

    @gl.kernel
    def steps(i, total):
        total[0] += 1

    @gl.kernel
    def guarded(i, v, hist):
        if i == 0:
            hist[0] += 1
        if i != 1:
            return
        hist[1] += v[i]

    @gl.kernel
    def flag(i, v, total):
        if v[i] > 99:
            total[0] = 1

    @gl.kernel
    def part(i, v, hist):
        hist[i] = v[i]

    @gl.kernel
    def backwards(i, v, hist):
        to = n_of - 1 - i
        hist[to] = v[i]

    @gl.kernel
    def scatter(i, v, hist):
        hist[int(v[i]) % 4] += v[i]

    assert bench.run(loops, bench.total, bench.v) == [5050.0]
    assert bench.run(loops, bench.total, bench.v, n=1) == [5050.0]
    assert bench.run(steps, bench.total) == [1.0]
    assert bench.run(guarded, bench.hist, bench.v, n=100) == [1, 2, 0, 0]
    assert bench.run(flag, bench.total, bench.v, n=100) == [1.0]
    assert bench.run(part, bench.hist, bench.v) == [1, 2, 3, 4]
    assert bench.run(backwards, bench.hist, bench.v) == [4, 3, 2, 1]
    assert bench.run(scatter, bench.hist, bench.v, n=4) == [4, 1, 2, 3]


n_of = 4


def test_what_is_right_stays_legal_in_cpp(bench: Bench) -> None:
    kernels = [
        ("for (int64_t q = 0; q < v.size(); ++q) total[0] += v[q];", None, 5050.0),
        ("if (i == 3) total[0] += v[i];", 100, 4.0),
        ("if (v[i] > 99) total[0] = 1;", 100, 1.0),
        ("total[0] += v[2];", None, 3.0),
    ]
    for body, n, expected in kernels:
        kernel = gl.cpp_kernel("k", "const double* v, double* total", body)
        assert bench.run(kernel, bench.total, bench.v, n=n) == [expected], body


def test_it_holds_for_code_from_the_disk_cache(bench: Bench) -> None:
    """Catches a rule that is found at the first compile and not kept with the code."""
    from gpures_lab.kernels import forget_compiled

    for _ in range(2):
        kernel = gl.kernel(add_up)
        bench.refused(kernel, bench.total, bench.v)
        forget_compiled()
