"""The adapter over CuPy against a double that records and has no memory: no GPU is needed."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpures_lab.drivers.cuda import WORK_STREAMS, CudaDriver, CudaMemory
from gpures_lab.drivers.cuda_hazards import hazards_of_device, hazards_of_process
from gpures_lab.errors import DeviceLost, DriverUnavailable, PoolExhausted
from tests.drivers.recording_cupy import CudaError, NoMemoryHere, RecordingCupy

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = {"shared": 64, "tables": 64, "staging": 64, "mirror": 64, "worker": 4096, "kernels": 512}


@pytest.fixture
def memset(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Record what would be zeroed on the host: the double's addresses lead nowhere."""
    zeroed: list[tuple[int, int, int]] = []
    monkeypatch.setattr(ctypes, "memset", lambda *given: zeroed.append(given))
    return zeroed


def test_reading_through_the_double_raises() -> None:
    """Would catch: a double that quietly gives arrays, so that a test proves nothing."""
    cupy = RecordingCupy()
    for refuse in (cupy.ndarray, cupy.asnumpy, cupy.zeros):
        with pytest.raises(NoMemoryHere):
            refuse(4)


def test_every_region_is_of_its_kind_and_zeroed(memset: list[tuple[int, int, int]]) -> None:
    """Would catch: ring memory on the device, worker memory on the host, either left as it was."""
    cupy = RecordingCupy()
    memory = CudaMemory(CudaDriver.open(0, "test", cupy))
    regions = memory.allocate(SIZES)
    pinned = {call[-1] for call in cupy.calls if call[0] == "hostAlloc"}
    device = {call[-1] for call in cupy.calls if call[0] == "malloc"}
    assert {regions[n] for n in ("shared", "tables", "staging", "mirror")} == pinned
    assert {regions[n] for n in ("worker", "kernels")} == device
    assert {call[2] for call in cupy.calls if call[0] == "hostAlloc"} == {3}  # portable, mapped
    assert {at for at, _, _ in memset} == pinned
    zeroed = [call for call in cupy.calls if call[0] == "memsetAsync"]
    assert {call[1] for call in zeroed} == device
    assert {call[4] for call in zeroed} == {memory.ring_stream}  # never the legacy stream


def test_an_image_is_resolved_when_it_is_loaded(memset: list[tuple[int, int, int]]) -> None:
    """Would catch: lazy loading left to the first launch, where it waits for a running ring."""
    del memset
    cupy = RecordingCupy()
    memory = CudaMemory(CudaDriver.open(0, "test", cupy))
    ring, wide = memory.load(b"cubin", ["gpures_ring_kernel", "wide_add"])
    assert ("attribute", 4, ring) in cupy.calls
    assert ("function", "wide_add", wide) in cupy.calls


def test_an_image_is_unloaded_where_it_was_loaded(memset: list[tuple[int, int, int]]) -> None:
    """Would catch: an unload in another device's context, or in the capture mode of the caller."""
    del memset
    cupy = RecordingCupy()
    memory = CudaMemory(CudaDriver.open(0, "test", cupy))
    for name in (b"first", b"second"):
        memory.load(name, ["gpures_ring_kernel"])
        assert ("unload",) not in cupy.calls  # its entry points may be launched still
    memory.drop_older()
    names = [call[0] for call in cupy.calls]
    unload = names.index("unload")
    assert "device before" not in names[len(names) - names[::-1].index("device") : unload]
    assert names.count("unload") == 1
    memory.close()
    assert [call[0] for call in cupy.calls].count("unload") == 2


@pytest.mark.parametrize(
    ("status", "expected", "words"),
    [
        (2, PoolExhausted, "no memory left for 64 bytes of device memory"),
        (700, DeviceLost, "64 bytes of device memory failed on Recorded GPU: cudaError 700"),
    ],
)
def test_what_cuda_says_is_an_error_of_ours(
    memset: list[tuple[int, int, int]], status: int, expected: type[Exception], words: str
) -> None:
    """Would catch: CuPy's own exception, without a cure, out of a call on a grain."""
    del memset
    cupy = RecordingCupy()
    memory = CudaMemory(CudaDriver.open(0, "test", cupy))

    def refuse(*_given: object) -> int:
        raise CudaError(status)

    cupy.cuda.runtime.malloc = refuse
    with pytest.raises(expected, match=words):
        memory.device(64)


def test_nothing_is_given_back_to_a_broken_context(memset: list[tuple[int, int, int]]) -> None:
    """Would catch: a close() that ends half-way after a fault of somebody's kernel."""
    del memset
    cupy = RecordingCupy()
    memory = CudaMemory(CudaDriver.open(0, "test", cupy))
    memory.allocate(SIZES)
    cupy.calls.clear()

    def refuse(_stream: int) -> None:
        raise CudaError(700)

    cupy.cuda.runtime.streamSynchronize = refuse
    memory.close()
    assert {call[0] for call in cupy.calls} <= {"device", "device before"}


