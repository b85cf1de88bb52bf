"""Shells for the tests of this folder."""

from tests.magics.shells import bare_shell, notebook

__all__ = ["bare_shell", "notebook"]
