"""allocate, write, compute, read and release through the whole stack, on a double of libcuda."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from tests.double.cupy_double import NAME
from tests.grain.engines import LIMIT_S, RINGS, add, in_threads, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.double.cupy_double import CupyDouble

MAX_PART = 1 << 20
BIG = 3 * MAX_PART // 4 + 5  # of float32: four parts, the last one short


@pytest.mark.parametrize("ring", sorted(RINGS))
def test_the_path_of_a_message(make_lab: Callable[..., gl.GrainManager], ring: str) -> None:
    """Would catch: a layer that the native tests of the engine do not run."""
    lab = make_lab(ring)
    grain = lab.grain()
    data = np.random.default_rng(1).random(BIG, np.float32)
    x, z = grain.allocate(BIG), grain.allocate(BIG)
    assert not z.read().result(LIMIT_S).any()
    x.write(data)
    done = grain.compute(add, inputs=[x, x], outputs=[z]).result(LIMIT_S)
    np.testing.assert_array_equal(z.read().result(LIMIT_S), data + data)
    assert done.driver == "cuda"
    few, more = grain.allocate(100), grain.allocate(100)  # by the ring itself
    few.write(data[:100])
    grain.compute(add, inputs=[few, few], outputs=[more])
    np.testing.assert_array_equal(more.read().result(LIMIT_S), data[:100] + data[:100])
    x.release().result(LIMIT_S)
    with pytest.raises(gl.StaleHandle):
        x.read()
    lab.park()
    assert lab.metrics().engine_state == "PARKED"
    grain.ping().result(LIMIT_S)


def test_nothing_here_says_gpu(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Would catch: a double that passes for a device."""
    lab = make_lab("default")
    assert (lab.driver.kind, lab.driver.device_name) == ("cpu", NAME)
    assert "double of cuda (CPU threads)" in repr(lab)
    assert NAME in str(lab.metrics())


def test_a_kernel_is_linked_at_its_first_use(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble
) -> None:
    """Would catch: an image that loses the kernels before, or is loaded beside a launch."""
    lab = make_lab("slots4-stream")
    grain = lab.grain()
    x, z = grain.allocate(16), grain.allocate(16)
    x.write(3)
    for name, expected in (("Add", 6), ("Mul", 9), ("Sub", 0), ("Add", 6)):
        grain.compute(f"kernels/{name}", inputs=[x, x], outputs=[z])
        assert (z.read().result(LIMIT_S) == expected).all()
    for name in ("Add", "Mul", "Sub"):  # nothing runs the image here, so it is looked at
        assert f"wide_gpures_{name}_".encode() in double.newest_image


