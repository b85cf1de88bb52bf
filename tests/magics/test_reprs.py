"""What a cell shows of each thing: stable text, and HTML of the theme without a script."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

import gpures_lab as gl
from gpures_lab.grain.text import table_html

if TYPE_CHECKING:
    from tests.magics.shells import Notebook

HOSTILE = "<script>alert('k')</script>"
THINGS = {
    "grain": "grain",
    "handle": "z",
    "completion": "done",
    "result": "done.result()",
    "metrics": "grain.metrics()",
    "program": "step",
    "run": "step.run(repeat=2).result()",
    "status": "gl.status()",
    "alloc": "get_ipython().run_line_magic('grain_alloc', 'w 4')",
    "listing": "get_ipython().run_line_magic('grain_list', '')",
}


@pytest.fixture
def hostile(notebook: Notebook) -> Notebook:
    """Return a notebook whose grain has a key that would run as a script."""
    notebook.names["key"] = HOSTILE
    notebook("import gpures_lab as gl\ngrain = gl.manager().grain(key)")
    notebook("get_ipython().run_line_magic('grain', repr(key))")
    notebook("%grain_alloc z 4 --fill 1\n%grain_alloc x 4 --fill 1")
    notebook("done = grain.compute('kernels/Add', inputs=[x, z], outputs=[z]); done.result();")
    notebook(
        "with grain.record() as step:\n    grain.compute('kernels/Add', inputs=[x, z], outputs=[z])"
    )
    return notebook


def shown(notebook: Notebook, expression: str) -> dict[str, Any]:
    data, _ = notebook.shell.display_formatter.format(notebook(expression))
    return dict(data)


@pytest.mark.parametrize("name", THINGS)
def test_text_is_stable_and_html_is_the_themes_and_runs_nothing(
    hostile: Notebook, name: str
) -> None:
    """Would catch: an address in text that nbval compares; a key that becomes a script."""
    data = shown(hostile, THINGS[name])
    assert "object at 0x" not in data["text/plain"]
    html = data["text/html"]
    assert "<script" not in html
    assert "var(--jp-" in html
    assert not re.search(r"0x[0-9a-f]{6,}", html)


def test_a_closed_manager_is_no_reason_to_raise(hostile: Notebook) -> None:
    """Would catch: a notebook that cannot show an old variable."""
    for name in ("grain", "handle", "completion", "program"):
        hostile(f"keep_{name} = {THINGS[name]}")
    gl.manager().close()
    for name in ("grain", "handle", "completion", "program"):
        data = shown(hostile, f"keep_{name}")
        assert data["text/plain"]
        assert data["text/html"]


def test_a_cell_of_a_table_is_text() -> None:
    """Would catch: a kernel's name that becomes a tag."""
    assert HOSTILE not in table_html("caption", ("head",), [(HOSTILE,)])
