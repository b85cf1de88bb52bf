"""Size classes: which block serves which request."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpures_lab as gl
from gpures_lab._core import _native
from tests.grain.engines import LIMIT_S


@pytest.mark.parametrize(
    ("request_bytes", "block"),
    [
        (1, 256),
        (256, 256),
        (257, 512),
        (2048, 2048),
        (2049, 2304),
        (4096, 4096),
        (4097, 4608),
        (1 << 20, 1 << 20),
        ((1 << 20) + 1, (1 << 20) + (1 << 17)),
    ],
)
def test_classes_by_name(request_bytes: int, block: int) -> None:
    """An edge that falls into the class below: a block smaller than its request."""
    assert _native.class_bytes(request_bytes) == block


@given(st.integers(1, 1 << 45))
def test_a_class_fits_wastes_little_and_serves_itself(request_bytes: int) -> None:
    """A class that is too small, wastes more than an eighth, or is not aligned."""
    block = _native.class_bytes(request_bytes)
    assert request_bytes <= block
    assert block - request_bytes < max(256, request_bytes / 8 + 1)
    assert block % 256 == 0
    assert _native.class_bytes(block) == block
    assert block <= _native.class_bytes(request_bytes + 1)


@given(st.lists(st.integers(1, 5 << 20), min_size=2, max_size=2))
def test_two_sizes_share_blocks_exactly_when_they_share_a_class(sizes: list[int]) -> None:
    """Two classes in one free list: the larger request would get the smaller block."""
    with gl.GrainManager(device="host", ring=gl.RingOptions(slots=4)) as lab:
        grain = lab.grain(dtype="uint8")
        first = grain.allocate(sizes[0])
        block = _native.block_of(first)
        first.release()
        second = grain.allocate(sizes[1])
        same = _native.class_bytes(sizes[0]) == _native.class_bytes(sizes[1])
        assert (_native.block_of(second) == block) is same
        data = np.full(sizes[1], 7, np.uint8)
        second.write(data)
        assert (second.read().result(timeout=LIMIT_S) == data).all()
