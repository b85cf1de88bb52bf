"""Which driver a device name gives, and how an NVIDIA driver is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpures_lab.drivers import choose
from gpures_lab.drivers.nvidia import NvidiaDriver, find_nvidia_driver, list_gpus
from gpures_lab.errors import DriverUnavailable, InvalidOption

if TYPE_CHECKING:
    from pathlib import Path

VERSION_FILE = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"
    "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)\n"
)


def nothing() -> NvidiaDriver | None:
    return None


def test_auto_never_fails_and_keeps_the_reason() -> None:
    """Would catch: a first cell that raises on a laptop."""
    without = choose("auto", find=nothing)
    assert without.name == "host"
    assert without.reason == "no NVIDIA driver was found"
    beside = choose("auto", find=lambda: NvidiaDriver("580.65.06"))
    assert beside.name == "host"
    assert "has not yet run on a GPU (NVIDIA driver 580.65.06 found)" in beside.reason


def test_host_by_name_does_not_look_for_a_gpu() -> None:
    def must_not_look() -> NvidiaDriver | None:
        raise AssertionError("looked for a GPU")

    assert choose("host", find=must_not_look).reason == "asked for"


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_cuda_by_name_says_what_works_today(device: str) -> None:
    """Would catch: a silent fall back to the CPU for somebody who asked for a GPU."""
    with pytest.raises(DriverUnavailable, match="device='host' works") as caught:
        choose(device, find=nothing)
    assert f"device {device!r}" in str(caught.value)
    assert caught.value.fields["device"] == device


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "HOST"])
def test_other_names_are_refused(device: str) -> None:
    with pytest.raises(InvalidOption, match="names no device"):
        choose(device, find=nothing)


def test_the_version_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "version").write_text(VERSION_FILE, encoding="utf-8")
    assert find_nvidia_driver(tmp_path / "version") == NvidiaDriver("580.65.06")


@pytest.mark.parametrize(
    ("version", "extra"),
    [("580.65.06", "cuda13"), ("610.1", "cuda13"), ("579.99", "cuda12"), ("", "cuda12")],
)
def test_the_extra_that_fits_a_driver(version: str, extra: str) -> None:
    assert NvidiaDriver(version).extra == extra


def smi(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an ``nvidia-smi`` with this shell body first on PATH."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_without_a_version_file_nvidia_smi_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: WSL2, which has no such file, taken for a machine without a GPU."""
    smi(
        tmp_path,
        'case "$1" in *driver_version*) echo 581.15; echo 581.15;; *name*) echo A; echo B;; esac',
        monkeypatch,
    )
    assert find_nvidia_driver(tmp_path / "no such file") == NvidiaDriver("581.15")
    assert list_gpus() == ("A", "B")


def test_an_nvidia_smi_that_apologizes_is_no_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: the text of the apology read as a version."""
    smi(tmp_path, "echo 'NVIDIA-SMI has failed because it could not talk'; exit 9", monkeypatch)
    assert find_nvidia_driver(tmp_path / "no such file") is None


def test_no_file_and_no_program_is_no_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_nvidia_driver(tmp_path / "no such file") is None
    assert list_gpus() == ()