def test_a_context_that_was_broken_before_is_a_sentence() -> None:
    """Would catch: CuPy's exception out of a manager's constructor."""
    cupy = RecordingCupy()

    def refuse() -> tuple[int, int]:
        raise CudaError(700)

    cupy.cuda.runtime.memGetInfo = refuse
    with pytest.raises(DriverUnavailable, match="cudaError 700.*restart"):
        CudaDriver.open(0, "test", cupy)


def test_close_frees_each_thing_once(memset: list[tuple[int, int, int]]) -> None:
    """Would catch: memory that outlives its manager, or is freed twice."""
    del memset
    cupy = RecordingCupy()
    memory = CudaMemory(CudaDriver.open(0, "test", cupy))
    regions = memory.allocate(SIZES)
    cupy.calls.clear()
    memory.close()
    memory.close()
    freed = [call[1] for call in cupy.calls if call[0] in {"free", "freeHost"}]
    assert sorted(freed) == sorted(regions.values())
    assert sum(call[0] == "streamDestroy" for call in cupy.calls) == 1 + WORK_STREAMS


def test_streams_end_before_what_they_use(memset: list[tuple[int, int, int]]) -> None:
    """Would catch: an image unloaded, or memory freed, under a launch that only said it ends."""
    del memset
    cupy = RecordingCupy()
    memory = CudaMemory(CudaDriver.open(0, "test", cupy))
    memory.allocate(SIZES)
    memory.load(b"first", ["gpures_ring_kernel"])
    cupy.calls.clear()
    memory.load(b"second", ["gpures_ring_kernel"])
    memory.drop_older()
    waited = [call[1] for call in cupy.calls if call[0] == "streamSynchronize"]
    assert waited == [memory.ring_stream, *memory.work_streams]
    cupy.calls.clear()
    memory.close()
    names = [call[0] for call in cupy.calls]
    assert "streamSynchronize" not in names[names.index("free") :]


def test_a_device_that_is_not_there_is_named() -> None:
    """Would catch: a bare CUDA error number for a wrong ``device=``."""
    with pytest.raises(DriverUnavailable, match="'cuda:3' is not there: CUDA sees 2"):
        CudaDriver.open(3, "test", RecordingCupy(devices=2))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: RecordingCupy(major=6, minor=1), "sm_61"),
        (lambda: RecordingCupy(CanMapHostMemory=0), "cannot map host memory"),
    ],
)
def test_a_device_that_cannot_run_a_ring_is_refused(
    made: Callable[[], RecordingCupy], words: str
) -> None:
    """Would catch: a ring started where its words can never arrive."""
    with pytest.raises(DriverUnavailable, match=words):
        CudaDriver.open(0, "test", made())


@pytest.mark.parametrize(
    ("environ", "release", "name"),
    [
        ({"CUDA_LAUNCH_BLOCKING": "1"}, "6.1", "CUDA_LAUNCH_BLOCKING"),
        ({"CUDA_DEVICE_MAX_CONNECTIONS": "1"}, "6.1", "CUDA_DEVICE_MAX_CONNECTIONS"),
        ({"CUDA_INJECTION64_PATH": "/x"}, "6.1", "CUDA_INJECTION64_PATH"),
        ({}, "5.15-microsoft-standard-WSL2", "WSL2"),
    ],
)
def test_what_cannot_bear_a_lingering_ring_is_event_driven(
    environ: dict[str, str], release: str, name: str
) -> None:
    """Would catch: a ring that hangs under a profiler, or a finding without its cure."""
    found = {hazard.name: hazard for hazard in hazards_of_process(environ, release=release)}
    assert found[name].event_driven
    assert found[name].cure


def test_an_ordinary_process_has_no_reason_to_be_event_driven() -> None:
    """Would catch: everybody slowed down by a check that always answers yes."""
    quiet = {"CUDA_LAUNCH_BLOCKING": "0", "CUDA_DEVICE_MAX_CONNECTIONS": "32"}
    assert not [h for h in hazards_of_process(quiet, release="6.1") if h.event_driven]


def test_a_display_watchdog_is_event_driven(tmp_path: Path) -> None:
    """Would catch: a ring that the watchdog resets, with everything on the GPU."""
    asked = {"KernelExecTimeout": 1, "ComputeMode": 0, "IsMultiGpuBoard": 0}
    assert any(h.event_driven for h in hazards_of_device(asked, "0000:01:00.0", devices=tmp_path))
    asked["KernelExecTimeout"] = 0
    assert list(hazards_of_device(asked, "0000:01:00.0", devices=tmp_path)) == []
