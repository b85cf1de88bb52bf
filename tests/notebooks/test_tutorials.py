"""What the tutorials promise about themselves, read from their files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.notebooks.tutorials import TUTORIALS, cells_of, code_of, ignores_output, text_of

each = pytest.mark.parametrize("notebook", TUTORIALS, ids=[path.stem for path in TUTORIALS])

MOST_BYTES = 100_000
PLACES = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|usr|opt|var|Users|work|mnt)\b")


def test_there_is_something_to_check() -> None:
    """Would catch: a glob that finds nothing, so that every test below passes."""
    assert [path.stem for path in TUTORIALS[:1]] == ["01_quickstart"]


@each
def test_the_title_asks_and_the_last_cell_answers(notebook: Path) -> None:
    """Would catch: a tutorial without a question, or one that ends before its answer."""
    title = text_of(notebook).splitlines()[0]
    assert title.startswith("# ")
    assert title.endswith("?")
    assert cells_of(notebook)[-1]["outputs"]


@each
def test_the_first_cell_imports_and_says_where_it_runs(notebook: Path) -> None:
    """Would catch: figures of which nobody knows the driver."""
    first = code_of(notebook)[0]
    assert "import gpures_lab as gl" in first
    assert 'gl.status()["driver"]' in first


@each
def test_few_cells_ignore_their_output_and_never_the_last(notebook: Path) -> None:
    """Would catch: a notebook whose outputs nobody checks."""
    ignoring = [ignores_output(cell) for cell in cells_of(notebook)]
    assert sum(ignoring) * 6 <= len(ignoring)
    assert not ignoring[-1]


@each
def test_it_is_committed_as_one_clean_run(notebook: Path) -> None:
    """Would catch: cells run out of order, run twice, or left with an error nobody meant."""
    cells = cells_of(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        failed = any(output["output_type"] == "error" for output in cell["outputs"])
        assert failed == ("raises-exception" in cell["metadata"].get("tags", ()))


@each
def test_it_is_small_and_of_no_machine(notebook: Path) -> None:
    """Would catch: a plot library, a path or a kernel name saved with the outputs."""
    text = notebook.read_text(encoding="utf-8")
    assert len(text) <= MOST_BYTES
    assert not PLACES.search(text)
    assert "bk-" not in text
    assert json.loads(text)["metadata"] == {
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }


def test_a_place_is_seen() -> None:
    """Would catch: a pattern that finds nothing, whatever a notebook holds."""
    assert PLACES.search('"text": "/home/me/data.csv"')
    assert not PLACES.search("https://example.org/home and a/tmp")
