"""Bad shapes, dtypes and options of `allocate` and `grain`: a clear error, and nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S


@pytest.fixture
def grain(tiny: gl.GrainManager) -> Iterator[gl.Grain]:
    """Return a grain with data; after the test the data is there and everything works."""
    grain = tiny.grain("g")
    kept = grain.allocate(8)
    kept.write(5)
    yield grain
    assert tiny.metrics().active_allocation_count == 1
    assert kept.read().result(timeout=LIMIT_S).tolist() == [5] * 8
    grain.allocate(8).write(1).result(timeout=LIMIT_S)


@pytest.mark.parametrize("shape", [-1, (3, -2), -(1 << 70), (-1, -1)])
def test_negative_shapes(grain: gl.Grain, shape: Any) -> None:
    """A negative extent taken as unsigned: an enormous allocation."""
    with pytest.raises(gl.InvalidOption, match="every extent must be 1 or more"):
        grain.allocate(shape)


@pytest.mark.parametrize("shape", [0, (3, 0), np.int64(0)])
def test_zero_shapes(grain: gl.Grain, shape: Any) -> None:
    """An allocation without memory, whose block is somebody else's."""
    with pytest.raises(gl.InvalidOption, match="every extent must be 1 or more"):
        grain.allocate(shape)


@pytest.mark.parametrize(
    "shape",
    [1 << 60, 1 << 64, (1 << 40, 1 << 40), 10**400, 1 << 20_000, (1 << 31,) * 9],
    ids=["2**60", "2**64", "2**80", "10**400", "2**20000", "nine"],
)
def test_huge_shapes(grain: gl.Grain, shape: Any) -> None:
    """A product that overflows into a small allocation."""
    with pytest.raises(gl.InvalidOption, match="no device has that much"):
        grain.allocate(shape)


def test_shapes_beyond_the_pool(grain: gl.Grain) -> None:
    """A crash of the host's allocator instead of the pool's answer."""
    with pytest.raises(gl.PoolExhausted, match="pool_limit_bytes"):
        grain.allocate(1 << 50)


def test_too_many_dimensions(grain: gl.Grain) -> None:
    """A shape that overruns the fixed arrays of the native code."""
    with pytest.raises(gl.InvalidOption, match="33 dimensions; at most 32"):
        grain.allocate((1,) * 33)
    assert grain.allocate((1,) * 32).ndim == 32


@pytest.mark.parametrize(
    "shape", [1.0, 1.5, "10", None, (2, 3.0), ("a",), True, (2, np.True_), np.zeros(2), {1}, [[1]]]
)
def test_non_integer_shapes(grain: gl.Grain, shape: Any) -> None:
    """A shape that is rounded, or taken apart character by character."""
    with pytest.raises(gl.InvalidOption, match="give an int or a tuple of ints"):
        grain.allocate(shape)


@pytest.mark.parametrize(
    "dtype",
    [
        object,
        "U5",
        "S3",
        np.str_,
        [("a", "f4"), ("b", "i4")],
        "M8[s]",
        "m8[ns]",
        "V8",
        "f4,f4",
        np.longdouble,
        np.clongdouble,
    ],
    ids=str,
)
def test_dtypes_that_no_device_holds(grain: gl.Grain, dtype: Any) -> None:
    """Python objects, text or padded fields as raw bytes."""
    if np.dtype(dtype) in (np.float64, np.complex128):
        pytest.skip("long double is double here")
    with pytest.raises(gl.InvalidOption, match="cannot live on a device; use one of bool"):
        grain.allocate(4, dtype=dtype)
    with pytest.raises(gl.InvalidOption, match="cannot live on a device"):
        grain.manager.grain("never made", dtype=dtype)  # type: ignore[attr-defined]
    assert "never made" not in grain.manager.grains  # type: ignore[attr-defined]


@pytest.mark.parametrize("dtype", ["no such", 3.5, [1, 2], b"f4\0x"])
def test_things_that_are_no_dtype(grain: gl.Grain, dtype: Any) -> None:
    """NumPy's TypeError instead of ours."""
    with pytest.raises(gl.InvalidOption, match="no NumPy dtype"):
        grain.allocate(4, dtype=dtype)


def test_a_foreign_byte_order_becomes_the_machines(grain: gl.Grain) -> None:
    """Swapped bytes that arithmetic then takes as numbers."""
    x = grain.allocate(3, dtype=">i4")
    assert x.dtype == np.dtype("=i4")
    x.write(np.array([1, 2, 3], ">i4"))
    assert x.read().result(timeout=LIMIT_S).tolist() == [1, 2, 3]
    del x


