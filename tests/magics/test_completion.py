"""Tab on a magic's line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from IPython.core.completer import provisionalcompleter

if TYPE_CHECKING:
    from tests.magics.shells import Notebook


def offered(notebook: Notebook, text: str) -> list[str]:
    with provisionalcompleter():
        return [each.text for each in notebook.shell.Completer.completions(text, len(text))]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("%grain_alloc y --dt", ["--dtype"]),
        ("%%grain_compute --no", ["--noblock"]),
        ("%%grain_compute --lang ", ["cpp", "python"]),
        ("%%grain_compute --name halv", ["halve"]),
        ("%grain_read gpu_", ["gpu_one", "gpu_two"]),
        ("%grain sc", ["scores"]),
    ],
)
def test_options_handles_grains_and_kernels(
    notebook: Notebook, text: str, wanted: list[str]
) -> None:
    """Catches a matcher that is not asked, or that the built-in ones drown."""
    notebook("%grain scores\n%grain_alloc gpu_one 4\n%grain_alloc gpu_two 4\ngpu_host = 3")
    notebook("%%grain_compute --name halve\ngpu_one[i] = 0.5 * gpu_two[i]")
    assert offered(notebook, text) == wanted


def test_where_data_is_wanted_any_name_is_offered(notebook: Notebook) -> None:
    """Catches handles alone where the cure of an error says `--from px`."""
    notebook("some_data = 3")
    assert offered(notebook, "%grain_write x some_da") == ["some_data"]
    assert "some_data" in offered(notebook, "%grain_alloc x --from some_da")
