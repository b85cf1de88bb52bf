"""Batches: many messages as one structured array, one completion, nothing half-checked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.errors import (
    CompileError,
    InvalidOption,
    OutOfBounds,
    RingFull,
    UnknownKernel,
)
from gpures_lab.ring.batch import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S = 30


@gl.kernel
def scaled(i, x, z, a, b):  # type: ignore[no-untyped-def]
    z[i] = z[i] * a + b * x[i]


@gl.kernel
def beyond(i, x, z, at):  # type: ignore[no-untyped-def]
    z[i] = x[i + int(at)]


@pytest.fixture
def lab() -> Iterator[gl.GrainManager]:
    options = gl.RingOptions(slots=4, lease_ms=1)
    with gl.GrainManager(device="host", full_wait_s=0.2, ring=options) as lab:
        yield lab


def test_rows_equal_single_calls(lab: gl.GrainManager) -> None:
    """Would catch: a param of another row, handles mixed up, rows lost where the ring wraps."""
    random = np.random.default_rng(5)
    grain = lab.grain()
    arrays = [grain.allocate(6) for _ in range(5)]
    twins = [np.zeros(6, np.float32) for _ in arrays]
    source = random.random(1000).astype(np.float32)
    writes = gl.messages(300, op="write")
    computes = gl.messages(300, kernel=scaled)
    rows = np.zeros(600, MESSAGE)
    for n in range(300):
        target, where, size = random.integers(5), random.integers(4), random.integers(1, 3)
        start = random.integers(900)
        writes[n]["handles"][0] = int(arrays[target])
        writes[n]["offset"], writes[n]["count"], writes[n]["data"] = where, size, start
        x, z = random.integers(5), random.integers(5)
        computes[n]["handles"][:2] = int(arrays[x]), int(arrays[z])
        computes[n]["params"][:2] = random.random(2)
        twins[target][where : where + size] = source[start : start + size]
        # A Python float in a kernel does not widen float32.
        a, b = (np.float32(each) for each in computes[n]["params"][:2])
        twins[z][:] = twins[z] * a + b * twins[x]
    rows[0::2], rows[1::2] = writes, computes
    posted = lab._engine.snapshot()["messages_posted"]
    assert grain.submit(rows, data=source).result(LIMIT_S) is None
    assert lab._engine.snapshot()["messages_posted"] == posted + 600
    for array, twin in zip(arrays, twins, strict=True):
        assert np.array_equal(np.asarray(array), twin)


def test_library_kernels_with_and_without_params(lab: gl.GrainManager) -> None:
    """Would catch: a float64 param handed to a float32 kernel as its bits."""
    grain = lab.grain()
    x, z = grain.allocate(8), grain.allocate(8)
    grain.write(x, np.arange(8))
    saxpy = gl.messages(10, kernel="kernels/Saxpy")
    saxpy["handles"][:, :3] = int(x), int(z), int(z)
    saxpy["params"][:, 0] = np.arange(10)
    add = gl.messages(3, kernel="kernels/VectorAdd")
    add["handles"][:, :3] = int(x), int(z), int(z)
    add["count"] = [8, 4, 0]
    grain.submit(np.concatenate([saxpy, gl.messages(2, op="barrier"), add])).result(LIMIT_S)
    expected = np.arange(8) * 45.0
    expected += np.arange(8)
    expected[:4] += np.arange(4)
    expected += np.arange(8)
    assert np.array_equal(np.asarray(z), expected)


def test_the_first_error_drops_the_rest_of_this_batch_only(lab: gl.GrainManager) -> None:
    """Would catch: rows run after a failed one, or the next batch dropped with it."""
    grain = lab.grain()
    x, z = grain.allocate(8), grain.allocate(8)
    grain.write(x, 1.0)
    rows = gl.messages(9, kernel="kernels/VectorAdd")
    rows["handles"][:, :3] = int(x), int(z), int(z)
    bad = gl.messages(1, kernel=beyond)
    bad["handles"][:, :2] = int(x), int(z)
    bad["params"][:, 0] = 100
    completion = grain.submit(np.concatenate([rows[:2], bad, rows]))
    grain.compute("kernels/VectorAdd", inputs=[x, z], outputs=[z]).result(LIMIT_S)
    with pytest.raises(OutOfBounds, match="9 later rows"):
        completion.result(LIMIT_S)
    # A skipped read gives 0, so the failed row left zeros; one single call came after it.
    assert np.asarray(z).tolist() == [1] * 8
    grain.submit(rows).result(LIMIT_S)
    assert np.asarray(z).tolist() == [10] * 8


def fail_side_by_side(grains: list[gl.Grain]) -> None:
    arrays = [(grain.allocate(8), grain.allocate(8)) for grain in grains]

    def fail(grain: gl.Grain, x: gl.ResidentArray, z: gl.ResidentArray) -> bool:
        bad = gl.messages(1, kernel=beyond)
        bad["handles"][:, :2] = int(x), int(z)
        bad["params"][:, 0] = 100
        rows = gl.messages(60, kernel="kernels/VectorAdd")
        rows["handles"][:, :3] = int(x), int(z), int(z)
        batch = np.concatenate([bad, rows])
        return all(
            isinstance(grain.submit(batch).exception(LIMIT_S), OutOfBounds) for _ in range(40)
        )

    for grain, (x, _) in zip(grains, arrays, strict=True):
        grain.write(x, 1.0)
    with ThreadPoolExecutor(len(grains)) as pool:
        pairs = zip(grains, arrays, strict=True)
        assert all(pool.map(lambda pair: fail(pair[0], *pair[1]), pairs))
    for _, z in arrays:
        assert np.asarray(z).tolist() == [0] * 8


def test_batches_of_several_grains_fail_apart() -> None:
    """Would catch: rows run after their batch failed, because another grain's failed since."""
    with gl.GrainManager(device="host", ring=gl.RingOptions(slots=4)) as lab:
        fail_side_by_side([lab.grain(f"grain {n}") for n in range(3)])


