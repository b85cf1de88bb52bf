"""Managers and targets for the tests of this folder."""

from tests.grain.engines import lab, make_lab
from tests.views.front_end import ours

__all__ = ["lab", "make_lab", "ours"]
