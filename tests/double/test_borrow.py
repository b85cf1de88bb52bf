"""The end of a borrow: the grain goes on when the user's stream is past it, and nobody waits."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.grain import device
from tests.grain.engines import LIMIT_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.double.cupy_double import CupyDouble


class Stream:
    """A stream of the user's, which can be kept from moving."""

    def __init__(self, native: ctypes.CDLL) -> None:
        self._native = native
        self.ptr = int(native.fake_cuda_stream())

    def hold(self, on: bool) -> None:
        self._native.fake_cuda_hold_stream(ctypes.c_void_p(self.ptr), int(on))


@pytest.fixture
def stream(double: CupyDouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stream]:
    """Return one that is CuPy's present one too."""
    made = Stream(double.native)
    monkeypatch.setattr(double.cuda, "get_current_stream", lambda: made)
    yield made
    made.hold(False)


@pytest.mark.parametrize("given", [False, True], ids=["the present one", "given"])
def test_the_grain_goes_on_when_the_stream_has(
    make_lab: Callable[..., gl.GrainManager], stream: Stream, given: bool
) -> None:
    """Would catch: a message that runs before the user's work, or a block that waits for it."""
    lab = make_lab()
    grain, other = lab.grain("g"), lab.grain("other")
    x = grain.allocate(8)
    x.write(2)
    stream.hold(True)
    with grain.borrow(x, stream=stream if given else None) as array:
        later = x.write(5)
    assert (array == 2).all()  # the block was left with the stream where it was
    after = x.read()
    other.ping().result(LIMIT_S)  # other grains go on
    assert not later.done()
    assert not after.done()
    assert grain.metrics().pending_message_count == 2
    stream.hold(False)
    assert (after.result(LIMIT_S) == 5).all()
    assert grain.metrics().pending_message_count == 0


def test_everything_waits_in_order(
    make_lab: Callable[..., gl.GrainManager], stream: Stream
) -> None:
    """Would catch: a second borrow, a checkpoint or a wide call that overtakes the user's work."""
    lab = make_lab()
    grain = lab.grain("g")
    big = 3 << 20  # of float32: a write and a call of the streams
    x = grain.allocate(big)
    data = np.arange(big, dtype=np.float32)
    x.write(data)
    with grain.borrow(x) as array:
        array[:] = 1
        stream.hold(True)
    calls = grain.compute("kernels/Add", inputs=[x, x], outputs=[x])
    deactivated = grain.deactivate()
    assert not calls.done()
    assert not deactivated.done()
    assert (array[:8] == 1).all()
    stream.hold(False)
    deactivated.result(LIMIT_S)
    assert (x.read().result(LIMIT_S) == 2).all()
    for _ in range(3):  # one mark is used again
        with grain.borrow(x) as array:
            array += 1
    assert (x.read().result(LIMIT_S) == 5).all()


def test_two_blocks_one_in_the_other(
    make_lab: Callable[..., gl.GrainManager], stream: Stream, double: CupyDouble
) -> None:
    """Would catch: the outer block's end that forgets what the inner one's stream still does."""
    grain = make_lab().grain("g")
    x, y = grain.allocate(8), grain.allocate(8)
    mine = Stream(double.native)
    mine.hold(True)
    with grain.borrow(x):
        with grain.borrow(y, stream=mine):
            pass
        with pytest.raises(gl.InvalidOption, match="leave the with block first"):
            x.read().result(LIMIT_S)
    held = grain.ping()
    stream_is_past = make_lab().grain("h")  # a turn of another engine's keeper
    stream_is_past.ping().result(LIMIT_S)
    assert not held.done()
    mine.hold(False)
    held.result(LIMIT_S)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("s", r"stream='s' is a str: give a stream of CuPy, PyTorch or Numba"),
        (True, "stream=True is a bool"),
        (SimpleNamespace(), "is a SimpleNamespace: give a stream"),
    ],
)
def test_what_is_no_stream_is_refused_at_the_beginning(
    make_lab: Callable[..., gl.GrainManager], stream: Stream, wrong: Any, says: str
) -> None:
    grain = make_lab().grain()
    x = grain.allocate(8)
    with pytest.raises(gl.InvalidOption, match=says), grain.borrow(x, stream=wrong):
        pytest.fail("it was entered")
    grain.ping().result(LIMIT_S)  # nothing is held back


