"""Shells for the tests of this folder."""

from tests.grain.engines import lab, make_lab
from tests.magics.shells import bare_shell, notebook

__all__ = ["bare_shell", "lab", "make_lab", "notebook"]
