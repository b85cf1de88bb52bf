"""The table itself: lookup, grouping, alias patterns, and the Python view of it."""

from __future__ import annotations

import numpy as np
import pytest

from gpures_lab.errors import DtypeMismatch, InvalidOption, UnknownKernel
from gpures_lab.kernels.catalogue import Catalogue

from .native import Library


@pytest.fixture(scope="module")
def catalogue(library: Library) -> Catalogue:
    return Catalogue(native.row for native in library.rows[library.native])


def test_dtype_codes_are_numpy_names_and_sizes(library: Library) -> None:
    """Catches a renumbered code or a wrong size: both cross the ring and stay in checkpoints."""
    assert library.dtypes[:5] == ["bool", "int8", "int16", "int32", "int64"]
    assert library.dtypes[5:9] == ["uint8", "uint16", "uint32", "uint64"]
    assert library.dtypes[9:] == ["float32", "float64", "complex64", "complex128", "float16"]
    for code, name in enumerate(library.dtypes):
        size = np.dtype(name).itemsize
        assert library.dll.dtype_itemsize(code) == size
        assert library.dll.dtype_itemsize_by_function(code) == size


def test_find_gives_every_row_by_name_and_alias(library: Library) -> None:
    """Catches a row that the lookup cannot reach, or reaches under another row's dtypes."""
    for native in library.rows[library.native]:
        row = native.row
        for name in (row.name, *row.aliases):
            found = library.find(name, row.dtypes, row.same, row.ndims)
            assert found == native.address, str(native)
            assert library.find(name, row.dtypes, row.same) is not None


@pytest.mark.parametrize(
    ("name", "dtypes", "same"),
    [
        ("kernels/Nothing", ("float32",) * 3, (0, 1, 2)),
        ("kernels/Add", ("float32", "float32", "float64"), (0, 1, 2)),
        ("kernels/Add", ("float16",) * 3, (0, 1, 2)),
        ("kernels/Add", ("float32",) * 2, (0, 1)),
        ("kernels/ArgMin", ("int64", "int64"), (0, 0)),
        ("kernels/Ad", ("float32",) * 3, (0, 1, 2)),
    ],
)
def test_find_refuses_what_is_not_there(
    library: Library, name: str, dtypes: tuple[str, ...], same: tuple[int, ...]
) -> None:
    assert library.find(name, dtypes, same) is None


def test_rows_are_the_same_on_every_instruction_set(library: Library) -> None:
    """Catches a row that exists, or is flagged, on one instruction set only."""
    tables = [[(n.row, n.elements_rule) for n in natives] for natives in library.rows.values()]
    assert all(table == tables[0] for table in tables)
    keys = {(row.name, row.dtypes, row.same, row.ndims) for row, _ in tables[0]}
    assert len(keys) == len(tables[0])


def test_equal_handles_always_have_equal_dtypes(library: Library) -> None:
    """Catches a pattern that would read one array as two dtypes."""
    for native in library.rows["baseline"]:
        for p, first in enumerate(native.row.same):
            assert first <= p
            assert native.row.same[first] == first
            assert native.row.dtypes[first] == native.row.dtypes[p]


def test_maps_need_the_whole_space_everywhere(library: Library) -> None:
    """Catches a map whose short input would be read past its end."""
    for native in library.rows["baseline"]:
        if native.row.is_map:
            assert set(native.elements_rule) == {1}, str(native)
            assert not native.row.whole
        assert native.row.params == () or len(native.row.param_dtypes) == len(native.row.params)


NAMES = """Fill Copy Cast Add VectorAdd Sub Mul Fma Saxpy Sum Min Max ArgMin Dot Mean Norm Neg Abs
Sqrt Exp Log Sin Cos Tanh Relu Sigmoid Div Scan Histogram Gather Scatter Gemv Gemm Softmax LayerNorm
Stencil Sort RandomUniform RandomNormal"""


def test_every_operation_is_there(catalogue: Catalogue) -> None:
    assert [name for name in NAMES.split() if f"kernels/{name}" not in catalogue] == []
    assert catalogue["kernels/VectorAdd"] is catalogue["kernels/Add"]
    assert catalogue["kernels/Saxpy"].params == ("a",)
    assert catalogue["kernels/Fill"].inputs == 0
    assert len(catalogue) == len(list(catalogue))


def test_sum_has_numpys_output_dtype(catalogue: Catalogue) -> None:
    for source, target in catalogue["kernels/Sum"].dtypes:
        assert np.sum(np.ones(1, source)).dtype.name == target


def test_an_unknown_name_lists_near_ones(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownKernel, match="did you mean kernels/VectorAdd") as caught:
        catalogue["kernels/vectoradd"]
    assert caught.value.fields["kernel"] == "kernels/vectoradd"
    with pytest.raises(UnknownKernel, match="kernels/Saxpy"):
        catalogue["saxpy"]
    with pytest.raises(UnknownKernel, match="names are known"):
        catalogue["kernels/Qqqqqqqqq"]


def test_a_wrong_dtype_names_the_nearest_and_the_cure(catalogue: Catalogue) -> None:
    message = r"\(float32, float64\) → \(float32\).*float32, float32.*kernels/Cast"
    with pytest.raises(DtypeMismatch, match=message):
        catalogue["kernels/Add"].row(("float32", "float64", "float32"), (0, 1, 2))


def test_wrong_counts_and_places_are_options_errors(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidOption, match="2 inputs and 1 outputs, 2 arrays given"):
        catalogue["kernels/Add"].row(("float32", "float32"), (0, 1))
    with pytest.raises(InvalidOption, match="positions 0 and 1"):
        catalogue["kernels/ArgMin"].row(("int64", "int64"), (0, 0))
    row = catalogue["kernels/Add"].row(("int8",) * 3, (0, 0, 2))
    assert row.same == (0, 0, 2)


def test_dimensions_choose_the_row_and_wrong_ones_are_named(
    library: Library, catalogue: Catalogue
) -> None:
    """Catches a one-dimensional array read by a kernel that looks for two extents."""
    softmax, pair = catalogue["kernels/Softmax"], ("float32", "float32")
    for ndim in (1, 2, 3):
        row = softmax.row(pair, (0, 1), (ndim, ndim))
        assert (row.indices, row.whole) == (ndim, ndim == 1)
    with pytest.raises(InvalidOption, match=r"\(1, 1\) or \(2, 2\).*\(4, 4\) given"):
        softmax.row(pair, (0, 1), (4, 4))
    assert library.find("kernels/Softmax", pair, (0, 1), (4, 4)) is None
    assert library.find("kernels/Gemv", ("float32",) * 3, (0, 1, 2), (1, 1, 1)) is None
