"""The host driver's description of the machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gpures_lab.drivers import HostDriver
from gpures_lab.drivers.host import GIB, cpu_model, usable_cores, usable_memory_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from gpures_lab.drivers import Driver


def driver_with(memory_bytes: int) -> HostDriver:
    return HostDriver(device_name="CPU", cores=2, memory_bytes=memory_bytes, reason="test")


def test_it_is_a_driver_that_never_says_gpu() -> None:
    """Would catch: figures of CPU threads that are read as a GPU's."""
    driver: Driver = HostDriver.probe("because")
    assert (driver.name, driver.kind) == ("host", "cpu")
    assert driver.label == "host (CPU threads)"
    assert driver.reason == "because"
    assert driver.memory_types == ("device", "pinned")
    assert driver.device_name


@pytest.mark.parametrize(
    ("memory", "limit"),
    [(1 * GIB, GIB // 4), (8 * GIB, 2 * GIB), (64 * GIB, 2 * GIB), (100, 25)],
)
def test_the_default_pool_is_a_quarter_of_memory_up_to_2_gib(memory: int, limit: int) -> None:
    assert driver_with(memory).default_pool_limit_bytes == limit


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "processor\t: 0\nmodel\t\t: 1\nmodel name\t: Example  CPU @ 3 GHz\n",
            "Example CPU @ 3 GHz",
        ),
        ("processor\t: 0\nBogoMIPS: 1\n\nHardware\t: BCM2835\nModel\t: Board 5\n", "Board 5"),
        ("model name\t:\nmodel name\t: second core says it\n", "second core says it"),
    ],
)
def test_the_cpu_model_is_the_one_the_system_names(text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
    assert cpu_model(tmp_path / "cpuinfo") == name


def test_a_cpu_without_a_name_is_not_invented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "")
    assert cpu_model(tmp_path / "no such file") == "unknown CPU"


def test_a_containers_limit_counts_as_the_memory(tmp_path: Path) -> None:
    """Would catch: a pool limit of a quarter of the host's RAM in a container of 1 GiB."""
    limit, none = tmp_path / "memory.max", tmp_path / "none"
    memory = usable_memory_bytes((none,))
    assert memory == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit.write_text("1000000\n", encoding="ascii")
    assert usable_memory_bytes((none, limit)) == 1_000_000
    limit.write_text("max\n", encoding="ascii")
    assert usable_memory_bytes((limit,)) == memory
    limit.write_text(f"{2**63 - 4096}\n", encoding="ascii")  # what version 1 says for no limit
    assert usable_memory_bytes((limit,)) == memory


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_cores_are_those_this_process_may_use() -> None:
    """Would catch: spinning workers on cores that a container does not have."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert usable_cores() == len(before)
