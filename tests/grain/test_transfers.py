"""Write and Read at the edges where the way of the data changes: page, staging chunk, strides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
EDGES = (1, 4095, 4096, 4097, MIB - 1, MIB, MIB + 1, 2 * MIB, 4 * MIB + 1, 10_000_000)


def pattern(size: int, dtype: str = "uint8") -> np.ndarray:
    """Bytes that differ from their neighbours a page, a chunk and a slot away."""
    return (np.arange(size, dtype=np.uint64) * 2654435761 >> 13).astype(dtype)


@pytest.mark.parametrize("size", EDGES)
def test_write_and_read_back(tiny: gl.GrainManager, size: int) -> None:
    """An off-by-one at the page (4096 bytes) or the staging chunk (1 MiB)."""
    grain = tiny.grain(dtype="uint8")
    x = grain.allocate(size)
    data = pattern(size)
    grain.write(x, data)
    np.testing.assert_array_equal(grain.read(x).result(timeout=LIMIT_S), data)
    out = np.full(size, 255, np.uint8)
    assert grain.read(x, out=out).result(timeout=LIMIT_S) is out
    np.testing.assert_array_equal(out, data)


@pytest.mark.parametrize("size", [5000, 3 * MIB])
@pytest.mark.parametrize("offset", [1, 4095, 4097])
def test_offset_and_count_leave_the_rest_alone(
    tiny: gl.GrainManager, size: int, offset: int
) -> None:
    """A range in bytes instead of elements, or one that is shifted in later chunks."""
    grain = tiny.grain(dtype="uint16")
    x = grain.allocate(size + 2 * offset)
    twin = np.full(size + 2 * offset, 7, np.uint16)
    grain.write(x, 7)
    data = pattern(size, "uint16")
    grain.write(x, data, offset=offset)
    twin[offset : offset + size] = data
    np.testing.assert_array_equal(grain.read(x).result(timeout=LIMIT_S), twin)
    part = grain.read(x, offset=offset - 1, count=size).result(timeout=LIMIT_S)
    np.testing.assert_array_equal(part, twin[offset - 1 : offset - 1 + size])
    assert grain.read(x, offset=offset).result(timeout=LIMIT_S).size == size + offset


def test_a_count_alone_starts_at_the_first_element_and_gives_one_dimension(
    tiny: gl.GrainManager,
) -> None:
    """`count=` taken from the end, or in the handle's shape."""
    x = tiny.grain().allocate((4, 5))
    x.write(np.arange(20).reshape(4, 5))
    assert x.read(count=6).result(timeout=LIMIT_S).tolist() == [0, 1, 2, 3, 4, 5]
    assert x.read().result(timeout=LIMIT_S).shape == (4, 5)


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a[::2, ::3],
        lambda a: a[::-1, :5],
        np.asfortranarray,
        lambda a: a.T,
        lambda a: a.astype(">f4"),
        lambda a: a.astype("f8"),
        lambda a: a.astype("f8")[:, 1:],
        lambda a: a.astype("i2"),
        lambda a: a.view(np.matrix),
        lambda a: np.broadcast_to(a[0], (6, a.shape[1])),
    ],
    ids=[
        "strided",
        "reversed",
        "fortran",
        "transposed",
        "big-endian",
        "cast",
        "cast-strided",
        "from-int16",
        "subclass",
        "broadcast",
    ],
)
@pytest.mark.parametrize("rows", [8, 900])
def test_layouts_and_casts_of_the_source(
    tiny: gl.GrainManager, make: Callable[[np.ndarray], np.ndarray], rows: int
) -> None:
    """Memory copied without its strides, byte order or dtype."""
    source = make(np.arange(rows * 12, dtype=np.float32).reshape(rows, 12) % 251)
    grain = tiny.grain()
    x = grain.allocate(source.shape)
    grain.write(x, source)
    np.testing.assert_array_equal(
        grain.read(x).result(timeout=LIMIT_S), np.asarray(source, np.float32)
    )


