"""What must be installed, and what this machine is like: asked before anything is built."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import platform
import shutil
import sys
import time
from collections.abc import MutableMapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.gpu.steps import Step, run_step

__all__ = ["NEEDS", "gpus", "missing", "surroundings"]

# Module, wheel, what there is without it: "" where nothing is.
NEEDS = (
    ("numpy", "numpy", ""),
    ("nanobind", "nanobind", ""),
    ("cupy", "cupy-cuda13x", ""),
    ("cuda.bindings.nvrtc", "cuda-bindings", ""),
    ("cuda.bindings.nvjitlink", "cuda-bindings", ""),
    ("nvidia.cu13", "nvidia-cuda-nvrtc nvidia-nvjitlink", "what a CUDA toolkit has of them"),
    ("numba", "numba", ""),
    ("numba_cuda", "numba-cuda", "no kernel written in Python"),
    ("pytest", "pytest", "the figures, no test"),
    ("hypothesis", "hypothesis", "the figures, no test"),
    ("torch", "torch", "no comparison with PyTorch"),
)
PACKAGES = (
    "numpy", "numba", "numba-cuda", "llvmlite", "cupy-cuda13x", "cupy-cuda12x", "cuda-bindings",
    "cuda-core", "cuda-pathfinder", "cuda-toolkit", "nvidia-cuda-nvrtc", "nvidia-nvjitlink",
    "nvidia-nvvm", "nvidia-cuda-runtime", "nvidia-cuda-cccl", "nanobind", "torch", "pytest",
)  # fmt: skip
ASKED = (
    "name,uuid,driver_version,pcie.link.gen.current,pcie.link.width.current,clocks.sm,"
    "clocks.max.sm,persistence_mode,compute_mode,mig.mode.current,memory.used"
)


_NVVM = """
from numba import cuda, types
def f(x):
    x[0] = 1
cuda.compile(f, types.void(types.float32[:]), device=True, cc=(7, 5), output="ltoir")
"""
_NVVM_CURE = (
    "pip install nvidia-nvvm of NVRTC's version, or name a toolkit that has it by CUDA_HOME; "
    "without it: no kernel written in Python"
)


def missing(limit_s: float) -> Step:
    """Name every package that is not there; the step fails only where nothing works without it."""
    since = time.monotonic()
    gone = [need for need in NEEDS if not _is_there(need[0])]
    gone += [
        (tool, f"{tool} (a program on PATH)", "") for tool in ("cmake", "c++") if not _which(tool)
    ]
    said = [
        f"{module} is missing: pip install {wheel}"
        + (f"; without it: {instead}" if instead else "; nothing works without it")
        for module, wheel, instead in gone
    ]
    if all(_is_there(module) for module in ("numba", "numba_cuda")):
        step, _ = run_step("nvvm", [sys.executable, "-c", _NVVM], limit_s)
        if step.outcome != "passed":
            said += [f"{step.said}\nNumba compiles nothing for CUDA: {_NVVM_CURE}"]
    vital = any(not instead for *_, instead in gone)
    return Step(
        "packages", "failed" if vital else "passed", time.monotonic() - since, "\n".join(said)
    )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _which(tool: str) -> bool:
    return shutil.which(tool) is not None


def toolkit(environ: MutableMapping[str, str], root: Path = Path("/usr/local")) -> None:
    """Name the CUDA toolkit where nobody has: Numba looks there for libNVVM and its library."""
    if environ.get("CUDA_HOME") or environ.get("CUDA_PATH"):
        return
    nvcc = shutil.which("nvcc", path=environ.get("PATH"))
    places = [] if nvcc is None else [Path(nvcc).resolve().parents[1]]
    for place in (*places, root / "cuda", *sorted(root.glob("cuda-*"), reverse=True)):
        if (place / "nvvm" / "libdevice").is_dir():
            environ["CUDA_HOME"] = str(place)
            return


def gpus() -> tuple[list[str], str]:
    """Name and driver of each, or why there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return [], "nvidia-smi is missing"
    query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    step, out = run_step("gpus", query, 20)
    found = out.strip().splitlines() if step.outcome == "passed" else []
    return found, "" if found else f"nvidia-smi lists none: {step.said.strip()}"


def surroundings(found: Sequence[str], commit: str | None) -> dict[str, Any]:
    """What a figure depends on."""
    smi = shutil.which("nvidia-smi") or "nvidia-smi"
    asked, about = run_step("gpu", [smi, f"--query-gpu={ASKED}", "--format=csv"], 20)
    others = ["--query-compute-apps=pid,name,used_memory", "--format=csv,noheader"]
    _, apps = run_step("others", [smi, *others], 20)
    _, nvcc = run_step("nvcc", ["nvcc", "--version"], 20)
    return {
        "gpus": list(found),
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "commit": commit or _commit(),
        "python": sys.version.split()[0],
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "gpu": about.strip().splitlines() if asked.outcome == "passed" else [],
        "others on the GPU": apps.strip().splitlines(),
        "nvcc": nvcc.strip().splitlines()[-1:],
        "system": f"{platform.platform()}, {os.cpu_count()} cores, {_processor()}",
        "load": round(os.getloadavg()[0], 1),
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(("CUDA_", "NVIDIA_", "NUMBA_", "CUPY_", "GPURES_"))
        },
    }


def _commit() -> str:
    commit, out = run_step("commit", ["git", "rev-parse", "HEAD"], 10)
    if commit.outcome != "passed":
        return "unknown (no git here; give --commit)"
    _, changed = run_step("changes", ["git", "status", "--porcelain", "--untracked-files=no"], 20)
    return out.strip() + (" with changes" if changed.strip() else "")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line)
    return next(names, platform.processor())
