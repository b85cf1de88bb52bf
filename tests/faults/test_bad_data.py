"""Bad data, targets and ranges of `write` and `read`: a clear error, and nothing moved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S


@pytest.fixture
def x(tiny: gl.GrainManager) -> Iterator[gl.ResidentArray]:
    """Return a handle of 8 float32; after the test it holds what it held."""
    x = tiny.grain("g").allocate(8)
    x.write(np.arange(8))
    yield x
    assert x.read().result(timeout=LIMIT_S).tolist() == list(range(8))
    assert tiny.metrics().errors == 0


@pytest.mark.parametrize("size", [0, 1, 7, 9, 100_000])
def test_a_whole_write_of_another_size(x: gl.ResidentArray, size: int) -> None:
    """Data cut, repeated or written past the end."""
    with pytest.raises(gl.OutOfBounds, match=r"a0 has shape \(8,\).*nothing was written.*offset="):
        x.write(np.ones(size, np.float32))


@pytest.mark.parametrize(
    ("offset", "size"), [(8, 1), (1, 8), (-1, 1), (7, 2), (1 << 62, 1), (1 << 80, 1), (9, 0)]
)
def test_a_write_out_of_range(x: gl.ResidentArray, offset: int, size: int) -> None:
    """An offset that wraps, or an end that is one too far."""
    with pytest.raises(gl.OutOfBounds, match="leaves a0, which has 8 elements"):
        x.write(np.ones(size, np.float32), offset=offset)


@pytest.mark.parametrize(
    "options",
    [
        {"offset": 9},
        {"offset": -1},
        {"count": 9},
        {"count": -3},
        {"offset": 4, "count": 5},
        {"offset": 1 << 63},
        {"count": 1 << 64},
        {"offset": 9, "count": 0},
        {"offset": (1 << 63) - 1, "count": (1 << 63) - 1},
    ],
    ids=str,
)
def test_a_read_out_of_range(x: gl.ResidentArray, options: dict[str, int]) -> None:
    """A read of the neighbour's memory."""
    said = ", ".join(f"{name}={value}" for name, value in options.items())
    with pytest.raises(gl.OutOfBounds, match=f"^{said} leaves a0"):  # the numbers that were given
        x.read(**options)


@pytest.mark.parametrize("offset", [0, 3, 8])
def test_an_empty_range_inside_is_nothing(x: gl.ResidentArray, offset: int) -> None:
    """What NumPy's slices allow, refused; or a message that moves a byte all the same."""
    assert x.read(offset=offset, count=0).result(timeout=LIMIT_S).shape == (0,)
    assert x.read(offset=8).result(timeout=LIMIT_S).shape == (0,)
    x.write(np.zeros(0), offset=offset).result(timeout=LIMIT_S)
    x.write([], offset=offset).result(timeout=LIMIT_S)
    assert x.read().result(timeout=LIMIT_S).tolist() == list(range(8))


@pytest.mark.parametrize(
    "options",
    [{"offset": 1.5}, {"offset": "1"}, {"count": 2.0}, {"offset": True}, {"count": np.True_}],
    ids=str,
)
def test_ranges_that_are_no_integers(x: gl.ResidentArray, options: dict[str, Any]) -> None:
    """A range that is rounded."""
    with pytest.raises(gl.InvalidOption, match="give ints, in elements"):
        x.read(**options)
    if "offset" in options:
        with pytest.raises(gl.InvalidOption, match="give ints, in elements"):
            x.write(1, **options)


@pytest.mark.parametrize(
    "data",
    [
        np.zeros(8, object),
        np.array(["a"] * 8),
        np.zeros(8, "S2"),
        np.zeros(8, "M8[s]"),
        np.zeros(8, "m8[s]"),
        np.zeros(8, [("a", "f4")]),
        np.zeros(8, "V4"),
        "text",
        b"bytes",
        None,
        pytest.param(object(), id="object"),
        [[1, 2], [3]],
        {"a": 1},
        [None] * 8,
        np.zeros(8, complex),
        1j,
        [1j] * 8,
    ],
    ids=repr,
)
def test_data_that_does_not_cast(x: gl.ResidentArray, data: Any) -> None:
    """Pointers, text or the real part alone, written as numbers."""
    with pytest.raises(gl.DtypeMismatch):
        x.write(data)


