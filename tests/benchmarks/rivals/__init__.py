"""Other systems for messages to something that keeps state, each run by a Python that has it.

They are large, or want other versions than ours, so they may live in an environment of their own:
``gpures-lab bench --rivals PYTHON``. What is not installed there is not measured, and said.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["LIMIT_S", "choose", "measure"]

LIMIT_S = 300
_python = sys.executable


def choose(python: str) -> None:
    """Run the rivals under this Python."""
    global _python  # noqa: PLW0603 - one choice a run, made by the command line
    _python = python


def measure(script: str, package: str) -> dict[str, Any] | str:
    """Figures of one rival, or why there are none."""
    probe = f"import importlib.util as u, sys; sys.exit(u.find_spec({package!r}) is None)"
    if subprocess.run([_python, "-c", probe], check=False).returncode:
        return f"not installed (pip install {package}, or --rivals PYTHON)"
    try:
        done = subprocess.run(
            [_python, str(Path(__file__).with_name(script))],
            check=True,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return f"no result within {LIMIT_S} s"
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["no message"]
        return f"failed: {lines[-1][:200]}"
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
