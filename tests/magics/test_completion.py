"""Tab on a magic's line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from IPython.core.completer import CompletionContext, provisionalcompleter

from gpures_lab.magics.completion import IDENTIFIER

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
        ("%%grain_compute --name named_only_h", ["named_only_here"]),
        ("%grain_read gpu_", ["gpu_one", "gpu_two"]),
        ("%grain sc", ["scores"]),
    ],
)
def test_options_handles_grains_and_kernels(
    notebook: Notebook, text: str, wanted: list[str]
) -> None:
    """Catches a matcher that is not asked, or that the built-in ones drown."""
    notebook("%grain scores\n%grain_alloc gpu_one 4\n%grain_alloc gpu_two 4\ngpu_host = 3")
    notebook("%%grain_compute --name named_only_here\ngpu_one[i] = 0.5 * gpu_two[i]")
    assert offered(notebook, text) == wanted


def test_where_data_is_wanted_any_name_is_offered(notebook: Notebook) -> None:
    """Catches handles alone where the cure of an error says `--from px`."""
    notebook("some_data = 3")
    assert offered(notebook, "%grain_write x some_da") == ["some_data"]
    assert "some_data" in offered(notebook, "%grain_alloc x --from some_da")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("%grain_run ", ["sweep"]),
        ("%grain_restore ", ["notebook", "scores"]),
        ("%grain_run sweep --until gpu_", ["gpu_kept", "gpu_one"]),
        ("%grain_release gpu_", ["gpu_kept", "gpu_one"]),
        ("%grain_release gpu_one gpu_", ["gpu_kept", "gpu_one"]),
        ("%grain_alloc y --like gpu_", ["gpu_kept", "gpu_one"]),
        ("%%grain_compute --in gpu_one gpu_", ["gpu_kept", "gpu_one"]),
        ("%grain_alloc y 4 --dtype fl", ["float16", "float32", "float64"]),
        ("%grain other --dtype int1", ["int16"]),
        ("%grain_dashboard --theme ", ["auto", "dark", "light"]),
        ("%grain_alloc y --pi", ["--pinned"]),
        ("%grain_kernels kernels/Ran", ["kernels/RandomNormal", "kernels/RandomUniform"]),
    ],
)
def test_what_fits_the_place_is_offered(notebook: Notebook, text: str, wanted: list[str]) -> None:
    """Catches handles where a program or a key belongs, released ones, and old outputs."""
    notebook("%grain scores\n%grain_alloc gpu_one 4\n%grain notebook\n%grain_alloc gpu_gone 4")
    notebook("%grain_release gpu_gone\n_ = __ = _3 = _gpu_old = gpu_one")
    notebook("import gpures_lab as gl\ng = gl.manager().grain('notebook')")
    notebook("held = g.allocate(4, name='gpu_kept')\ndel held")
    notebook(
        "with g.record() as sweep:\n"
        "    g.compute('kernels/Fill', outputs=[g.handles['gpu_kept']], params={'value': 1.0})"
    )
    assert offered(notebook, text) == wanted


@pytest.mark.parametrize(
    "text",
    ["%grain_list ", "%grain_status ", "%grain_alloc ", "%grain_alloc y 4 ", "%grain_run p "],
)
def test_nothing_is_offered_where_nothing_fits(notebook: Notebook, text: str) -> None:
    """Catches handles after a magic that takes none, or as the name of a new one."""
    notebook("%grain_alloc gpu_one 4")
    (ours,) = (
        each
        for each in notebook.shell.Completer.custom_matchers
        if getattr(each, "matcher_identifier", "") == IDENTIFIER
    )
    found = ours(
        CompletionContext(
            token="", full_text=text, cursor_position=len(text), cursor_line=0, limit=None
        )
    )
    assert list(found["completions"]) == []
    assert not found.get("suppress")