@pytest.mark.parametrize(
    ("dtype", "data"),
    [
        ("uint8", 256),
        ("uint8", -1),
        ("int8", 1.5),
        ("int32", np.float32(1)),
        ("int8", 10**30),
        ("uint16", np.int16(1)),
        ("bool", 2),
        ("bool", 0.5),
        ("int64", np.zeros(1)),
    ],
)
def test_scalars_that_do_not_cast(tiny: gl.GrainManager, dtype: str, data: Any) -> None:
    """A number that wraps or is truncated."""
    z = tiny.grain().allocate(1, dtype=dtype)
    z.write(np.ones(1, dtype))
    with pytest.raises(gl.DtypeMismatch, match=r"does not cast|cannot be cast"):
        z.write(data)
    assert z.read().result(timeout=LIMIT_S)[0] == 1


def test_a_handle_as_data(x: gl.ResidentArray) -> None:
    """An upload of what is on the device already, by way of the host."""
    with pytest.raises(gl.InvalidOption, match="copy on the device"):
        x.write(x)


@pytest.mark.parametrize("size", [7, 9, 0])
def test_out_of_the_wrong_size(x: gl.ResidentArray, size: int) -> None:
    """A read past the end of the user's array."""
    with pytest.raises(gl.InvalidOption, match=f"out has {size} elements, the read gives 8"):
        x.read(out=np.zeros(size, np.float32))


@pytest.mark.parametrize("dtype", ["f8", "i4", ">f4", "c8", "O"])
def test_out_of_the_wrong_dtype(x: gl.ResidentArray, dtype: str) -> None:
    """Bytes of one dtype under the name of another."""
    with pytest.raises(gl.DtypeMismatch, match="out has dtype"):
        x.read(out=np.zeros(8, dtype))


def test_out_of_the_wrong_order(x: gl.ResidentArray) -> None:
    """A read that ignores strides."""
    z = x.grain.allocate((2, 4))
    targets = [
        np.zeros((2, 4), np.float32, order="F"),
        np.zeros((4, 4), np.float32)[::2],
        np.zeros((2, 8), np.float32)[:, ::2],
        np.zeros((2, 4), np.float32)[::-1],
    ]
    for out in targets:
        with pytest.raises(gl.InvalidOption, match="not C-contiguous"):
            z.read(out=out)
        assert not out.any()


def test_out_that_is_read_only_or_unaligned(x: gl.ResidentArray) -> None:
    """A write into memory the user has locked."""
    locked = np.zeros(8, np.float32)
    locked.flags.writeable = False
    with pytest.raises(gl.InvalidOption, match="read-only"):
        x.read(out=locked)
    unaligned = np.zeros(33, np.uint8)[1:].view(np.float32)
    with pytest.raises(gl.InvalidOption, match="out is not C"):
        x.read(out=unaligned)
    assert not locked.any()
    assert not unaligned.any()


@pytest.mark.parametrize("out", [[0] * 8, bytearray(32), "out", 3])
def test_out_that_is_no_array(x: gl.ResidentArray, out: Any) -> None:
    """A list that is filled in a copy nobody sees."""
    with pytest.raises(gl.InvalidOption, match="is no ndarray"):
        x.read(out=out)


def test_out_with_an_equal_dtype_of_its_own_is_taken(x: gl.ResidentArray) -> None:
    """A dtype compared by identity alone: a good array refused."""
    out = np.zeros(8, np.dtype("f4", metadata={"mine": 1}))
    assert x.read(out=out).result(timeout=LIMIT_S) is out
    assert out.tolist() == list(range(8))


def test_a_read_only_source_is_good(x: gl.ResidentArray) -> None:
    """A source refused because it cannot be written to."""
    source = np.arange(8, dtype=np.float32)
    source.flags.writeable = False
    x.write(source).result(timeout=LIMIT_S)
