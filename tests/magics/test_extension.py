"""Loading and unloading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.grain.engines import run_python

if TYPE_CHECKING:
    from tests.magics.shells import Notebook


def test_loading_twice_and_reloading_leave_one_of_each(bare_shell: Notebook) -> None:
    """Catches a second object behind %config, with the first still answering the magics."""
    shell = bare_shell.shell
    bare_shell("%unload_ext gpures_lab")  # IPython's own extension magics come lazily
    before = list(shell.configurables)
    for line in ("%load_ext gpures_lab", "%load_ext gpures_lab", "%reload_ext gpures_lab"):
        bare_shell(line)
    assert len(shell.configurables) == len(before) + 5


def test_unloading_leaves_the_shell_as_it_was(bare_shell: Notebook) -> None:
    """Catches a magic, a display or a matcher that stays."""
    shell = bare_shell.shell
    bare_shell("%unload_ext gpures_lab")  # IPython's own extension magics come lazily

    def state() -> object:
        return (
            {kind: set(found) for kind, found in shell.magics_manager.magics.items()},
            set(shell.magics_manager.registry),
            list(shell.configurables),
            list(shell.Completer.custom_matchers),
            {k: set(f.type_printers) for k, f in shell.display_formatter.formatters.items()},
        )

    before = state()
    bare_shell("%load_ext gpures_lab")
    assert state() != before
    bare_shell("%unload_ext gpures_lab")
    assert state() == before


def test_loading_is_light_and_starts_no_manager() -> None:
    """Catches a second of imports, or threads, in a notebook that never uses them."""
    done = run_python(
        """
        import sys, threading
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        threads = threading.active_count()
        shell.run_cell("%load_ext gpures_lab").raise_error()
        from gpures_lab.grain import own
        heavy = [m for m in ("bokeh", "numba", "pandas") if m in sys.modules]
        print(heavy, own._own, threading.active_count() - threads)
        """
    )
    assert done.stdout.strip() == "[] None 0", done.stdout + done.stderr
