"""``python -m gpures_lab`` is the ``gpures-lab`` command."""

from __future__ import annotations

import sys

from gpures_lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
