"""The artifacts: what an sdist and a wheel hold, and that the wheel works without the clone.

The wheel is built from the unpacked sdist, away from the clone, with the build tools of this
environment: whatever the sdist lacks is missed here.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpures_lab import environment

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]

for tool in ("hatchling", "scikit_build_core", "nanobind"):
    pytest.importorskip(tool)

if not (ROOT / "pyproject.toml").is_file():
    pytest.skip("not a clone", allow_module_level=True)


def build(kind: str, source: Path, target: Path) -> Path:
    """Build one artifact the way pip does, without an environment of its own."""
    call = (
        "import sys; from hatchling import build; "
        f"print('ARTIFACT', build.build_{kind}(sys.argv[1]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", call, str(target)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env={**os.environ, "CMAKE_BUILD_PARALLEL_LEVEL": "2"},
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return target / answer.stdout.split("ARTIFACT ")[1].strip()


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked: a place without git, where a wheel is built from nothing else."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", unpacked, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def members(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_sdist_holds_the_sources_and_nothing_built(unpacked: Path) -> None:
    files = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}
    assert {
        "LICENSE",
        "README.md",
        "Makefile",
        "pyproject.toml",
        "gpures_lab/_core/CMakeLists.txt",
        "gpures_lab/_core/shared/kernel_abi.hpp",
        "tests/packaging/test_wheel.py",
        "notebooks/01_quickstart.ipynb",
    } <= files
    built = [
        name
        for name in files
        if name.endswith((".so", ".pyc")) or "node_modules" in name or ".ipynb_checkpoints" in name
    ]
    assert built == []


def test_the_wheel_holds_what_is_read_at_run_time(members: set[str]) -> None:
    """Would catch: a ring kernel that cannot be compiled because its headers stayed behind."""
    headers = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "gpures_lab" / "_core" / "shared").rglob("*.hpp")
    }
    notebooks = {f"gpures_lab/tutorials/{path.name}" for path in ROOT.glob("notebooks/*.ipynb")}
    module = f"gpures_lab/_core/_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    assert headers
    assert notebooks
    assert {*headers, *notebooks, module, "gpures_lab/py.typed"} <= members


def test_the_wheel_holds_nothing_else(members: set[str]) -> None:
    """Would catch: tests, C++ sources or a second module in everybody's site-packages."""
    strangers = {
        name
        for name in members
        if not name.startswith(("gpures_lab/", "gpures_lab-"))
        or name.endswith((".cpp", "CMakeLists.txt", ".pyc"))
        or ".ipynb_checkpoints" in name
    }
    assert strangers == set()
    assert len([name for name in members if name.endswith(".so")]) == 1


@pytest.fixture(scope="module")
def shared(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel puts beside the packages: ``share`` and ``etc`` of an environment."""
    folder = tmp_path_factory.mktemp("shared")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)  # noqa: S202 - our own wheel
    (data,) = folder.glob("*.data/data")
    return data


def jupyter(command: str, shared: Path) -> str:
    """Run a Jupyter command that sees the wheel's files, and no Node."""
    pytest.importorskip("jupyterlab")
    answer = subprocess.run(
        [sys.executable, "-m", *command.split()],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={
            **os.environ,
            "JUPYTER_PATH": str(shared / "share" / "jupyter"),
            "JUPYTER_CONFIG_PATH": str(shared / "etc" / "jupyter"),
            "PATH": str(shared),
        },
    )
    return answer.stdout + answer.stderr


def test_the_labextension_is_enabled_and_ok(shared: Path) -> None:
    """Would catch: a wheel without it, or with files that JupyterLab does not accept."""
    if shutil.which("node") is None and not environment.require_node():
        pytest.skip("no Node: built without the extension; install nodejs and npm")
    said = jupyter("jupyterlab.labextensions list", shared)
    (line,) = (line for line in said.splitlines() if "gpures-lab" in line)
    assert "enabled" in line
    assert "OK" in line
    assert (shared / "share/jupyter/labextensions/gpures-lab/schemas/gpures-lab").is_dir()


def test_the_server_extension_is_enabled_and_ok(shared: Path) -> None:
    """Would catch: charts that never find their BokehJS, because nobody serves it."""
    said = jupyter("jupyter_server.extension.serverextension list", shared)
    lines = [line for line in said.splitlines() if "gpures_lab.labserver" in line]
    assert any("enabled" in line for line in lines)
    assert any("OK" in line for line in lines)


def test_the_wheel_is_for_this_platform(wheel: Path) -> None:
    """Would catch: a `py3-none-any` wheel with machine code in it."""
    assert "none-any" not in wheel.name
    assert f"cp{sys.version_info.major}{sys.version_info.minor}" in wheel.name


@pytest.fixture(scope="module")
def run_installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Run code against the unpacked wheel alone.

    ``-S`` keeps the clone out: an editable installation would answer the import first.
    """
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)  # noqa: S202 - our own wheel
    numpy = importlib.util.find_spec("numpy")
    assert numpy is not None
    assert numpy.origin is not None
    places = [str(folder), str(Path(numpy.origin).parents[1])]

    def run(code: str) -> str:
        answer = subprocess.run(
            [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {places!r}; {code}"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.replace(str(folder), "INSTALLED").strip()

    return run


def test_the_installed_wheel_imports_its_native_module(
    run_installed: Callable[[str], str],
) -> None:
    where = run_installed("from gpures_lab._core import _native; print(_native.__file__)")
    assert where.startswith("INSTALLED/gpures_lab/_core/_native.")


def test_the_installed_wheel_copies_its_tutorials(
    run_installed: Callable[[str], str], tmp_path: Path
) -> None:
    """Would catch: `gpures-lab tutorials` that works only in a clone."""
    run_installed(f"from gpures_lab.cli import main; main(['tutorials', {str(tmp_path)!r}])")
    assert (tmp_path / "01_quickstart.ipynb").read_bytes() == (
        ROOT / "notebooks" / "01_quickstart.ipynb"
    ).read_bytes()
