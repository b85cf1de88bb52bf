"""What the quickstart promises about itself."""

from __future__ import annotations

import ast
import json
from pathlib import Path

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "01_quickstart.ipynb"


def code_cells() -> list[str]:
    cells = json.loads(QUICKSTART.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def host_calls(source: str) -> list[str]:
    """Names of NumPy or scikit-learn used between the first write and the last read."""
    statements = ast.parse(source).body
    texts = [ast.unparse(each) for each in statements]
    first = next(n for n, text in enumerate(texts) if ".write(" in text)
    last = max(n for n, text in enumerate(texts) if ".read(" in text)
    return [
        name.id
        for each in statements[first : last + 1]
        for name in ast.walk(each)
        if isinstance(name, ast.Name) and name.id in {"np", "KMeans", "load_digits", "sklearn"}
    ]


def test_the_clustering_loop_stays_on_the_device() -> None:
    """Would catch: a loop that computes its k-means in NumPy after all."""
    loops = [cell for cell in code_cells() if "assign, inputs" in cell]
    assert len(loops) == 1
    assert host_calls(loops[0]) == []


def test_the_check_above_sees_numpy() -> None:
    """Would catch: a check that finds nothing, whatever the cell does."""
    assert host_calls("g.write(x, 1)\ny = np.sum(x)\ng.read(x)") == ["np"]


def test_few_cells_ignore_their_output_and_never_the_last() -> None:
    """Would catch: a notebook whose outputs nobody checks."""
    cells = json.loads(QUICKSTART.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    ignoring = ["nbval-ignore-output" in cell["metadata"].get("tags", ()) for cell in code]
    assert sum(ignoring) * 6 <= len(code)
    assert not ignoring[-1]