def test_the_source_may_change_as_soon_as_write_returns(tiny: gl.GrainManager) -> None:
    """A write that keeps a pointer to the caller's array."""
    grain = tiny.grain()
    x, y = grain.allocate(16), grain.allocate(2_000_000)
    small, large = np.ones(16, np.float32), np.ones(2_000_000, np.float32)
    with tiny.quiesced():
        grain.write(x, small)
        small[:] = 9
    grain.write(y, large)
    large[:] = 9
    assert (x.read().result(timeout=LIMIT_S) == 1).all()
    assert (y.read().result(timeout=LIMIT_S) == 1).all()


@pytest.mark.parametrize("size", [1, 2, 1023, MIB + 3])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float16", "float32", "int64", "complex128"])
def test_a_scalar_fills(tiny: gl.GrainManager, size: int, dtype: str) -> None:
    """A fill that repeats the wrong number of bytes, or only the first chunk."""
    x = tiny.grain(dtype=dtype).allocate(size)
    value = np.asarray(1 if dtype == "bool" else 3, dtype)
    x.write(value)
    got = x.read().result(timeout=LIMIT_S)
    assert got.dtype == dtype
    assert (got == value).all()


def test_a_scalar_with_an_offset_writes_one_element(tiny: gl.GrainManager) -> None:
    """A fill that ignores `offset=` and wipes the array."""
    x = tiny.grain().allocate(4)
    x.write(5, offset=2)
    assert x.read().result(timeout=LIMIT_S).tolist() == [0, 0, 5, 0]


@pytest.mark.parametrize(
    "dtype",
    ["bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"],
)
def test_every_dtype_keeps_its_bits(tiny: gl.GrainManager, dtype: str) -> None:
    """A dtype code that is taken for its neighbour's."""
    rng = np.random.default_rng(1)
    data = (
        rng.integers(0, 2, 999).astype(dtype)
        if dtype == "bool"
        else (rng.standard_normal(999) * 50).astype(dtype)
    )
    x = tiny.grain(dtype=dtype).allocate(999)
    x.write(data)
    assert x.read().result(timeout=LIMIT_S).tobytes() == data.tobytes()
    assert np.asarray(x).dtype == np.dtype(dtype)


@pytest.mark.parametrize("shape", [(), 1, (1,), (3, 4), (2, 3, 4, 5), [5, 6], np.int64(9)])
def test_shapes(tiny: gl.GrainManager, shape: Any) -> None:
    """A shape that is flattened, or an extent lost."""
    wanted = np.zeros(shape).shape
    x = tiny.grain().allocate(shape)
    assert x.shape == wanted
    assert x.read().result(timeout=LIMIT_S).shape == wanted
    assert x.nbytes == int(np.prod(wanted)) * 4


def test_transfers_in_parts_of_one_grain_do_not_mix(make_lab: Callable[..., Any]) -> None:
    """Parts of two large transfers of one grain that interleave: a torn array."""
    lab = make_lab("slots4")
    grain = lab.grain(dtype="uint8")
    x = grain.allocate(6 * MIB)

    def work(number: int) -> None:
        for k in range(4):
            grain.write(x, np.full(6 * MIB, 16 * number + k, np.uint8))
            got = grain.read(x).result(timeout=LIMIT_S)
            assert (got == got[0]).all()

    in_threads(3, work)


def test_asarray_is_an_ordered_copy(tiny: gl.GrainManager) -> None:
    """`np.asarray(handle)` that overtakes a queued write, or shares memory."""
    x = tiny.grain().allocate(4)
    x.write(3)
    copy = np.asarray(x)
    assert copy.tolist() == [3] * 4
    copy[:] = 8
    assert np.asarray(x, dtype=np.int64).tolist() == [3] * 4
    with pytest.raises(ValueError, match="borrow"):
        np.asarray(x, copy=False)


def test_pinned_memory_reads_and_writes_and_says_so(tiny: gl.GrainManager) -> None:
    """A pinned request served from device blocks, or a pinned block lent as a device one."""
    grain = tiny.grain()
    pinned = grain.allocate(100, memory_type="pinned")
    device = grain.allocate(100)
    assert (pinned.memory_type, device.memory_type) == ("pinned", "device")
    pinned.write(2)
    device.write(3)
    pinned.release()
    other = grain.allocate(100, zero=False)
    assert other.read().result(timeout=LIMIT_S).tolist() == [0] * 100
    assert device.read().result(timeout=LIMIT_S).tolist() == [3] * 100
