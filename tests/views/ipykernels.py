"""Run the comms' kernel tests against several versions of ipykernel.

``python -m tests.views.ipykernels 6.31.0 7.3.0 7.4.0`` installs each into a folder of its own, for
the kernel that the tests start, and prints one line a version. CI runs the installed one alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Final

DEFAULT: Final = ("6.31.0", "7.3.0", "7.4.0")
# What ipykernel 6 imports and 7 does not.
ALSO: Final = ("nest-asyncio",)


def run(version: str) -> tuple[bool, str]:
    """Test one version; return whether it passed, and pytest's last line."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
                *("--target", folder, f"ipykernel=={version}", *ALSO),
            ],
            check=True,
        )
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "tests/views/test_comms_in_a_kernel.py"],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": folder},  # the kernel inherits it
        )
    lines = done.stdout.strip().splitlines()
    return done.returncode == 0, "\n".join(lines if done.returncode else lines[-1:])


def main(versions: Sequence[str]) -> int:
    """Test each version and return the exit code: 0 if all passed."""
    failed = 0
    for version in versions or DEFAULT:
        passed, said = run(version)
        failed += not passed
        sys.stdout.write(f"ipykernel {version}: {said}\n")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
