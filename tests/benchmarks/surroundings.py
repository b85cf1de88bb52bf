"""What a figure depends on: driver, processor, load, versions, and which rivals are missing."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import gpures_lab as gl

__all__ = ["surroundings", "text"]

PACKAGES = ("numpy", "numba", "scipy", "scikit-learn", "networkx")


def surroundings() -> dict[str, Any]:
    """Values for JSON; a package that is not installed has None."""
    with gl.GrainManager(device="host") as lab:
        driver = lab.driver
        found: dict[str, Any] = {
            "driver": driver.label,
            "processor": driver.device_name,
            "cores": driver.cores,  # type: ignore[attr-defined]
        }
    found["load_average_1_min"] = round(os.getloadavg()[0], 1)
    found["clock_resolution_ns"] = round(time.get_clock_info("perf_counter").resolution * 1e9)
    found["date"] = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    found["python"] = platform.python_version()
    found["platform"] = f"{platform.system()} {platform.machine()}"
    found["gpures_lab"] = gl.__version__
    found["packages"] = {name: _version(name) for name in PACKAGES}
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def text(found: dict[str, Any]) -> str:
    """One line for people."""
    packages = ", ".join(f"{n} {v}" for n, v in found["packages"].items() if v)
    return (
        f"Driver: {found['driver']}, {found['processor']}, {found['cores']} cores "
        f"(load {found['load_average_1_min']}); Python {found['python']}, {packages}; "
        f"{found['date']}"
    )
