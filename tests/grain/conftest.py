"""Managers for the tests of this folder."""

from tests.grain.counting import brief
from tests.grain.engines import any_lab, lab, make_lab, tiny, urls

__all__ = ["any_lab", "brief", "lab", "make_lab", "tiny", "urls"]