def test_a_program_runs_over_leases(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Would catch: progress that does not outlive a launch on a device's memory."""
    grain = make_lab("slots4-lease1").grain()
    x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
    one.write(1)
    with grain.record() as step:
        grain.compute(add, inputs=[x, one], outputs=[x])
    assert step.run(repeat=50_000).result(LIMIT_S).iterations == 50_000
    assert x.read().result(LIMIT_S)[0] == 50_000


def test_posters_share_the_rings(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Would catch: two posters that launch at once, or that hold each other's lock up."""
    lab = make_lab("slots4")

    def work(number: int) -> None:
        grain = lab.grain(f"g{number}", placement="dedicated" if number else "shared")
        x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
        one.write(1)
        for _ in range(200):
            grain.compute(add, inputs=[x, one], outputs=[x])
        assert x.read().result(LIMIT_S)[0] == 200

    in_threads(3, work)


@pytest.mark.parametrize(
    ("threads", "lanes"), [(2, 0), (5, 0), (1, 1), (2, 4)], ids=["2", "5", "1+1", "2+4"]
)
def test_threads_of_a_block_poll_together(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble, threads: int, lanes: int
) -> None:
    """Would catch: a slot that is taken before its message is there, or by two lanes.

    With lanes, a poller apart from its block is meant.
    """
    lab = make_lab(gl.RingOptions(slots=16))
    grain = lab.grain()
    double.native.fake_cuda_block_threads(threads)
    double.native.fake_cuda_poller(lanes)
    try:
        lab.park()  # the next launch has them
        x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
        one.write(1)
        reads = []
        for number in range(60):
            grain.allocate(1, dtype="int64").release()
            grain.ping()
            grain.compute(add, inputs=[x, one], outputs=[x])
            reads.append((number + 1, x.read()))
        assert all(read.result(LIMIT_S)[0] == expected for expected, read in reads)
    finally:
        double.native.fake_cuda_block_threads(1)
        double.native.fake_cuda_poller(0)


def test_the_arena_grows_in_a_window(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Would catch: memory that is asked for while a ring runs, or two grains in one place."""
    lab = make_lab("default")
    grain = lab.grain()
    arrays = [grain.allocate(1 << 19) for _ in range(12)]  # 24 MiB: three times more
    for number, array in enumerate(arrays):
        array.write(number)
    for number, array in enumerate(arrays):
        assert (array.read().result(LIMIT_S) == number).all()


def test_memory_and_images_come_while_a_stream_captures(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble
) -> None:
    """Would catch: an allocation that ends the capture of the thread it came to, or of another."""
    grain = make_lab("default").grain()
    double.modes.clear()
    grain.allocate(1 << 20)  # the first memory, the first image, then more of both
    y = grain.allocate(1 << 22)
    pinned = grain.allocate(1 << 10, memory_type="pinned")
    grain.compute("kernels/Sub", inputs=[y, y], outputs=[y]).result(LIMIT_S)
    assert not pinned.read().result(LIMIT_S).any()
    assert double.modes == {2}  # CU_STREAM_CAPTURE_MODE_RELAXED
    assert double.native.fake_cuda_capture_mode() == 0  # this thread's own is back


def test_what_is_too_heavy_for_the_ring_goes_wide(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble
) -> None:
    """Would catch: a heavy kernel that is refused, or one that gets into a program."""
    from gpures_lab.kernels.compilation import compile_host
    from gpures_lab.kernels.cuda.guess import likely_signature
    from gpures_lab.kernels.cuda.symbols import symbol_of, word_counts

    heavy = gl.cpp_kernel(
        "heavy",
        "const float* x, float* z",
        "int t[300]; for (int k = 0; k < 300; ++k) t[k] = int(x[k % 7]) + k;"
        "z[i] = float(t[int(x[i]) % 300]);",
        checked=False,
    )
    signature = likely_signature(heavy)
    code = compile_host(heavy, signature)
    double.wide[f"wide_{symbol_of(heavy, signature)}"] = (code.address, *word_counts(signature))
    grain = make_lab("default").grain()
    x, z = grain.allocate(64), grain.allocate(64)
    data = np.arange(64, dtype=np.float32)
    x.write(data)
    grain.compute(heavy, inputs=[x], outputs=[z]).result(LIMIT_S)
    np.testing.assert_array_equal(z.read().result(LIMIT_S), data + data % 300 % 7)
    with grain.record(), pytest.raises(gl.CompileError, match="no program and no batch"):
        grain.compute(heavy, inputs=[x], outputs=[z])


def test_a_checkpoint_copies_past_the_ring(
    make_lab: Callable[..., gl.GrainManager], tmp_path: Path
) -> None:
    """Would catch: copies that are messages, or that take bytes of a message after the cut."""
    lab = make_lab("slots4", state_url=f"sqlite:///{tmp_path / 's'}", blobs_url=str(tmp_path / "b"))
    grain = lab.grain("g")
    data = np.random.default_rng(2).random(6 * MAX_PART // 4 + 3, np.float32)  # seven parts
    big, small = grain.allocate(data.size, name="big"), grain.allocate(5, name="small")
    pinned = grain.allocate(7, name="pinned", memory_type="pinned")
    big.write(data)
    small.write(3)
    pinned.write(4)
    grain.barrier().result(LIMIT_S)
    before = lab.metrics().total_messages_processed
    saved = grain.checkpoint()
    assert saved.result(LIMIT_S) == 1
    assert lab.metrics().total_messages_processed == before
    big.write(0)
    small.write(0)
    pinned.write(0)
    assert not big.read().result(LIMIT_S).any()
    grain.discard()
    handles = lab.restore("g").handles
    np.testing.assert_array_equal(handles["big"].read().result(LIMIT_S), data)
    assert (handles["small"].read().result(LIMIT_S) == 3).all()
    assert (handles["pinned"].read().result(LIMIT_S) == 4).all()


@pytest.mark.parametrize(
    ("code", "words"), [(2, "no memory left"), (701, "registers"), (1, "invalid")]
)
def test_a_launch_that_is_refused_is_one_error(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble, code: int, words: str
) -> None:
    """Would catch: one kernel that asks for too much and takes the whole device with it."""
    grain = make_lab("slots4-stream").grain()
    x, z = grain.allocate(64), grain.allocate(64)
    x.write(2)
    grain.compute(add, inputs=[x, x], outputs=[z]).result(LIMIT_S)
    z.write(7).result(LIMIT_S)
    double.native.fake_cuda_refuse(code)
    refused = grain.compute(add, inputs=[x, x], outputs=[z])
    later = grain.compute(add, inputs=[z, x], outputs=[z])
    with pytest.raises(gl.KernelFault, match=f"Add was not launched.*{words}") as caught:
        refused.result(LIMIT_S)
    assert caught.value.fields["cuda_error"] == code
    later.result(LIMIT_S)
    assert (z.read().result(LIMIT_S) == 9).all()


@pytest.mark.parametrize("size", [1, 2, 3, 1000, 4097])
@pytest.mark.parametrize("dtype", ["int8", "float16", "float32", "int64", "float64", "complex128"])
def test_a_stream_fills_with_elements_of_every_size(
    make_lab: Callable[..., gl.GrainManager], dtype: str, size: int
) -> None:
    """Would catch: an element that is cut to four bytes, or neighbours that are overwritten."""
    grain = make_lab("slots4-stream").grain()
    value = np.array(3.25 - 7j if dtype == "complex128" else -3.25).astype(dtype)
    before, x, after = (grain.allocate(size, dtype=dtype) for _ in range(3))
    x.write(value)
    assert (x.read().result(LIMIT_S) == value).all()
    assert not before.read().result(LIMIT_S).any()
    assert not after.read().result(LIMIT_S).any()
    x.write(0)
    assert not x.read().result(LIMIT_S).any()


@pytest.mark.parametrize("waits", [False, True], ids=["idle", "asleep"])
def test_a_finalizer_leaves_the_launch_to_the_keeper(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble, waits: bool
) -> None:
    """Would catch: a finalizer that keeps the interpreter inside a driver's call, or is forgotten.

    Nobody but the keeper can launch then, also where it has gone to sleep for good.
    """
    lab = make_lab(gl.RingOptions(slots=4, linger_us=0))
    grain = lab.grain()
    for _ in range(5):
        x = grain.allocate(16)
        x.write(1).result(LIMIT_S)
        assert double.native.fake_cuda_launcher()
        lab.park()
        if waits:  # it looks for another 50 ms
            assert not threading.Event().wait(0.2)
        before = lab.metrics().relaunches
        del x  # nothing else posts or waits
        wait_until(lambda: lab.metrics().pending_message_count == 0, "the release hangs")
        assert lab.metrics().relaunches > before
        assert double.native.fake_cuda_launcher() != threading.get_native_id()
