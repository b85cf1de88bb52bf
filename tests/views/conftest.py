"""Managers for the tests of this folder."""

from tests.grain.engines import lab, make_lab

__all__ = ["lab", "make_lab"]
