"""The two scripts: they parse, and what they promise is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("make") is None, reason="no make: install the package make")
@pytest.mark.parametrize("target", ["demo", "test", "lab", "lint", "clean"])
def test_make_knows_its_five_commands(target: str) -> None:
    """Would catch: a syntax error, or a prerequisite that no rule makes."""
    answer = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="no make: install the package make")
@pytest.mark.parametrize(
    ("driver", "extra"), [("580.65.06", "cuda13"), ("535.183.01", "cuda12"), (None, "host")]
)
def test_the_cuda_extra_follows_the_driver(driver: str | None, extra: str, tmp_path: Path) -> None:
    """Would catch: CUDA 13 wheels beside a driver that cannot run them."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\necho {driver}\n" if driver else "#!/bin/sh\nexit 9\n")
    smi.chmod(0o755)
    answer = subprocess.run(
        ["make", "--dry-run", "--always-make", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    (install,) = (line for line in answer.stdout.splitlines() if 'echo "installing:' in line)
    wanted = "jupyter tutorials" + (f" {extra}" if driver else "")
    assert f'"installing: {wanted}"' in install


@pytest.mark.skipif(shutil.which("make") is None, reason="no make: install the package make")
def test_without_node_the_demo_builds_without_the_extension_and_says_so(tmp_path: Path) -> None:
    """Would catch: a demo that needs Node, or one that leaves it out without a word."""
    for name in ("sh", "bash", "find", "sed", "make", "python3", "mkdir", "touch", "echo", "id"):
        found = shutil.which(name)
        if found is not None:
            (tmp_path / name).symlink_to(found)
    answer = subprocess.run(
        ["make", "--dry-run", "--always-make", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PATH": str(tmp_path)},
    )
    assert "hatch_build.py" not in answer.stdout
    assert "no Node: building without the JupyterLab extension" in answer.stdout
    answer = subprocess.run(
        ["make", "typescript", "--old-file=pyproject.toml", "--dry-run"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "PATH": str(tmp_path)},
    )  # fmt: skip
    assert "typescript: no Node; apt-get install nodejs npm" in answer.stdout


def test_ci_runs_the_same_tests_as_a_developer() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in text
    assert text.rstrip().endswith("make test")
    subprocess.run(["bash", "-n", str(script)], check=True, timeout=60)
