"""Arrays that do not fit each other: the call is refused, as NumPy refuses it, and nothing runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S

Shape = tuple[int, ...]


@pytest.fixture
def grain(tiny: gl.GrainManager) -> Iterator[gl.Grain]:
    """Return a grain that has nothing posted in the end but what was refused."""
    grain = tiny.grain("g")
    yield grain
    grain.barrier().result(timeout=LIMIT_S)


def ones(grain: gl.Grain, shapes: Sequence[Shape]) -> list[gl.ResidentArray]:
    handles = [grain.allocate(shape) for shape in shapes]
    for handle in handles:
        handle.write(1)
    return handles


@pytest.mark.parametrize(
    ("kernel", "inputs", "output", "said"),
    [
        ("Gemm", [(5, 3), (4, 5)], (4, 3), r"i is 4 and 5; k is 3 and 4; j is 3 and 5"),
        ("Gemm", [(2, 3), (4, 2)], (2, 2), r"k is 3 and 4"),
        ("Gemm", [(2, 3), (3, 2)], (2, 3), r"j is 2 and 3"),
        ("Gemm", [(3, 3), (3, 2)], (2, 2), r"i is 2 and 3"),
        ("Gemv", [(2, 3), (4,)], (2,), r"j is 3 and 4"),
        ("Gemv", [(3, 3), (3,)], (2,), r"i is 2 and 3"),
        ("Stencil", [(4, 4)], (3, 4), r"i is 3 and 4"),
        ("Stencil", [(3, 5)], (3, 4), r"j is 4 and 5"),
        ("Softmax", [(2, 4)], (2, 3), r"j is 3 and 4"),
        ("LayerNorm", [(2, 3), (4,), (3,)], (2, 3), r"j is 3 and 4"),
        ("Dot", [(3,), (4,)], (1,), r"i is 3 and 4"),
        ("Dot", [(4,), (3,)], (1,), r"i is 3 and 4"),
    ],
)
def test_shapes_as_numpy_refuses_them(
    grain: gl.Grain, kernel: str, inputs: list[Shape], output: Shape, said: str
) -> None:
    """A product of parts: a number that looks right."""
    given, z = ones(grain, inputs), ones(grain, [output])[0]
    params = {"Stencil": {"alpha": 0.1}, "LayerNorm": {"eps": 1e-5}}.get(kernel, {})
    grain.barrier().result(timeout=LIMIT_S)
    before = grain.metrics().total_messages_processed
    with pytest.raises(gl.OutOfBounds, match=said) as caught:
        grain.compute(f"kernels/{kernel}", inputs=given, outputs=[z], params=params)
    assert "nothing ran" in str(caught.value)
    grain.barrier().result(timeout=LIMIT_S)
    assert grain.metrics().total_messages_processed == before + 1
    assert (z.read().result(timeout=LIMIT_S) == 1).all()


def test_a_program_and_a_batch_refuse_them_as_well(grain: gl.Grain) -> None:
    """A check that only the plain call makes."""
    a, b, z = ones(grain, [(2, 3), (4, 2), (2, 2)])
    with pytest.raises(gl.OutOfBounds, match="k is 3 and 4"), grain.record():
        grain.compute("kernels/Gemm", inputs=[a, b], outputs=[z])
    rows = gl.messages(1, kernel="kernels/Gemm")
    rows["handles"][0, :3] = int(a), int(b), int(z)
    with pytest.raises(gl.OutOfBounds, match="k is 3 and 4"):
        grain.submit(rows)
    assert (z.read().result(timeout=LIMIT_S) == 1).all()


def test_a_space_with_other_rows_than_the_output(grain: gl.Grain) -> None:
    """Rows written one after the other as if the output were narrower."""
    a, b, z = ones(grain, [(4, 4), (4, 4), (4, 4)])
    with pytest.raises(gl.OutOfBounds, match=r"the space \(2, 2\) must have the output's"):
        grain.compute("kernels/Gemm", inputs=[a, b], outputs=[z], shape=(2, 2))
    grain.compute("kernels/Gemm", inputs=[a, b], outputs=[z], shape=(2, 4)).result(LIMIT_S)
    expected = np.ones((4, 4))
    expected[:2] = 4
    np.testing.assert_array_equal(z.read().result(timeout=LIMIT_S), expected)


def test_what_fits_still_runs(grain: gl.Grain) -> None:
    """A letter too many, or a flat array measured by its first axis."""
    a, b, z, x, y, one = ones(grain, [(2, 3), (3, 4), (2, 4), (6,), (2, 3), (1,)])
    grain.compute("kernels/Gemm", inputs=[a, b], outputs=[z])
    assert (z.read().result(timeout=LIMIT_S) == 3).all()
    grain.compute("kernels/Dot", inputs=[x, y], outputs=[one])
    assert one.read().result(timeout=LIMIT_S).tolist() == [6]


@gl.reduction(init=0.0)
def total(acc, v):  # type: ignore[no-untyped-def]
    return acc + v


@pytest.mark.parametrize("kernel", ["kernels/Sum", "kernels/Mean", "kernels/Max", total])
def test_a_reduction_reads_its_array_and_writes_one_element(
    grain: gl.Grain, kernel: str | gl.Kernel
) -> None:
    """A sum of the part that exists, or a second element that keeps its old contents."""
    x, one, two = ones(grain, [(4,), (1,), (2,)])
    with pytest.raises(gl.OutOfBounds, match=r"over 9 indices needs 9 elements of a0"):
        grain.compute(kernel, inputs=[x], outputs=[one], n=9)
    with pytest.raises(gl.OutOfBounds, match=r"gives one element, and its output a2 has shape"):
        grain.compute(kernel, inputs=[x], outputs=[two])
    grain.compute(kernel, inputs=[x], outputs=[one], n=3)
    if isinstance(kernel, str):  # in place: the first element
        grain.compute(kernel, inputs=[x], outputs=[x]).result(LIMIT_S)


@gl.kernel
def shifted(i, source, target):  # type: ignore[no-untyped-def]
    target[i] = source[i + 1]


def test_an_access_out_of_range_names_the_array(grain: gl.Grain) -> None:
    """A number that the user has to count to."""
    x, z = ones(grain, [(4,), (4,)])
    said = r"kernel shifted used flat index 4 of array source, which has 4; the access was skipped"
    with pytest.raises(gl.OutOfBounds, match=said):
        grain.compute(shifted, inputs=[x], outputs=[z]).result(LIMIT_S)
    with grain.record() as step:
        grain.compute(shifted, inputs=[x], outputs=[z])
    with pytest.raises(gl.OutOfBounds, match=said):
        step.run(repeat=2).result(LIMIT_S)
    rows = gl.messages(2, kernel=shifted)
    rows["handles"][:, :2] = int(x), int(z)
    with pytest.raises(gl.OutOfBounds, match=said):
        grain.submit(rows).result(LIMIT_S)


def test_a_library_kernel_names_the_place_in_its_formula(grain: gl.Grain) -> None:
    x, z = ones(grain, [(4,), (2,)])
    index = grain.allocate(2, dtype="int64")
    index.write([0, 99])
    said = r"flat index 99 of input 0 of z = x\[index\], which has 4"
    with pytest.raises(gl.OutOfBounds, match=said):
        grain.compute("kernels/Gather", inputs=[x, index], outputs=[z]).result(LIMIT_S)


def test_extents_given_as_plain_ints(grain: gl.Grain) -> None:
    """A crash: an allocation of one dimension makes its shape only when it is asked for."""
    a, x, z, long = grain.allocate((2, 3)), grain.allocate(3), grain.allocate(2), grain.allocate(4)
    for handle in (a, x, z):
        handle.write(1)
    grain.compute("kernels/Gemv", inputs=[a, x], outputs=[z])
    grain.compute("kernels/Softmax", inputs=[z], outputs=[z])
    assert z.read().result(timeout=LIMIT_S).tolist() == [0.5, 0.5]
    with pytest.raises(gl.OutOfBounds, match="j is 3 and 4"):
        grain.compute("kernels/Gemv", inputs=[a, long], outputs=[z])