@pytest.mark.parametrize("kind", ["__cuda_stream__", "cuda_stream", "handle", "an address"])
def test_streams_of_other_libraries(
    make_lab: Callable[..., gl.GrainManager], stream: Stream, kind: str
) -> None:
    """Would catch: PyTorch's or Numba's stream taken for none, or for the default one."""
    foreign: Any = {
        "__cuda_stream__": SimpleNamespace(__cuda_stream__=lambda: (0, stream.ptr)),
        "cuda_stream": SimpleNamespace(cuda_stream=stream.ptr),
        "handle": SimpleNamespace(handle=ctypes.c_void_p(stream.ptr)),
        "an address": stream.ptr,
    }[kind]
    driver = make_lab().driver
    assert driver.stream_address(foreign) == stream.ptr  # type: ignore[attr-defined]


def test_a_stream_that_captures_is_refused(
    make_lab: Callable[..., gl.GrainManager],
    stream: Stream,
    double: CupyDouble,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Would catch: an event recorded into somebody's graph, and a query that ends the engine."""
    grain = make_lab().grain()
    x = grain.allocate(8)
    monkeypatch.setattr(double.cuda.runtime, "streamIsCapturing", lambda _stream: True)
    with pytest.raises(gl.InvalidOption, match="captures a graph"), grain.borrow(x):
        pytest.fail("it was entered")
    monkeypatch.setattr(double.cuda.runtime, "streamIsCapturing", lambda _stream: False)
    begun = pytest.raises(gl.InvalidOption, match="captures a graph")
    with begun, grain.borrow(x):
        monkeypatch.setattr(double.cuda.runtime, "streamIsCapturing", lambda _stream: True)
    monkeypatch.undo()
    grain.ping().result(LIMIT_S)


def test_a_stream_that_is_gone_at_the_end(
    make_lab: Callable[..., gl.GrainManager], stream: Stream, double: CupyDouble
) -> None:
    """Would catch: an error of the user's stream taken for a lost device."""
    lab = make_lab()
    grain = lab.grain()
    x = grain.allocate(8)
    gone = pytest.raises(gl.InvalidOption, match="cannot be waited for .CUDA error 400.*goes on")
    with gone, grain.borrow(x):
        double.native.fake_cuda_refuse_record(400)
    grain.ping().result(LIMIT_S)
    assert lab.metrics().engine_state != "FAILED"


def test_a_device_lost_while_the_grain_waits(
    make_lab: Callable[..., gl.GrainManager],
    stream: Stream,
    double: CupyDouble,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Would catch: a grain that waits for ever for a stream that will never move."""
    monkeypatch.setattr(device, "_unusable", set())
    monkeypatch.setattr(device, "_started", WeakSet())
    lab = make_lab()
    grain = lab.grain()
    x = grain.allocate(8)
    stream.hold(True)
    with grain.borrow(x):
        pass
    held = grain.ping()
    double.native.fake_cuda_fault(700)
    try:
        with pytest.raises(gl.DeviceLost):
            held.result(LIMIT_S)
        wait_until(lambda: lab.metrics().engine_state == "FAILED", "the engine did not fail")
        with pytest.raises(gl.DeviceLost), grain.borrow(x):
            pytest.fail("it was entered")
        lab.close()
    finally:
        double.native.fake_cuda_fault(0)


def test_a_manager_closed_inside_the_block(
    make_lab: Callable[..., gl.GrainManager], stream: Stream
) -> None:
    """Would catch: an event that was given back, recorded at the end of the block."""
    lab = make_lab()
    grain = lab.grain()
    x = grain.allocate(8)
    with grain.borrow(x):  # its mark is free again
        pass
    grain.ping().result(LIMIT_S)
    with grain.borrow(x):
        lab.close()
    assert lab.closed
