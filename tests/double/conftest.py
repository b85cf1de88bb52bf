"""Managers over the double of libcuda."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import gpures_lab as gl
from gpures_lab.drivers.cuda import CudaDriver
from tests.grain.engines import LIMIT_S, RINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.double.cupy_double import CupyDouble

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def double(tmp_path_factory: pytest.TempPathFactory) -> CupyDouble:
    """Return CuPy's double over libcuda's, which is compiled here."""
    pytest.importorskip("cuda.bindings.nvjitlink", reason='pip install "gpures_lab[compile]"')
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler for the double of libcuda")
    from tests.double.cupy_double import CupyDouble

    made = tmp_path_factory.mktemp("double")
    tests = ROOT / "tests"
    folders = [ROOT / "gpures_lab" / "_core", tests / "native", tests / "library"]
    flags = ["-std=c++20", "-O1", "-fno-strict-aliasing", "-fPIC", "-shared", "-pthread"]

    def build(name: str, *sources: Path) -> str:
        path = str(made / f"lib{name}.so")
        includes = (f"-I{folder}" for folder in folders)
        subprocess.run([compiler, *flags, *includes, "-o", path, *map(str, sources)], check=True)
        return path

    return CupyDouble(
        build("double_of_cuda", tests / "native" / "fake_cuda" / "fake_cuda.cpp"),
        build("passes", tests / "double" / "passes.cpp", tests / "library" / "block_run.cpp"),
    )


@pytest.fixture
def make_lab(
    double: CupyDouble, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., gl.GrainManager]]:
    """Return a maker of managers whose workers are the double's; they are closed at the end."""
    driver = CudaDriver.open(0, "a test asked for it", double, double.native._name)
    monkeypatch.setattr("gpures_lab.grain.directory.choose", lambda _device: driver)
    made: list[gl.GrainManager] = []

    def make(ring: str | gl.RingOptions = "slots4", **options: Any) -> gl.GrainManager:
        options.setdefault("pool_limit_bytes", 256 << 20)
        options.setdefault("full_wait_s", float(LIMIT_S))
        rings = RINGS[ring] if isinstance(ring, str) else ring
        made.append(gl.GrainManager(device="cuda:0", ring=rings, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
