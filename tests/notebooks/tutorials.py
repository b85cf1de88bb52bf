"""The committed tutorials, as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["TUTORIALS", "cells_of", "code_of", "ignores_output", "text_of"]

TUTORIALS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def cells_of(notebook: Path, kind: str = "code") -> list[dict[str, Any]]:
    """Cells of one kind, in order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


def code_of(notebook: Path) -> list[str]:
    """Sources of the code cells."""
    return ["".join(cell["source"]) for cell in cells_of(notebook)]


def text_of(notebook: Path) -> str:
    """All that the notebook says outside its code."""
    return "\n\n".join("".join(cell["source"]) for cell in cells_of(notebook, "markdown"))


def ignores_output(cell: dict[str, Any]) -> bool:
    """Whether nbval compares nothing of it."""
    return bool({"nbval-ignore-output", "nbval-skip"} & set(cell["metadata"].get("tags", ())))
