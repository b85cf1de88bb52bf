"""What a persistent kernel cannot bear on this machine: a sentence and a cure each."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Hazard", "hazards_of_device", "hazards_of_process"]

# Set by the profilers and debuggers that serialize launches, in the processes they start.
_PROFILERS: Final = {
    "CUDA_INJECTION64_PATH": "a CUDA profiler or tracer is attached",
    "NV_COMPUTE_PROFILER_PERFWORKS_DIR": "Nsight Compute is attached",
    "NSYS_PROFILING_SESSION_ID": "Nsight Systems is attached",
    "NVPROF_VERSION": "nvprof is attached",
    "COMPUTE_PROFILE": "the CUDA command-line profiler is on",
}
_EXCLUSIVE_PROCESS: Final = 3  # cudaComputeModeExclusiveProcess
_MPS_PIPE: Final = "CUDA_MPS_PIPE_DIRECTORY"
_MPS_DEFAULT: Final = Path("/tmp/nvidia-mps")  # noqa: S108 - where MPS itself puts it


@dataclass(frozen=True, slots=True)
class Hazard:
    """One thing that was found.

    Attributes
    ----------
    name
        Short.
    sentence
        What it does to a ring kernel.
    cure
        What to do about it; ``""`` where nothing needs doing.
    event_driven
        Whether the ring must not linger: every burst of messages is a launch of its own.
    """

    name: str
    sentence: str
    cure: str = ""
    event_driven: bool = False


def hazards_of_process(
    environ: Mapping[str, str], *, release: str | None = None
) -> Iterator[Hazard]:
    """What the environment and the system say."""
    if environ.get("CUDA_LAUNCH_BLOCKING", "0") not in {"", "0"}:
        yield Hazard(
            "CUDA_LAUNCH_BLOCKING",
            "every launch is waited for, so a ring kernel must not stay: event-driven mode",
            "unset CUDA_LAUNCH_BLOCKING and restart the kernel",
            event_driven=True,
        )
    if environ.get("CUDA_DEVICE_MAX_CONNECTIONS") == "1":
        yield Hazard(
            "CUDA_DEVICE_MAX_CONNECTIONS",
            "all streams share one hardware queue, and everything would wait behind a ring kernel "
            "that stays: event-driven mode",
            "set CUDA_DEVICE_MAX_CONNECTIONS=32, or unset it, and restart the kernel",
            event_driven=True,
        )
    for variable, sentence in _PROFILERS.items():
        if environ.get(variable):
            yield Hazard(
                variable,
                f"{sentence} and serializes launches: event-driven mode",
                "profile with the ring parked, or start the kernel without the profiler",
                event_driven=True,
            )
    if "microsoft" in (platform.release() if release is None else release).lower():
        yield Hazard(
            "WSL2",
            "Windows schedules this GPU and may never start a kernel beside one that stays: "
            "event-driven mode",
            "use Linux itself for the lowest latency",
            event_driven=True,
        )
    if environ.get(_MPS_PIPE) or _MPS_DEFAULT.is_dir():
        yield Hazard(
            "MPS",
            "the Multi-Process Service may share this GPU: a fault in one client ends all of them",
            "keep processes whose kernels are checked=False off MPS",
        )


def hazards_of_device(
    attributes: Mapping[str, int], bus_id: str, *, devices: Path = Path("/sys/bus/pci/devices")
) -> Iterator[Hazard]:
    """What the device's own attributes say."""
    if attributes["KernelExecTimeout"]:
        yield Hazard(
            "display watchdog",
            "this GPU drives a display, and its watchdog ends kernels that stay: event-driven mode",
            "use a GPU without a display for the lowest latency",
            event_driven=True,
        )
    elif _boot_display(devices / bus_id.lower()):
        yield Hazard(
            "display",
            "the system's first display is on this GPU; its redraws share it with the ring",
        )
    if attributes["ComputeMode"] == _EXCLUSIVE_PROCESS:
        yield Hazard(
            "exclusive process mode",
            "one process at a time may use this GPU: a second notebook on it fails to start",
            "nvidia-smi --compute-mode=0 allows several",
        )
    if attributes["IsMultiGpuBoard"]:
        yield Hazard(
            "multi-GPU board", "other devices share its bus: transfers may share bandwidth"
        )


def _boot_display(folder: Path) -> bool:
    try:
        return (folder / "boot_vga").read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False  # not a display class device, or no such folder here