@pytest.mark.parametrize("memory_type", ["gpu", "", 1, "Device"])
def test_memory_types(grain: gl.Grain, memory_type: Any) -> None:
    """An unknown memory type that silently is the default."""
    with pytest.raises(gl.InvalidOption, match="'device' or 'pinned'"):
        grain.allocate(4, memory_type=memory_type)
    with pytest.raises(gl.InvalidOption, match="'device' or 'pinned'"):
        grain.allocate(4, memory_type=memory_type, name="x")


def test_unknown_and_missing_arguments(grain: gl.Grain) -> None:
    """A misspelt option that is ignored."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'zeros'"):
        grain.allocate(4, zeros=False)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing required argument 'shape'"):
        grain.allocate()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        grain.allocate(4, "f4")  # type: ignore[misc]
    with pytest.raises(TypeError, match="multiple values"):
        grain.allocate(4, shape=4)  # type: ignore[misc]


@pytest.mark.parametrize("flag", ["no", 1, 0.0, np.zeros(2)], ids=repr)
def test_flags_that_are_no_bool(grain: gl.Grain, flag: Any) -> None:
    """``zero="no"`` that zeroes; an exception in a truth value, and a block rented for nobody."""
    with pytest.raises(gl.InvalidOption, match="zero=.*give True or False"):
        grain.allocate(4, zero=flag)
    x = grain.allocate(4, zero=np.False_)
    with pytest.raises(gl.InvalidOption, match="checked=.*give True or False"):
        grain.compute("kernels/Neg", inputs=[x], outputs=[x], checked=flag)
    grain.compute("kernels/Neg", inputs=[x], outputs=[x], checked=False).result(timeout=LIMIT_S)


@pytest.mark.parametrize("space", [{"n": True}, {"shape": (True,)}, {"n": np.True_}], ids=str)
def test_an_index_space_that_is_a_bool(grain: gl.Grain, space: dict[str, Any]) -> None:
    """One index, for what was meant as a switch."""
    x = grain.allocate(4)
    with pytest.raises(gl.InvalidOption, match="must be 1 int"):
        grain.compute("kernels/Neg", inputs=[x], outputs=[x], **space)


@pytest.mark.parametrize(
    "key", ["", "x" * 513, "é" * 257, "\ud800", "a\udfff", 7, None, b"k", ("k",)]
)
def test_keys(tiny: gl.GrainManager, key: Any) -> None:
    """A key that no store can hold, or no log can print."""
    with pytest.raises(gl.InvalidOption, match="1 to 512 UTF-8 bytes"):
        tiny.grain(key)
    assert not tiny.grains


@pytest.mark.parametrize("key", ["x" * 512, "é" * 256, "with\0nul", "  ", "\n", "🚀", "a/b", ".."])
def test_odd_but_good_keys(tiny: gl.GrainManager, key: str) -> None:
    """A key that is cut, trimmed or normalized: two keys for one grain."""
    grain = tiny.grain(key)
    assert grain.key == key
    grain.ping().result(timeout=LIMIT_S)
    assert key[:5] in repr(grain) or repr(key)[1:5] in repr(grain)


@pytest.mark.parametrize(
    "options",
    [
        {"placement": "here"},
        {"device": "tpu"},
        {"device": "cuda:0"},
        {"device": 3},
        {"durable": "yes"},
    ],
    ids=str,
)
def test_grain_options(tiny: gl.GrainManager, options: dict[str, Any]) -> None:
    """`lab.grain` raises InvalidOption and nothing else; the key stays free."""
    with pytest.raises(gl.InvalidOption):
        tiny.grain("k", **options)
    assert "k" not in tiny.grains


@pytest.mark.parametrize(
    "options",
    [
        {"pool_limit_bytes": 1},
        {"full_wait_s": -1},
        {"stall_s": 0},
        {"ring": 4},
        {"device": "x"},
        {"full_wait_s": float("nan")},
        {"idle_after_s": 0},
        {"state_url": " "},
    ],
    ids=str,
)
def test_manager_options(options: dict[str, Any]) -> None:
    """An option out of range that is found out later, by a thread."""
    with pytest.raises(gl.InvalidOption):
        gl.GrainManager(**options)
