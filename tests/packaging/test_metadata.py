"""What ``pyproject.toml`` promises."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import gpures_lab

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=; ]", requirement)[0] for requirement in requirements}


def test_the_version_is_said_in_one_place() -> None:
    """Would catch: a release whose module says another version than its wheel."""
    version = PROJECT["project"]["version"]
    assert metadata.version("gpures_lab") == version
    assert vars(gpures_lab).get("__version__", gpures_lab.__getattr__("__version__")) == version
    pattern = re.compile(rf"(?<![\d.]){re.escape(version)}(?![\d.])")
    elsewhere = [
        path.relative_to(ROOT).as_posix()
        for pattern_of_file in ("*.py", "*.hpp", "*.cpp", "CMakeLists.txt")
        for path in (ROOT / "gpures_lab").rglob(pattern_of_file)
        if pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert elsewhere == []


def test_the_extras_are_the_documented_ones() -> None:
    assert set(PROJECT["project"]["optional-dependencies"]) == {
        "jupyter",
        "cuda13",
        "cuda12",
        "compile",
        "cpp",
        "tutorials",
        "test",
    }


def test_the_package_itself_needs_no_jupyter_and_no_cuda() -> None:
    """Would catch: a dependency that a server without a notebook would have to install."""
    assert names(PROJECT["project"]["dependencies"]) == {
        "fsspec",
        "numba",
        "numpy",
        "safetensors",
        "sqlalchemy",
        "tqdm",
    }


def test_compile_is_cuda13_without_cupy() -> None:
    """Would catch: a lower bound raised in one of the two."""
    extras = PROJECT["project"]["optional-dependencies"]
    without_cupy = {line for line in extras["cuda13"] if not line.startswith("cupy")}
    assert without_cupy == set(extras["compile"])
    assert len(without_cupy) == len(extras["cuda13"]) - 1


def test_the_changelog_has_an_unreleased_part() -> None:
    assert "\n## Unreleased\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
