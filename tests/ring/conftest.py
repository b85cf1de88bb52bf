"""Managers for the tests of this folder."""

from tests.grain.engines import any_lab, lab, make_lab, tiny

__all__ = ["any_lab", "lab", "make_lab", "tiny"]
