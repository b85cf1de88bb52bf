"""The host driver: native threads that run the same serve loop as the ring kernel."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from gpures_lab.drivers.driver import DeviceType, DriverName


__all__ = ["HostDriver"]

GIB: Final = 1 << 30
CPUINFO: Final = Path("/proc/cpuinfo")
# Where Linux says how much memory a container may use: control groups, version 2, then 1.
MEMORY_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class HostDriver:
    """The CPU and memory of this machine, as a `Driver`.

    Attributes
    ----------
    device_name
        CPU model, ``"unknown CPU"`` where the system does not say.
    cores
        Cores this process may run on.
    memory_bytes
        RAM, or the container's limit if that is less.
    reason
        Why the host was chosen.
    """

    device_name: str
    cores: int
    memory_bytes: int
    reason: str

    @classmethod
    def probe(cls, reason: str) -> Self:
        """Look at this machine."""
        return cls(
            device_name=cpu_model(),
            cores=usable_cores(),
            memory_bytes=usable_memory_bytes(),
            reason=reason,
        )

    @property
    def name(self) -> DriverName:
        """Always ``"host"``."""
        return "host"

    @property
    def kind(self) -> DeviceType:
        """Always ``"cpu"``."""
        return "cpu"

    @property
    def event_driven(self) -> bool:
        """Never: a thread that stays is no trouble here."""
        return False

    @property
    def label(self) -> str:
        """Say that these are CPU threads: nobody may read a CPU's figures as a GPU's."""
        return "host (CPU threads)"

    @property
    def memory_types(self) -> tuple[str, ...]:
        """Both are RAM here; a notebook that asks for pinned memory must still run."""
        return ("device", "pinned")

    @property
    def default_dma_above_bytes(self) -> None:
        """None: a worker's own copy is as fast as another thread's."""
        return None

    @property
    def default_wide_above_bytes(self) -> None:
        """None: a second thread is there for tests, and no faster than the worker."""
        return None

    @property
    def default_pool_limit_bytes(self) -> int:
        """A quarter of the memory, at most 2 GiB."""
        return min(self.memory_bytes // 4, 2 * GIB)


def cpu_model(cpuinfo: Path = CPUINFO) -> str:
    """Return the CPU's model name."""
    if sys.platform == "darwin":
        found = _sysctl("machdep.cpu.brand_string")
        if found:
            return found
    elif cpuinfo.is_file():
        fields = _cpuinfo_fields(cpuinfo.read_text(encoding="utf-8", errors="replace"))
        # x86 says "model name"; many ARM boards only "Model" or "Hardware".
        for key in ("model name", "Model", "Hardware"):
            if fields.get(key):
                return fields[key]
    return platform.processor() or platform.machine() or "unknown CPU"


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_memory_bytes(limits: tuple[Path, ...] = MEMORY_LIMITS) -> int:
    """Return the RAM, or the container's limit if that is less."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in limits:
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError:
            continue  # no such control group: no limit
        if text.isdigit():  # "max" is no limit
            return min(memory, int(text))
    return memory


def _cpuinfo_fields(text: str) -> dict[str, str]:
    """Fields of the first CPU that names them; the others repeat it."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and value.strip():
            fields.setdefault(key.strip(), " ".join(value.split()))
    return fields


def _sysctl(name: str) -> str:
    try:
        answer = subprocess.run(
            ["sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()