@pytest.mark.parametrize("dtype", [">f4", "<f4"])
def test_data_in_either_byte_order(lab: gl.GrainManager, dtype: str) -> None:
    """An array that `write` takes and `submit` calls no array at all."""
    grain = lab.grain()
    x = grain.allocate(4)
    batch = gl.messages(1, op="write")
    batch["handles"][:, 0] = int(x)
    batch["count"] = 4
    grain.submit(batch, data=np.arange(4, dtype=dtype)).result(timeout=LIMIT_S)
    assert x.read().result(timeout=LIMIT_S).tolist() == [0, 1, 2, 3]


def test_a_bad_row_posts_nothing(lab: gl.GrainManager) -> None:
    """Would catch: the rows before the bad one posted, or an error without the row's number."""
    grain = lab.grain()
    other = lab.grain("other")
    x, z, stranger = grain.allocate(8), grain.allocate(8), other.allocate(8)
    good = gl.messages(3, kernel="kernels/VectorAdd")
    good["handles"][:, :3] = int(x), int(z), int(z)
    write = gl.messages(3, op="write")
    write["handles"][:, 0] = int(x)
    write["count"] = 2
    data = np.zeros(4, np.float32)

    def changed(rows, field, value):  # type: ignore[no-untyped-def]
        rows = rows.copy()
        rows[2][field] = value
        return rows

    posted = lab._engine.snapshot()["messages_posted"]
    for rows, error, says in (
        (changed(good, "op", 99), InvalidOption, "row 2 .* op is none"),
        (changed(good, "op", 4), InvalidOption, "row 2 .* op is none"),
        (changed(good, "kernel", 2**31), UnknownKernel, "row 2 of the batch: no kernel has number"),
        (
            changed(good, "handles", [int(x), int(stranger), int(z)] + [0] * 5),
            InvalidOption,
            "live",
        ),
        (changed(good, "handles", [0] * 8), InvalidOption, "fewer handles"),
        (changed(good, "count", 9), OutOfBounds, "too small|needs|has"),
        (changed(good, "offset", 1), InvalidOption, "for write"),
        (changed(write, "count", 0), InvalidOption, "does not have"),
        (changed(write, "data", 3), InvalidOption, "does not have"),
        (changed(write, "offset", 7), InvalidOption, "past the end"),
        (changed(write, "handles", [1] * 8), InvalidOption, "not live"),
    ):
        with pytest.raises(error, match=says):
            grain.submit(rows, data=data)
    with pytest.raises(InvalidOption, match="another dtype"):
        grain.submit(write, data=data.astype(np.float64))
    with pytest.raises(InvalidOption, match="another dtype"):
        grain.submit(write)
    assert lab._engine.snapshot()["messages_posted"] == posted


@pytest.mark.parametrize(
    "rows", [None, np.zeros(3), np.zeros((2, 2), MESSAGE), np.zeros(0, MESSAGE)]
)
def test_what_is_no_batch_is_refused(lab: gl.GrainManager, rows: object) -> None:
    """Would catch: foreign memory read as messages."""
    with pytest.raises(InvalidOption):
        lab.grain().submit(rows)


@pytest.mark.parametrize(
    "options",
    [
        {"count": -1},
        {"count": 1.5},
        {"op": "read"},
        {"op": "write", "kernel": scaled},
        {"kernel": None},
        {"outputs": 0},
    ],
)
def test_bad_options_of_messages(options: dict[str, object]) -> None:
    """Would catch: rows that only fail when they are sent."""
    with pytest.raises(InvalidOption):
        gl.messages(**{"count": 3, "kernel": scaled, **options})


def test_an_unknown_kernel_and_a_wrong_split_are_named(lab: gl.GrainManager) -> None:
    """Would catch: an input stored to because the row says that it is an output."""
    with pytest.raises(UnknownKernel):
        gl.messages(1, kernel="kernels/Nothing")
    grain = lab.grain()
    x = grain.allocate(4)
    rows = gl.messages(1, kernel=scaled)
    rows["handles"][:, :3] = int(x), int(x), int(x)
    with pytest.raises((InvalidOption, CompileError)):
        grain.submit(rows)


def test_a_borrowed_grain_takes_no_batch(lab: gl.GrainManager) -> None:
    """Would catch: rows that overtake what a borrow holds back, or a wait without end."""
    grain = lab.grain()
    x, z = grain.allocate(4), grain.allocate(4)
    rows = gl.messages(3, kernel="kernels/VectorAdd")
    rows["handles"][:, :3] = int(x), int(z), int(z)
    with grain.borrow(x), pytest.raises(RingFull):
        grain.submit(rows)
    grain.submit(rows).result(LIMIT_S)


def test_a_submit_inside_a_recording_is_refused(lab: gl.GrainManager) -> None:
    """Would catch: a batch sent in the middle of a recording."""
    grain = lab.grain()
    with grain.record() as program, pytest.raises(InvalidOption, match="cannot be recorded"):
        grain.submit(gl.messages(2, op="noop"))
    assert len(program) == 0
